package encoder_test

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
)

func small() encoder.Config {
	c := encoder.Default()
	c.DModel, c.NLayer, c.DFF, c.Attention.NHead = 8, 2, 12, 2
	return c
}

// TestPadding: what stands behind a text's length changes none of its scores, and what stands within does.
func TestPadding(t *testing.T) {
	store := nn.NewStore(tensor.Float64)
	n := model.Labels{Body: small(), Text: model.Text{Vocab: 7, Length: 5, Types: model.TokenTypes}, Classes: 3}
	s, err := model.NewSession(n, store, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		rng.FillNormal(rng.New(5, name, 0), store.Get(name).Float64s(), 0.1, 0.3)
	}
	scores := func(tokens ...int) []float64 {
		p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(tokens)})
		if err != nil {
			t.Fatal(err)
		}
		p.Feed(map[string][]int{"tokens": tokens, "lengths": {3}})
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Output("logits").Float64s()
	}
	want, padded, other := scores(1, 4, 2), scores(1, 4, 2, 6, 3), scores(1, 5, 2, 6, 3)
	for i := range want {
		if math.Abs(want[i]-padded[i]) > 1e-12 || want[i] == other[i] {
			t.Errorf("score %d is %g, with padding %g, of another text %g", i, want[i], padded[i], other[i])
		}
	}
}

// TestReadRows: in bfloat16 the last layer of a classifier computes the first token of each text alone, to the loss and
// gradients of all tokens, with and without recomputation.
func TestReadRows(t *testing.T) {
	for _, recompute := range []bool{false, true} {
		c := small()
		c.DModel, c.DFF, c.CheckpointActivations, c.Dropout = 16, 24, recompute, 0
		run := func(precision kernel.Precision) (float64, *nn.Store, *nn.Gradients) {
			store := nn.NewStore(tensor.Float64)
			grads := nn.NewGradients(store)
			n := model.Labels{Body: c, Text: model.Text{Vocab: 7, Length: 5, Types: model.TokenTypes}, Classes: 3}
			s, err := model.NewSession(n, store, model.Options{Seed: 1, Sink: grads, Precision: precision, Poison: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range store.Names() {
				rng.FillNormal(rng.New(5, name, 0), store.Get(name).Float64s(), 0.1, 0.3)
			}
			p, err := s.Program(model.Train, model.Shape{Rows: 3, Length: 5})
			if err != nil {
				t.Fatal(err)
			}
			p.Feed(map[string][]int{"tokens": {1, 4, 2, 5, 6, 3, 3, 1, 0, 0, 6, 5, 4, 2, 1}, "lengths": {5, 3, 4}, "targets": {0, 2, 1}})
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			return p.Loss(), store, grads
		}
		want, store, exact := run(kernel.Full)
		got, _, grads := run(kernel.BFloat16)
		if math.Abs(got/want-1) > 0.02 {
			t.Errorf("recompute %v: loss %g, of all tokens %g", recompute, got, want)
		}
		for _, name := range store.Names() {
			g, _ := grads.Gradient(name)
			w, _ := exact.Gradient(name)
			var apart, size float64
			for i, x := range w.Float64s() {
				apart += (g.Float64s()[i] - x) * (g.Float64s()[i] - x)
				size += x * x
			}
			if math.Sqrt(apart) > 0.05*math.Sqrt(size)+1e-4 {
				t.Errorf("recompute %v: the gradient of %s is %.3g off, of %.3g", recompute, name, math.Sqrt(apart), math.Sqrt(size))
			}
		}
	}
}

// TestNames: the embedding of tokens and the blocks are where the config says.
func TestNames(t *testing.T) {
	c, store := small(), nn.NewStore(tensor.Float32)
	if err := model.Declare(model.Masked{Body: c, Text: model.Text{Vocab: 7, Length: 5, Types: model.TokenTypes}}, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	if shape := store.Shape(c.WordEmbedding()); shape == nil || shape[0] != 7 || shape[1] != 8 {
		t.Errorf("%s has shape %v", c.WordEmbedding(), shape)
	}
	if c.Blocks() != 2 || !strings.Contains(c.Layout(), "2 layers of width 8") || c.Causal() {
		t.Errorf("%d blocks, %q, causal %v", c.Blocks(), c.Layout(), c.Causal())
	}
}

// TestValidate: an encoder is made of nothing that only a decoder has.
func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*encoder.Config){
		"":               func(*encoder.Config) {},
		"mlp":            func(c *encoder.Config) { c.MLP = "swiglu" },
		"positions":      func(c *encoder.Config) { c.Positions = "rotary" },
		"tie_embeddings": func(c *encoder.Config) { c.Tied = true },
		"n_layer":        func(c *encoder.Config) { c.NLayer = model.MaxLayers + 1 },
	} {
		c := encoder.Default()
		change(&c)
		if err := configs.Validate("test", &c); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want+" = ")) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
