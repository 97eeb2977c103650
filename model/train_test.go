package model

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/nn"
)

// TestPoisonedDropout: with dropout, and dead memory overwritten by NaN, loss and
// gradients are finite and the same bits with and without recomputed
// activations; each step draws its own masks.
func TestPoisonedDropout(t *testing.T) {
	for variant := range variants {
		t.Run(variant, func(t *testing.T) {
			kept, recomputed := dropoutRun(t, variant, false, 3), dropoutRun(t, variant, true, 3)
			for name, want := range kept {
				got := recomputed[name]
				if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) {
					t.Errorf("%s differs with checkpoint_activations", name)
				}
				if slices.ContainsFunc(want, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }) {
					t.Errorf("%s is not finite", name)
				}
			}
			if other := dropoutRun(t, variant, false, 4); slices.Equal(other["loss"], kept["loss"]) {
				t.Error("two steps have the same masks")
			}
		})
	}
}

// dropoutRun returns loss and gradients of the second run of one program.
func dropoutRun(t *testing.T, variant string, recompute bool, step int) map[string][]float64 {
	t.Helper()
	cfg := DefaultConfig()
	cfg.DModel, cfg.NLayer, cfg.DFF, cfg.Dropout = 32, 2, 40, 0.3
	cfg.CheckpointActivations = recompute
	variants[variant](&cfg)
	store := nn.NewStore(tensor.Float64)
	grads := nn.NewGradients(store)
	s, err := cfg.NewSession(Dims{VocabSize: vocab, Context: 9}, store, Options{Seed: 4, Sink: grads, Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Program(Train, Shape{Rows: 3, Length: 9})
	if err != nil {
		t.Fatal(err)
	}
	text := tokensOf(28, "dropout")
	p.Feed(map[string][]int{"tokens": text[:27], "targets": text[1:]})
	for range 2 { // the second run finds the first one's NaN
		p.SetStep(step)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string][]float64{"loss": {p.Loss()}}
	for _, name := range store.Names() {
		g := grads.Get(name)
		if g == nil {
			t.Fatalf("%s has no gradient", name)
		}
		out[name] = g.Float64s()
	}
	return out
}

// TestNewSessionChecksConfig: a config that no network can have is an error, not
// a panic, however it was made.
func TestNewSessionChecksConfig(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*Config)
		want   string
	}{
		"norm":         {func(c *Config) { c.Norm = "batch_norm" }, `model: [model] norm = "batch_norm" is unknown; want one of rms_norm, layer_norm`},
		"mlp":          {func(c *Config) { c.MLP = "maxout" }, `[model] mlp = "maxout" is unknown`},
		"heads":        {func(c *Config) { c.Attention.NHead = 0 }, `[model.attention] n_head = 0 is too small`},
		"uneven heads": {func(c *Config) { c.Attention.NHead = 3 }, `n_head = 3 does not divide [model] d_model = 256`},
		"no width":     {func(c *Config) { c.DModel = 0 }, `[model] d_model = 0 is too small`},
		"too deep":     {func(c *Config) { c.NLayer = MaxLayers + 1 }, `[model] n_layer = 1001 is too large; want at most 1000`},
		"sltrain mode": {func(c *Config) {
			c.Linear = []nn.Rule{{Match: "*", OneOf: nn.As(nn.SLTrain{Rank: 2, Density: 0.1, Mode: "lazy"})}}
		}, `mode = "lazy" is unknown; want one of`},
		"no rank":   {func(c *Config) { c.Linear = []nn.Rule{{Match: "*", OneOf: nn.As(nn.LowRank{})}} }, `rank = 0 is too small`},
		"zero":      {func(c *Config) { *c = Config{} }, `[model] n_layer = 0 is too small`},
		"bad width": {func(c *Config) { c.Attention.HeadDim = 7 }, "head_dim = 7 is odd; rotary positions need an even width"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			c.damage(&cfg)
			_, err := cfg.NewSession(Dims{VocabSize: vocab, Context: 8}, nn.NewStore(tensor.Float32), Options{})
			if !errors.Is(err, configs.ErrConfig) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a configs.ErrConfig with %q", err, c.want)
			}
		})
	}
}

// TestReserveKeepsOrder: emptying the cache forgets decoding programs only, and
// the others stay in the order of their use.
func TestReserveKeepsOrder(t *testing.T) {
	s := small(t, tensor.Float32, "mha", Options{})
	var want []programKey
	for _, n := range []int{1, 5, 2, 7, 3, 6} {
		if n == 7 {
			s.reserve(2, 16)
			if _, err := s.decoding(2, 1); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Program(Score, Shape{Rows: 1, Length: n}); err != nil {
			t.Fatal(err)
		}
		want = append(want, programKey{Score, Shape{Rows: 1, Length: n}, ""})
	}
	if _, err := s.Program(Score, Shape{Rows: 1, Length: 2}); err != nil { // so that the order is not that of insertion, nor a rotation of it
		t.Fatal(err)
	}
	want = append(slices.Delete(want, 2, 3), programKey{Score, Shape{Rows: 1, Length: 2}, ""})
	s.reserve(3, 16)
	if !slices.Equal(s.recent, want) || len(s.programs) != len(want) {
		t.Errorf("order of use %v (%d programs), want %v", s.recent, len(s.programs), want)
	}
}
