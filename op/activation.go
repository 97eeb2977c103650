package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Activation is a named elementwise function, y = f(x):
// "silu" x sigmoid(x); "gelu" x Phi(x); "gelu_tanh" its tanh approximation
// (Hendrycks and Gimpel 2016); "relu"; "tanh"; "sigmoid".
func Activation(t *Tape, kind string, x *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return activation[float32](t, kind, x)
	}
	return activation[float64](t, kind, x)
}

// function is an elementwise function and its derivative. fromOutput says that
// the derivative is computed from y and not from x.
type function[T kernel.Float] struct {
	forward    func(dst, x []T)
	backward   func(dx, dy, xOrY []T)
	fromOutput bool
}

func functionOf[T kernel.Float](kind string) function[T] {
	switch kind {
	case "silu":
		return function[T]{kernel.SiLU[T], kernel.SiLUGrad[T], false}
	case "gelu":
		return function[T]{kernel.GELU[T], kernel.GELUGrad[T], false}
	case "gelu_tanh":
		return function[T]{kernel.GELUTanh[T], kernel.GELUTanhGrad[T], false}
	case "relu":
		return function[T]{kernel.ReLU[T], kernel.ReLUGrad[T], false}
	case "tanh":
		return function[T]{kernel.Tanh[T], kernel.TanhGrad[T], true}
	case "sigmoid":
		return function[T]{kernel.Sigmoid[T], kernel.SigmoidGrad[T], true}
	}
	panic(fmt.Sprintf("op: no activation %q", kind))
}

func activation[T kernel.Float](t *Tape, kind string, x *G.Node) *G.Node {
	f := functionOf[T](kind)
	o := t.operator(kind, x.Shape().Clone(), 0)
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		kernel.Ranges(len(y), elementGrain, func(lo, hi int) { f.forward(y[lo:hi], x[lo:hi]) })
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator(kind+".grad", x.Shape().Clone(), 0, 1)
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, v, dx := data[T](in[0]), data[T](in[1]), data[T](out)
			kernel.Ranges(len(dx), elementGrain, func(lo, hi int) { f.backward(dx[lo:hi], dy[lo:hi], v[lo:hi]) })
			return nil
		}
		saved := in[0]
		if f.fromOutput {
			saved = y
		}
		return G.Nodes{t.apply(back, dy, saved)}
	}
	return t.apply(o, x)
}

// SwiGLU is y = silu(gate) * up, elementwise (Shazeer 2020).
func SwiGLU(t *Tape, gate, up *G.Node) *G.Node {
	wantShape("swiglu", "up", up, gate.Shape()...)
	if t.Dtype == tensor.Float32 {
		return swiGLU[float32](t, gate, up)
	}
	return swiGLU[float64](t, gate, up)
}

func swiGLU[T kernel.Float](t *Tape, gate, up *G.Node) *G.Node {
	shape := gate.Shape().Clone()
	o := t.operator("swiglu", shape, 0)
	o.run = func(in []G.Value, out *tensor.Dense) error {
		gate, up, y := data[T](in[0]), data[T](in[1]), data[T](out)
		kernel.Ranges(len(y), elementGrain, func(lo, hi int) { kernel.SwiGLU(y[lo:hi], gate[lo:hi], up[lo:hi]) })
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		const iDy, iGate, iUp = 0, 1, 2
		dup := t.buffer(shape.TotalSize(), iUp)
		back := t.operator("swiglu.grad", shape, iGate)
		back.aux = []*buffer{dup}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, gate, up, dgate, dup := data[T](in[iDy]), data[T](in[iGate]), data[T](in[iUp]), data[T](out), floats[T](dup)
			kernel.Ranges(len(dy), elementGrain, func(lo, hi int) {
				kernel.SwiGLUGrad(dgate[lo:hi], dup[lo:hi], dy[lo:hi], gate[lo:hi], up[lo:hi])
			})
			return nil
		}
		dgate := t.apply(back, dy, in[0], in[1])
		return G.Nodes{dgate, t.further(dgate, dup, shape)}
	}
	return t.apply(o, gate, up)
}

// further is the node of a second output of the operator behind first: the
// private buffer b, in which first's run has left it.
func (t *Tape) further(first *G.Node, b *buffer, shape tensor.Shape) *G.Node {
	o := &operator{name: "output", shape: shape, view: -1, out: b}
	o.run = nothing
	return t.apply(o, first)
}
