package model

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// Graph is a network under construction, for one mode and shape: leaves that are
// fed by name, results that are read by name, and the loss.
type Graph struct {
	*nn.Builder
	Mode  Mode
	Shape Shape

	session *Session
	ints    map[string]*leaf
	floats  map[string]*leaf
	outputs map[string]*G.Node
	kept    map[string]*G.Node // of those, what Score and Infer keep
	loss    *G.Node            // [1], a sum over targets; nil: none
}

// NewGraph begins a graph on a tape of the caller's, which has no caches.
func NewGraph(b *nn.Builder, m Mode, shape Shape) *Graph {
	return &Graph{
		Builder: b, Mode: m, Shape: shape,
		ints: map[string]*leaf{}, floats: map[string]*leaf{}, outputs: map[string]*G.Node{}, kept: map[string]*G.Node{},
	}
}

// Values is the memory of an integer leaf that has been asked for.
func (g *Graph) Values(name string) []int { return named("leaf", name, g.ints).data.Ints() }

// leaf is an input of a graph and its memory.
type leaf struct {
	node *G.Node
	data *tensor.Dense
}

// Ints is the integer leaf of that name, of n elements, which are 0 until they are
// fed. Who asks for it again gets the same.
func (g *Graph) Ints(name string, n int) *G.Node {
	return g.leaf(g.ints, name, tensor.Int, tensor.Shape{n})
}

// Floats is the floating-point leaf of that name and shape.
func (g *Graph) Floats(name string, shape ...int) *G.Node {
	return g.leaf(g.floats, name, g.Tape.Dtype, shape)
}

func (g *Graph) leaf(all map[string]*leaf, name string, dtype tensor.Dtype, shape tensor.Shape) *G.Node {
	l := all[name]
	if l == nil {
		d := tensor.New(tensor.Of(dtype), tensor.WithShape(shape.Clone()...))
		l = &leaf{g.Tape.Input(name, d), d}
		all[name] = l
	}
	if !l.data.Shape().Eq(shape) {
		panic(&op.ShapeError{Op: "leaf", What: name, Got: l.data.Shape(), Want: fmt.Sprint([]int(shape))})
	}
	return l.node
}

// Parameter is the memory of a floating-point leaf that the caller binds itself.
func (g *Graph) Parameter(name string, shape ...int) *tensor.Dense {
	d := tensor.New(tensor.Of(g.Tape.Dtype), tensor.WithShape(shape...))
	g.floats[name] = &leaf{data: d}
	return d
}

// Positions is the leaf of that name, [B*T]: the place of each token in its
// sequence, as if each row began one.
func (g *Graph) Positions() *G.Node {
	_, asked := g.ints["positions"]
	x := g.Ints("positions", g.Shape.Rows*g.Shape.Length)
	if asked {
		return x
	}
	for i := range g.Values("positions") {
		g.Values("positions")[i] = i % g.Shape.Length
	}
	return x
}

// Constant is an integer input that nobody feeds.
func (g *Graph) Constant(name string, values []int) *G.Node {
	return g.Tape.Input(name, tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values)))
}

// Output names a result. It is kept until the next run in Score and Infer; in other
// modes where it is asked for as a site.
func (g *Graph) Output(name string, x *G.Node) {
	g.Offer(name, x)
	g.kept[name] = x
}

// Offer names a result that is too large to be kept for nobody, such as one for each
// token: it is kept in Infer, and in other modes where it is asked for as a site.
func (g *Graph) Offer(name string, x *G.Node) {
	g.outputs[name] = x
	g.Tap(name, x)
	if g.Mode == Infer {
		g.kept[name] = x
	}
}

// Loss adds a sum over targets to the loss; nothing in Infer.
func (g *Graph) Loss(sum func() *G.Node) {
	switch {
	case g.Mode == Infer:
	case g.loss == nil:
		g.loss = sum()
	default:
		g.loss = op.Add(g.Tape, g.loss, sum())
	}
}

// Cache is the session's cache of that name; only Infer has some.
func (g *Graph) Cache(name string, layout op.CacheLayout) *op.KVCache {
	return g.session.cache(name, layout)
}

// Capacity is how many tokens of a sequence the session's caches hold.
func (g *Graph) Capacity() int { return max(1, g.session.opts.Capacity) }

// refusal is why a body cannot be built as a graph wants it.
type refusal struct{ error }

// Refuse ends the building of a graph with an error.
func (g *Graph) Refuse(format string, args ...any) {
	panic(refusal{fmt.Errorf("model: "+format, args...)})
}
