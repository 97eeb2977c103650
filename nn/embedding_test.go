package nn_test

import (
	"math"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// TestWords: rows of an embedding in factors are those of F P, and a tied head scores by F (P h): values, gradients, threads and
// what a checkpoint holds.
func TestWords(t *testing.T) {
	const n, count, r, d = 5, 7, 3, 4
	ids := []int{3, 0, 3, 6, 1}
	product := func(v map[string][]float64) []float64 { // F P [count, d]
		f, p, e := v["embed.up.weight"], v["embed.down.weight"], make([]float64, count*d)
		for i := range count {
			for j := range d {
				for k := range r {
					e[i*d+j] += f[i*r+k] * p[k*d+j]
				}
			}
		}
		return e
	}
	rows := func(v map[string][]float64) []float64 {
		e, y := product(v), []float64(nil)
		for _, id := range ids {
			y = append(y, e[id*d:(id+1)*d]...)
		}
		return y
	}
	build := func(head bool) func(*nn.Builder) *G.Node {
		return func(b *nn.Builder) *G.Node {
			e := nn.NewWords(b.Sub("embed"), count, d, nn.Normal(1))
			x := e.Forward(b.Tape.Input("ids", tensor.New(tensor.WithBacking(slices.Clone(ids)), tensor.WithShape(n))))
			if !head {
				return x
			}
			return e.BiasedLogits(op.Activation(b.Tape, "tanh", x), b.Weight("bias", nn.Normal(1), count))
		}
	}
	words := nn.LowRank{Rank: r}
	t.Run("lookup", func(t *testing.T) {
		nntest.Check(t, nntest.Layer{Build: build(false), Naive: rows, Shape: []int{n, d}, Words: words})
	})
	t.Run("tied", func(t *testing.T) {
		nntest.Check(t, nntest.Layer{Build: build(true), Shape: []int{n, count}, Words: words, Naive: func(v map[string][]float64) []float64 {
			x := rows(v)
			for i := range x {
				x[i] = math.Tanh(x[i])
			}
			return affine(x, product(v), v["bias"], d)
		}})
	})
}

// TestWordsAreALayer: the store tells the embedding of words and its representation; only one in factors is among the layers,
// and it folds into the table.
func TestWordsAreALayer(t *testing.T) {
	for _, table := range []nn.Table{nil, nn.LowRank{Rank: 2}} {
		store := nn.NewStore(tensor.Float32)
		b := nn.NewBuilder(op.NewTape(store.Dtype, false), store, nn.Options{Words: table})
		nn.NewEmbedding(b.Sub("positions"), 5, 4, nn.Normal(1))
		nn.NewWords(b.Sub("embed"), 7, 4, nn.Normal(1))
		name, l, ok := store.Words()
		if !ok || name != "embed" || l.Out != 7 || l.In != 4 || !l.Words || l.Rule.Dense() != (table == nil) {
			t.Errorf("words of %T: %q, %+v, %t", table, name, l, ok)
		}
		if got := store.Layers(); slices.Contains(got, "embed") != (table != nil) || slices.Contains(got, "positions") {
			t.Errorf("layers of words of %T: %q", table, got)
		}
		dense := store.Dense()
		if got := dense.Names(); !slices.Equal(got, []string{"positions.weight", "embed.weight"}) {
			t.Errorf("merged: %q", got)
		}
		e, want := dense.Get("embed.weight").Float32s(), store.DenseWeight("embed")
		for i := range e {
			if e[i] != float32(want[i]) {
				t.Fatalf("merged element %d is %g, want %g", i, e[i], want[i])
			}
		}
	}
}
