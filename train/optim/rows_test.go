package optim

import (
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/op"
)

// TestLazyRows: of a table, the rows of a step change as AdamW changes them with the means that they have, decay included, and all
// others stay bit for bit; micro-batches add up; threads change nothing.
func TestLazyRows(t *testing.T) {
	const width, rows = 5, 200
	cfg := smallConfig().Train
	cfg.WeightDecay = 0.3
	run := func(threads int) (w []float32, touched map[int]bool, o *AdamW) {
		before := kernel.Threads()
		kernel.SetThreads(threads)
		defer kernel.SetThreads(before)
		store := nn.NewStore(tensor.Float32)
		b := nn.NewBuilder(op.NewTape(tensor.Float32, false), store, nn.Options{Seed: 3})
		b.Sub("table").Weight("weight", nn.Normal(1), rows, width)
		o = NewAdamW(cfg, store)
		touched = map[int]bool{}
		w = store.Get("table.weight").Float32s()
		want := slices.Clone(w)
		m, v := make([]float32, len(w)), make([]float32, len(w))
		grads := nn.NewGradients(store)
		for step := 1; step <= 4; step++ {
			sum := map[int][]float32{}
			for micro := range 2 {
				grads.Add = micro > 0
				var ids []int
				values := []float32{}
				for r := step + micro; r < rows; r += 7 + step {
					ids = append(ids, r)
					if sum[r] == nil {
						sum[r] = make([]float32, width)
					}
					for k := range width {
						x := float32((r*31+step*7+k*3+micro)%11) - 5
						values = append(values, x)
						sum[r][k] += x
					}
					touched[r] = true
				}
				if err := grads.SparseRows("table.weight", ids, tensor.New(tensor.WithShape(len(ids), width), tensor.WithBacking(values))); err != nil {
					t.Fatal(err)
				}
			}
			UpdateAll(o, grads, step, 0.01, 0.5)
			for r, g := range sum {
				at := r * width
				kernel.AdamWStep(adamSettings(cfg, store.Decays("table.weight"), step, 0.01, 0.5), want[at:at+width], m[at:at+width], v[at:at+width], g)
			}
		}
		if !slices.Equal(w, want) {
			t.Error("rows are not as AdamW changes them")
		}
		return w, touched, o
	}
	one, touched, _ := run(1)
	two, _, _ := run(2)
	if !slices.Equal(one, two) {
		t.Error("two threads give other bits than one")
	}
	if len(touched) < 20 || len(touched) == rows {
		t.Fatalf("%d of %d rows touched", len(touched), rows)
	}
}
