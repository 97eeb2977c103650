package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Expand is y = x W: a linear layer by a weight that another one reads transposed, such as the second factor of a tied
// embedding F P, whose head computes F (P h).
//
// x [N, I], w [I, O] -> y [N, O].
//
// Backward: dx = dy Wᵀ, dW = xᵀ dy.
func Expand(x *G.Node, w Param) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return expand[float32](x, w)
	}
	return expand[float64](x, w)
}

func expand[T kernel.Float](x *G.Node, w Param) *G.Node {
	n, in := matrix("expand", "x", x)
	win, out := matrix("expand", "weight", w.Node)
	if in != win {
		panic(&ShapeError{"expand", "x", x.Shape(), fmt.Sprintf("[N, %d]", win)})
	}
	o := w.tape.operator("expand", tensor.Shape{n, out})
	reads := w.tape.Precision
	o.run = func(in []G.Value, y *tensor.Dense) error {
		kernel.GemmAs(reads, false, false, n, out, win, 1, data[T](in[0]), win, data[T](in[1]), out, 0, data[T](y), out)
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		dx := expandGrad[T](o, in, dy, w)
		return G.Nodes{dx, dx}
	}
	return w.tape.apply(o, x, w.Node)
}

// expandGrad adds the operator that computes both gradients and returns its node: dx, or where x wants none a stand-in for
// that of the weight.
func expandGrad[T kernel.Float](o *operator, in G.Nodes, dy *G.Node, w Param) *G.Node {
	const iDy, iX, iW, iAcc = 0, 1, 2, 3
	n, width := matrix("expand", "x", in[0])
	out := w.Shape()[1]
	wantX := o.wants(0)
	operands := []*G.Node{dy, in[0], in[1]}
	shape, inPlace := tensor.Shape{1}, []int(nil)
	if wantX {
		shape = tensor.Shape{n, width}
		if acc := takePending(in[0]); acc != nil {
			operands, inPlace = append(operands, acc), []int{iAcc}
		}
	}
	back := o.tape.operator("expand.grad", shape, inPlace...)
	back.byRows = true
	reads := o.tape.Precision
	back.run = func(in []G.Value, dxt *tensor.Dense) error {
		dy, x, wt := data[T](in[iDy]), data[T](in[iX]), data[T](in[iW])
		if wantX { // before W changes
			dx := data[T](dxt)
			var beta T
			if len(in) > iAcc {
				beta = 1
				assign(dx, data[T](in[iAcc]))
			}
			kernel.GemmAs(reads, false, true, n, width, out, 1, dy, out, wt, out, beta, dx, width)
		}
		if w.inRows() {
			return w.deliverRows(func(dst *tensor.Dense, lo, hi int) {
				kernel.GemmAs(reads, true, false, hi-lo, out, n, 1, x[lo:], width, dy, out, 0, data[T](dst), out)
			})
		}
		if !w.wanted() {
			return nil
		}
		dw, add := w.open()
		kernel.GemmAs(reads, true, false, width, out, n, 1, x, width, dy, out, betaOf[T](add), data[T](dw), out)
		return w.close()
	}
	return o.tape.apply(back, operands...)
}
