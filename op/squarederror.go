package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// SquaredError is the sum over rows of (x[n] - y[n])², rows whose mark is
// Ignored left out: the loss of a regression. As with CrossEntropy, whoever knows
// the number of rows over all micro-batches divides by it.
//
// x [N, 1], y [N] an input of the tape's type, marks [N] integers -> loss [1].
// Backward: dx = 2 dloss (x - y).
func SquaredError(t *Tape, x, y, marks *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return squaredError[float32](t, x, y, marks)
	}
	return squaredError[float64](t, x, y, marks)
}

func squaredError[T kernel.Float](t *Tape, x, y, marks *G.Node) *G.Node {
	n, _ := matrix("squared_error", "x", x)
	wantShape("squared_error", "x", x, n, 1)
	wantShape("squared_error", "y", y, n)
	wantShape("squared_error", "marks", marks, n)
	o := t.operator("squared_error", tensor.Shape{1})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](in[1])
		var loss float64
		for i, mark := range ints(in[2]) {
			if mark != Ignored {
				d := float64(x[i]) - float64(y[i])
				loss += d * d
			}
		}
		data[T](out)[0] = T(loss)
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("squared_error.grad", tensor.Shape{n, 1})
		back.run = func(in []G.Value, out *tensor.Dense) error {
			x, y, dloss, dx := data[T](in[0]), data[T](in[1]), data[T](in[3])[0], data[T](out)
			for i, mark := range ints(in[2]) {
				dx[i] = 0
				if mark != Ignored {
					dx[i] = 2 * dloss * (x[i] - y[i])
				}
			}
			return nil
		}
		return G.Nodes{t.apply(back, in[0], in[1], in[2], dy), nil, nil}
	}
	return t.apply(o, x, y, marks)
}
