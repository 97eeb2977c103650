package decoder

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
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
	cfg := Default()
	cfg.DModel, cfg.NLayer, cfg.DFF, cfg.Dropout = 32, 2, 40, 0.3
	cfg.CheckpointActivations = recompute
	variants[variant](&cfg)
	store := nn.NewStore(tensor.Float64)
	grads := nn.NewGradients(store)
	s, err := open(cfg, model.Text{Vocab: vocab, Length: 9}, store, model.Options{Seed: 4, Sink: grads, Poison: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Program(model.Train, model.Shape{Rows: 3, Length: 9})
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

// TestDropoutFollowsTheSeed: the same weights have other masks with another seed of the run, and the same ones with the same.
func TestDropoutFollowsTheSeed(t *testing.T) {
	var weights *nn.Store
	loss := func(seed uint64) float64 {
		t.Helper()
		cfg := Default()
		cfg.DModel, cfg.NLayer, cfg.DFF, cfg.Dropout = 32, 2, 40, 0.3
		store := nn.NewStore(tensor.Float64)
		s, err := open(cfg, model.Text{Vocab: vocab, Length: 9}, store, model.Options{Seed: seed, Sink: nn.NewGradients(store)})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Program(model.Train, model.Shape{Rows: 3, Length: 9})
		if err != nil {
			t.Fatal(err)
		}
		if weights == nil {
			weights = store
		}
		for _, name := range store.Names() {
			copy(store.Get(name).Float64s(), weights.Get(name).Float64s())
		}
		text := tokensOf(28, "dropout")
		p.Feed(map[string][]int{"tokens": text[:27], "targets": text[1:]})
		p.SetStep(3)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Loss()
	}
	first := loss(4)
	if again := loss(4); again != first {
		t.Errorf("the same seed has losses %v and %v", first, again)
	}
	if other := loss(5); other == first {
		t.Error("two seeds have the same masks")
	}
}
