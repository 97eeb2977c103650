package nn

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/op"
)

// WeightOf is the matrix W [out, in] of a linear layer without a bias as a value of
// the graph, for operators without a backward pass. A dense layer's is its
// parameter. What codes stand for is made anew in every run, and so is another
// layer's matrix, from the rows of an identity: as much work as in rows of
// activations. Either may be asked for once in a graph.
func WeightOf(b *Builder, l Linear, in int) *G.Node {
	if d, ok := l.(interface{ matrix() *G.Node }); ok {
		return d.matrix()
	}
	identity := tensor.New(tensor.Of(b.Tape.Dtype), tensor.WithShape(in, in))
	for i := range in {
		if b.Tape.Dtype == tensor.Float32 {
			identity.Float32s()[i*in+i] = 1
		} else {
			identity.Float64s()[i*in+i] = 1
		}
	}
	rows := l.Forward(b.Tape.Input(b.Name("identity"), identity)) // [in, out]
	return op.Transpose(b.Tape, rows)
}
