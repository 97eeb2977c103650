package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// elementGrain is how many elements one piece of parallel elementwise work covers.
const elementGrain = 16 << 10

// Add is y = a + b, elementwise: the residual connection.
func Add(t *Tape, a, b *G.Node) *G.Node {
	wantShape("add", "b", b, a.Shape()...)
	o := addition(t, a.Shape())
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes { return G.Nodes{dy, dy} }
	return t.apply(o, a, b)
}

// addGrad sums two gradients of one value.
func addGrad(a, b *G.Node) *G.Node {
	t := a.Op().(*operator).tape
	return t.apply(addition(t, a.Shape()), a, b)
}

func addition(t *Tape, shape tensor.Shape) *operator {
	o := t.operator("add", shape.Clone(), 1, 0)
	if t.Dtype == tensor.Float32 {
		o.run = addRun[float32]
	} else {
		o.run = addRun[float64]
	}
	return o
}

func addRun[T kernel.Float](in []G.Value, out *tensor.Dense) error {
	a, b, y := data[T](in[0]), data[T](in[1]), data[T](out)
	kernel.Ranges(len(y), elementGrain, func(lo, hi int) { kernel.Add(y[lo:hi], a[lo:hi], b[lo:hi]) })
	return nil
}
