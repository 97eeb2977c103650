package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Checkpoint is y = f(x) that keeps only x for the backward pass: f runs a
// second time there, just before its gradients (Chen et al. 2016). f is called
// twice while the graph is built and must do the same both times; it binds its
// parameters itself.
func Checkpoint(t *Tape, x *G.Node, f func(x *G.Node) *G.Node) *G.Node {
	if src, ok := x.Op().(*operator); !t.records() || !ok || !src.needs {
		return f(x)
	}
	t.silent = true // the first pass keeps nothing
	y := f(x)
	t.silent = false
	o := t.viewOf("checkpoint", y.Shape().Clone(), 1)
	o.run = nothing
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		// x once more, but not before dy is known: so the second pass runs late.
		again := t.viewOf("recompute", x.Shape().Clone(), 0)
		again.run = nothing
		x2 := t.apply(again, in[0], dy)
		again.needs = true
		var dx *G.Node
		again.grad = func(_ *operator, _ G.Nodes, _, dx2 *G.Node) G.Nodes {
			dx = dx2
			return make(G.Nodes, 2)
		}
		outer := t.wrt
		t.wrt = nil
		y2 := f(x2)
		inner := t.wrt
		t.wrt = outer
		if _, err := t.backpropagate(y2, dy, append(inner, x2)); err != nil {
			panic(err)
		}
		return G.Nodes{dx, nil}
	}
	return t.apply(o, x, y)
}

// nothing is the run of an operator whose output is in place already.
func nothing([]G.Value, *tensor.Dense) error { return nil }
