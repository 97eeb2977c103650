package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Linear is y = x Wᵀ + b.
//
// x [N, I], w [O, I], b [O] or nil -> y [N, O].
//
// Backward: dx = dy W, dW = dyᵀ x, db = sum over rows of dy. A gradient of x that
// another reader has delivered before is added by the same matrix product.
func Linear(x *G.Node, w Param, b *Param) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return linear[float32](x, w, b)
	}
	return linear[float64](x, w, b)
}

func linear[T kernel.Float](x *G.Node, w Param, b *Param) *G.Node {
	n, in := matrix("linear", "x", x)
	out, win := matrix("linear", "weight", w.Node)
	if in != win {
		panic(&ShapeError{"linear", "x", x.Shape(), fmt.Sprintf("[N, %d]", win)})
	}
	o := w.tape.operator("linear", tensor.Shape{n, out})
	operands := []*G.Node{x, w.Node}
	if b != nil {
		wantShape("linear", "bias", b.Node, out)
		operands = append(operands, b.Node)
	}
	reads := w.tape.Precision
	o.run = func(in []G.Value, y *tensor.Dense) error {
		linearForward(reads, data[T](y), data[T](in[0]), data[T](in[1]), biasOf[T](in, 2), n)
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		dx := linearGrad[T](o, in, dy, w, b)
		return G.Nodes{dx, dx, dx}[:len(in)]
	}
	return w.tape.apply(o, operands...)
}

func biasOf[T kernel.Float](in []G.Value, i int) []T {
	if i < len(in) {
		return data[T](in[i])
	}
	return nil
}

// linearForward computes y = x Wᵀ + b for n rows.
func linearForward[T kernel.Float](reads kernel.Precision, y, x, w, b []T, n int) {
	if n == 0 {
		return
	}
	in, out := len(x)/n, len(y)/n
	if b != nil {
		kernel.GemmBiasAs(reads, false, true, n, out, in, x, in, w, in, b, y, out)
		return
	}
	kernel.GemmAs(reads, false, true, n, out, in, 1, x, in, w, in, 0, y, out)
}

// linearGrad adds the operator that computes all gradients of a linear layer and
// returns its node: dx, or where x wants no gradient a stand-in for the weights'.
func linearGrad[T kernel.Float](o *operator, in G.Nodes, dy *G.Node, w Param, b *Param) *G.Node {
	const iDy, iX, iW, iAcc = 0, 1, 2, 3
	n, width := matrix("linear", "x", in[0])
	out := w.Shape()[0]
	wantX := o.wants(0)
	operands := []*G.Node{dy, in[0], in[1]}
	shape, inPlace := tensor.Shape{1}, []int(nil)
	if wantX {
		// x is read before dx is written, so dx may take its place.
		shape, inPlace = tensor.Shape{n, width}, []int{iAcc, iX}
		if acc := takePending(in[0]); acc != nil {
			operands = append(operands, acc)
		} else {
			inPlace = inPlace[1:]
		}
		if w.rowBlock() > 0 {
			inPlace = inPlace[:len(inPlace)-1] // W changes while x is still read, so dx comes first
		}
	}
	back := o.tape.operator("linear.grad", shape, inPlace...)
	back.byRows = true
	reads := o.tape.Precision
	back.run = func(in []G.Value, dxt *tensor.Dense) error {
		dy, x, wt := data[T](in[iDy]), data[T](in[iX]), data[T](in[iW])
		giveX := func() {
			if !wantX {
				return
			}
			dx := data[T](dxt)
			var beta T
			if len(in) > iAcc {
				beta = 1
				assign(dx, data[T](in[iAcc]))
			}
			kernel.GemmAs(reads, false, false, n, width, out, 1, dy, out, wt, width, beta, dx, width)
		}
		byRows := w.inRows()
		if byRows {
			giveX()
		} else if w.wanted() && b != nil && b.wanted() {
			dw, add := w.open()
			db, addSums := b.open()
			kernel.GemmSumsAs(reads, out, width, n, dy, out, x, width, betaOf[T](add), data[T](dw), width, data[T](db), addSums)
		} else if w.wanted() {
			dw, add := w.open()
			kernel.GemmAs(reads, true, false, out, width, n, 1, dy, out, x, width, betaOf[T](add), data[T](dw), width)
		}
		if b != nil && b.wanted() && (byRows || !w.wanted()) {
			db, add := b.open()
			kernel.ColSum(data[T](db), dy, n, out, add)
		}
		if !byRows {
			giveX()
			return closeAll(&w, b)
		}
		if err := w.deliverRows(func(dst *tensor.Dense, lo, hi int) {
			kernel.GemmAs(reads, true, false, hi-lo, width, n, 1, dy[lo:], out, x, width, 0, data[T](dst), width)
		}); err != nil {
			return err
		}
		return closeAll(b)
	}
	return o.tape.apply(back, operands...)
}

// betaOf is the factor of a matrix product's old contents.
func betaOf[T kernel.Float](add bool) T {
	if add {
		return 1
	}
	return 0
}

// assign copies src to dst unless they are the same memory.
func assign[T any](dst, src []T) {
	if len(dst) > 0 && &dst[0] != &src[0] {
		copy(dst, src)
	}
}

// closeAll reports to the sinks that this use of the parameters is done.
func closeAll(params ...*Param) error {
	for _, p := range params {
		if p != nil && p.wanted() {
			if err := p.close(); err != nil {
				return err
			}
		}
	}
	return nil
}
