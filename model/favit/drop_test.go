package favit

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// TestDropPathGrows: the probability that a block's branches are left out grows by the same step from block to block over all stages,
// from 0 in the first to drop_path in the last.
func TestDropPathGrows(t *testing.T) {
	cfg := Default()
	cfg.Widths, cfg.Depths, cfg.Heads, cfg.MLPRatios, cfg.Reductions = []int{16, 24}, []int{2, 3}, []int{1, 3}, []int{2, 3}, []int{2, 1}
	cfg.StemKernel, cfg.StemStride, cfg.Window, cfg.DropPath = 3, 2, 3, 0.4
	b := nn.NewBuilder(op.NewTape(tensor.Float32, true), nn.NewStore(tensor.Float32), nn.Options{Seed: 1})
	v := newNetwork(b, cfg, model.Dims{Classes: 5, ImageSize: 15, Channels: 2})
	var got []float64
	for _, stage := range v.stages {
		for _, l := range stage.blocks {
			got = append(got, l.dropPath)
		}
	}
	want := []float64{0, 0.1, 0.2, 0.3, 0.4}
	if len(got) != len(want) {
		t.Fatalf("%d blocks, want %d", len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("block %d is left out with probability %g, want %g", i, got[i], want[i])
		}
	}
}
