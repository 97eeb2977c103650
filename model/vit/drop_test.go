package vit

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// TestDropPathGrows: the probability that a block's branches are left out grows by the same step from block to block, from 0 in the
// first to drop_path in the last.
func TestDropPathGrows(t *testing.T) {
	c := DefaultBody()
	c.Patch, c.DModel, c.NLayer, c.DFF, c.Attention.NHead, c.DropPath = 2, 8, 5, 12, 2, 0.4
	b := nn.NewBuilder(op.NewTape(tensor.Float32, true), nn.NewStore(tensor.Float32), nn.Options{Seed: 1})
	v := newNetwork(model.NewGraph(b, model.Train, model.Shape{Rows: 1, Height: 4, Width: 4}), c, model.Picture{Channels: 2, Height: 4, Width: 4})
	for i, want := range []float64{0, 0.1, 0.2, 0.3, 0.4} {
		if got := v.blocks[i].drop; math.Abs(got-want) > 1e-12 {
			t.Errorf("block %d is left out with probability %g, want %g", i, got, want)
		}
	}
}
