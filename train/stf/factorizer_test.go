package stf

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
)

// stfOf is the table of a kind with its defaults.
func stfOf(kind string) *recipe.STF {
	c := &recipe.STF{}
	c.SetDefaults()
	for _, k := range recipe.STFKinds() {
		if k.Name == kind {
			c.OneOf = configs.OneOf[recipe.STFKind]{Name: kind, Of: k.New()}
		}
	}
	return c
}

// TestSTFGradients: what reaches latent values is the gradient of a loss, by central differences in float64: of the dense
// weight for "latent", of the coefficient of every atom, chosen or not, for "support".
func TestSTFGradients(t *testing.T) {
	for _, kind := range []string{"latent", "support"} {
		for _, axis := range []string{"in", "out"} {
			t.Run(kind+"/"+axis, func(t *testing.T) {
				cfg := recipe.Default()
				configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
				cfg.Train.STF = stfOf(kind)
				dims := model.Dims{VocabSize: 50, Context: 16}
				const layer = "model.layers.0.mlp.down_proj"
				table := nn.Rule{Match: layer, OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 12, Nonzeros: []int{2}, Axis: axis})}
				cfg.Model.Linear = []nn.Rule{table}
				store := nn.NewStore(tensor.Float64)
				f := New(cfg.Train, store)
				grads := nn.NewGradients(store)
				opts := model.Options{Seed: 1, Sink: grads, Frozen: cfg.Train.Frozen}
				f.Apply(&opts)
				tokens, targets := make([]int, 12), make([]int, 12)
				for i := range tokens {
					tokens[i], targets[i] = i*i%50, (3*i+1)%50
				}
				program := func(c recipe.Config, s *nn.Store, o model.Options) *model.Program {
					t.Helper()
					session, err := c.Model.NewSession(dims, s, o)
					if err != nil {
						t.Fatal(err)
					}
					p, err := session.Program(model.Train, model.Shape{Rows: 1, Length: len(tokens)})
					if err != nil {
						t.Fatal(err)
					}
					p.Feed(map[string][]int{"tokens": tokens, "targets": targets})
					if err := p.Run(); err != nil {
						t.Fatal(err)
					}
					return p
				}
				program(cfg, store, opts)
				if grads.Get(Codes(layer)) != nil || (grads.Get(dictionary(layer)) != nil) != (kind == "support") {
					t.Error("gradients of C or D are not as they should be")
				}
				got := f.grads.Get(nn.Latent(layer)).Float64s()
				l, factors := denseSparse(store, layer)
				side, vectors := factors.Cut(l.In, l.Out)

				// The same network with that layer dense; its weight moves.
				free := cfg
				free.Model.Linear, free.Train.STF = nil, nil
				other := nn.NewStore(tensor.Float64)
				session, err := free.Model.NewSession(dims, other, model.Options{Seed: 1, Sink: nn.NewGradients(other)})
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range other.Names() {
					if d := store.Get(name); d != nil {
						copy(other.Get(name).Float64s(), d.Float64s())
					}
				}
				w := other.Get(layer + ".weight").Float64s()
				copy(w, store.DenseWeight(layer))
				p, err := session.Program(model.Train, model.Shape{Rows: 1, Length: len(tokens)})
				if err != nil {
					t.Fatal(err)
				}
				p.Feed(map[string][]int{"tokens": tokens, "targets": targets})
				loss := func(move func(step float64)) float64 {
					const h = 1e-5
					var l [2]float64
					for i, step := range []float64{h, -h} {
						move(step)
						if err := p.Run(); err != nil {
							t.Fatal(err)
						}
						l[i] = p.Loss()
						move(-step)
					}
					return (l[0] - l[1]) / (2 * h)
				}
				place := func(vector, column int) int { // of w
					if axis == "out" {
						return column*l.In + vector
					}
					return vector*l.In + column
				}
				r := rng.New(3, "places", 0)
				atoms := store.Get(dictionary(layer)).Float64s()
				for range 25 {
					i := r.Intn(len(got))
					want := loss(func(step float64) {
						if kind == "latent" {
							w[place(i/side, i%side)] += step
							return
						}
						g, vector, k := i/factors.Atoms/vectors, i/factors.Atoms%vectors, i%factors.Atoms
						for j := range factors.Block {
							w[place(vector, g*factors.Block+j)] += step * atoms[(g*factors.Atoms+k)*factors.Block+j]
						}
					})
					if math.Abs(got[i]-want) > 1e-7*(1+math.Abs(want)) {
						t.Errorf("latent value %d gets %g, want %g", i, got[i], want)
					}
				}
			})
		}
	}
}

// TestLargestScores: the largest are taken in ascending order of place; of equal ones those that were there, then the first.
func TestLargestScores(t *testing.T) {
	for name, tc := range map[string]struct {
		scores []float64
		had    []int
		want   []int32
	}{
		"largest":   {[]float64{1, 5, 2, 4}, []int{0, 1}, []int32{1, 3}},
		"ties stay": {[]float64{2, 2, 2, 2}, []int{1, 3}, []int32{1, 3}},
		"zeros":     {[]float64{0, 0, 0, 7}, []int{2}, []int32{2, 3}},
		"first":     {[]float64{3, 3, 3, 1}, nil, []int32{0, 1}},
	} {
		had := make([]bool, len(tc.scores))
		for _, k := range tc.had {
			had[k] = true
		}
		got := make([]int32, len(tc.want))
		if largestScores(tc.scores, had, got); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestNewAtoms counts what a vector did not have, in each block by itself.
func TestNewAtoms(t *testing.T) {
	l := nn.Layer{In: 4, Out: 2, Rule: nn.Rule{OneOf: nn.As(nn.DenseSparse{Block: 2, Atoms: 9, Nonzeros: []int{2, 1}, Axis: "in"})}}
	before := []uint8{0, 3, 5, 4 /* block 1 */, 7, 7}
	for name, tc := range map[string]struct {
		after []uint8
		want  int
	}{
		"same":          {[]uint8{0, 3, 5, 4, 7, 7}, 0},
		"one":           {[]uint8{0, 3, 6, 4, 7, 7}, 1},
		"shifted":       {[]uint8{5, 2, 8, 3, 7, 7}, 2},
		"another block": {[]uint8{0, 3, 5, 4, 0, 7}, 1},
		"all":           {[]uint8{1, 5, 2, 6, 0, 0}, 6},
	} {
		if got := newAtoms(l, before, tc.after); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// TestSettlesAnew: after latent values, only AdamW's means of latent coefficients go on as those of C; else the optimizer counts
// its steps from there.
func TestSettlesAnew(t *testing.T) {
	for _, c := range []struct {
		kind, optimizer string
		want            int
	}{{"support", "adamw", 0}, {"support", "adamw8bit", 7}, {"latent", "adamw", 7}} {
		cfg := recipe.Default()
		configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
		cfg.Model.Linear = []nn.Rule{{Match: "*.mlp.*", OneOf: nn.As(nn.DenseSparse{Block: 8, Atoms: 12, Nonzeros: []int{2}, Axis: "in"})}}
		cfg.Train.STF, cfg.Train.Optimizer = stfOf(c.kind), c.optimizer
		store := nn.NewStore(tensor.Float32)
		f := New(cfg.Train, store)
		o := model.Options{Seed: 1, Sink: nn.NewGradients(store), Frozen: cfg.Train.Frozen}
		f.Apply(&o)
		session, err := cfg.Model.NewSession(model.Dims{VocabSize: 50, Context: 16}, store, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.Program(model.Train, model.Shape{Rows: 1, Length: 4}); err != nil {
			t.Fatal(err)
		}
		if err := f.Begin(); err != nil {
			t.Fatal(err)
		}
		if f.Latents() == nil || !f.Owns(Codes(f.layers[0])) {
			t.Errorf("%s: no latent values, or C is the run's", c.kind)
		}
		if err := f.Settle(7); err != nil {
			t.Fatal(err)
		}
		if f.began != c.want || f.Latents() != nil {
			t.Errorf("%s by %s: settled with steps from %d on, want %d", c.kind, c.optimizer, f.began, c.want)
		}
	}
}
