package optim

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
)

// TestRowRates: the named rows move as with the multiplied rate, others and other parameters as without, whole and in blocks.
func TestRowRates(t *testing.T) {
	const name, other, rate, factor = "lm_head.weight", "model.norm.weight", 0.01, 3
	rows := []int{0, 2, 5, 6, 254, 256}
	trained := func(rate float64, wrap bool, block int) *nn.Store {
		cfg := smallConfig()
		store := nn.NewStore(tensor.Float64)
		if _, err := cfg.Model.NewSession(model.Dims{VocabSize: 256, Context: 16}, store, model.Options{Seed: 1}); err != nil {
			t.Fatal(err)
		}
		var o Optimizer = NewAdamW(cfg.Train, store)
		if wrap {
			o = NewRowRates(o, store, []string{name}, rows, factor)
		}
		for step := 1; step <= 3; step++ {
			for _, n := range []string{name, other} {
				w := store.Get(n)
				for from := 0; from < w.Size(); from += block {
					g := tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(min(block, w.Size()-from)))
					for i := range g.Float64s() {
						g.Float64s()[i] = math.Sin(float64(from + i + step))
					}
					o.Update(n, g, from, step, rate, 1)
				}
			}
		}
		return store
	}
	slow, fast := trained(rate, false, 1<<20), trained(rate*factor, false, 1<<20)
	for _, block := range []int{1 << 20, 48} {
		got := trained(rate, true, block)
		for i, x := range got.Get(name).Float64s() {
			want, row := slow.Get(name).Float64s()[i], i/16
			for k := 0; k < len(rows); k += 2 {
				if rows[k] <= row && row < rows[k+1] {
					want = fast.Get(name).Float64s()[i]
				}
			}
			if x != want {
				t.Fatalf("blocks of %d: element %d of row %d is %g, want %g", block, i%16, row, x, want)
			}
		}
		for i, x := range got.Get(other).Float64s() {
			if x != slow.Get(other).Float64s()[i] {
				t.Fatalf("another parameter's element %d is %g, want %g", i, x, slow.Get(other).Float64s()[i])
			}
		}
	}
}
