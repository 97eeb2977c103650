package model

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/op"
)

// PixelGradient receives the gradient of the loss by the pixels of one image. It is an op.Sink of that alone.
type PixelGradient struct{ d *tensor.Dense }

// Leaf declares the pixels of one image as a leaf "pixels" that has a gradient. The result is [H*W, C].
func (p *PixelGradient) Leaf(g *Graph, picture Picture) *G.Node {
	shape := tensor.Shape{picture.Height * picture.Width, picture.Channels}
	values := g.Parameter("pixels", shape...)
	p.d = tensor.New(tensor.Of(g.Tape.Dtype), tensor.WithShape(shape...))
	// Looked up row by row, as only parameters deliver gradients.
	order := make([]int, shape[0])
	for i := range order {
		order[i] = i
	}
	return op.Embedding(g.Constant("pixels.order", order), g.Tape.Param("pixels", shape, values, p))
}

// Gradient implements op.Sink.
func (p *PixelGradient) Gradient(string) (*tensor.Dense, bool) { return p.d, false }

// Ready implements op.Sink.
func (p *PixelGradient) Ready(string) error { return nil }

// Values are those of the last run, [H*W, C].
func (p *PixelGradient) Values() []float64 { return RowsOf(p.d).Float64s() }
