package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Global is multi-head attention of every pixel of a map to every other, [MHA] without a mask: quadratic in the number of pixels.
//
// Parameters: those of MHA [C, C], 4 C² + 4 C with biases.
type Global struct{}

// Validate implements Map.
func (Global) Validate(*configs.Report) {}

// Check implements Map.
func (Global) Check(l MapLayer, _, _ int) error { return l.checkHeads("global") }

// Shape implements Map: 4 N C² + 2 N² C multiply-adds for N pixels.
func (Global) Shape(l MapLayer, height, width int) MapShape {
	n := height * width
	products := 2 * n * n * l.DModel
	return MapShape{Parameters: l.projections(), MACs: 4*n*l.DModel*l.DModel + products, Products: products}
}

// New implements Map.
func (Global) New(b *nn.Builder, l MapLayer, _, _ int) MapAttention {
	return global{New(b, LayerConfig{
		Config: Of(MHA{Projections: Projections{Bias: l.Bias}}, Heads{NHead: l.NHead}), DModel: l.DModel, Init: l.Init, OutInit: l.Init,
	})}
}

// global is the layer.
type global struct{ Attention }

func (l global) Forward(x *G.Node, m op.Map) *G.Node {
	return l.Attention.Forward(x, nn.SeqInfo{Batch: m.Batch, SeqLen: m.Pixels()}, 0)
}
