package op

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Tape is a graph under construction: the operators applied so far, the leaves
// whose gradients are wanted, and the buffers that a Plan will place.
type Tape struct {
	Graph *G.ExprGraph
	Dtype tensor.Dtype

	training bool
	names    map[string]bool
	leaves   map[*G.Node]bool // leaves that want a gradient
	wrt      G.Nodes
	ops      []*operator
	uses     map[string]*uses
	nextID   uint64
}

// NewTape starts an empty graph whose floating-point values are of type dtype
// (tensor.Float32 or tensor.Float64). Without training no operator keeps
// anything for a backward pass and Backward is an error.
func NewTape(dtype tensor.Dtype, training bool) *Tape {
	return &Tape{
		Graph: G.NewGraph(), Dtype: dtype, training: training,
		names: map[string]bool{}, leaves: map[*G.Node]bool{}, uses: map[string]*uses{},
	}
}

// Training says whether the tape records what a backward pass needs.
func (t *Tape) Training() bool { return t.training }

// Sink receives parameters' gradients inside the run.
type Sink interface {
	// Gradient returns the tensor for the gradient of the named parameter and
	// whether to add to it; if not, its contents are undefined and are overwritten.
	Gradient(name string) (dst *tensor.Dense, add bool)
	// Ready says that the gradient is complete: every use of the parameter in the
	// graph has delivered its share, and nothing in the run reads the parameter's
	// value any more, so it may be updated.
	Ready(name string) error
}

// Param is one use of a parameter in a graph.
type Param struct {
	Node *G.Node
	name string
	sink Sink  // nil: no gradient wanted
	uses *uses // of the parameter in this graph
	tape *Tape
}

// uses counts the readers of one parameter that want its gradient.
type uses struct{ total, delivered int }

// Shape of the parameter's value.
func (p Param) Shape() tensor.Shape { return p.Node.Shape() }

// open returns where a backward operator puts p's gradient, and whether to add.
func (p Param) open() (dst *tensor.Dense, add bool) {
	dst, add = p.sink.Gradient(p.name)
	return dst, add || p.uses.delivered > 0
}

// close says that p's whole share is delivered.
func (p Param) close() error {
	p.uses.delivered++
	if p.uses.delivered < p.uses.total {
		return nil
	}
	p.uses.delivered = 0
	return p.sink.Ready(p.name)
}

func (p Param) wanted() bool { return p.sink != nil }

// Input makes a leaf over the caller's tensor, which is aliased: new contents
// written into it are what the next run sees. A name used before, or an empty
// one, is a programmer's error and panics, since Gorgonia would silently merge
// the two nodes.
func (t *Tape) Input(name string, value *tensor.Dense) *G.Node {
	if name == "" || t.names[name] {
		panic(fmt.Sprintf("op: input name %q is empty or used before", name))
	}
	t.names[name] = true
	return G.NewTensor(t.Graph, value.Dtype(), value.Dims(),
		G.WithShape(value.Shape()...), G.WithName(name), G.WithValue(value))
}

// Param makes a leaf for one use of the named parameter. A parameter that is
// used twice (tied weights) is two leaves over one value, so that its two
// gradients meet in the sink and not in a stock addition.
func (t *Tape) Param(name string, value *tensor.Dense, sink Sink) Param {
	unique := name
	for i := 1; t.names[unique]; i++ {
		unique = fmt.Sprintf("%s#%d", name, i)
	}
	if !t.training {
		sink = nil
	}
	p := Param{Node: t.Input(unique, value), name: name, sink: sink, tape: t}
	if sink != nil {
		if t.uses[name] == nil {
			t.uses[name] = &uses{}
		}
		p.uses = t.uses[name]
		p.uses.total++
		t.leaves[p.Node] = true
		t.wrt = append(t.wrt, p.Node)
	}
	return p
}

// anchor makes the one-element leaf through which an operator stays reachable
// for Gorgonia's differentiation when all its differentiable inputs are read
// elsewhere too (see operator.secondary).
func (t *Tape) anchor(name string) *G.Node {
	n := t.Input(name, tensor.New(tensor.Of(t.Dtype), tensor.WithShape(1)))
	t.leaves[n] = true
	t.wrt = append(t.wrt, n)
	return n
}

// ErrUnreachable reports a value whose gradient would have been lost.
var ErrUnreachable = errors.New("op: gradient lost")

// Backward extends the graph by the derivative of the one-element node loss
// with respect to every parameter that has a sink.
func (t *Tape) Backward(loss *G.Node) error {
	if !t.training {
		return errors.New("op: Backward on a tape that does not train")
	}
	if len(t.wrt) == 0 {
		return errors.New("op: no parameter wants a gradient: everything is frozen")
	}
	seed := t.Input("loss.seed", constant(t.Dtype, 1))
	if _, err := t.backpropagate(loss, seed, t.wrt); err != nil {
		return err
	}
	for _, o := range t.ops {
		if len(o.pending) > 0 {
			return fmt.Errorf("%w: %v has gradients that its first reader does not lead to the loss", ErrUnreachable, o)
		}
	}
	return nil
}

func (t *Tape) backpropagate(y, dy *G.Node, wrt G.Nodes) (grads G.Nodes, err error) {
	defer catch(&err)
	return G.Backpropagate(G.Nodes{y}, G.Nodes{dy}, wrt)
}

// constant is a one-element tensor.
func constant(dtype tensor.Dtype, x float64) *tensor.Dense {
	if dtype == tensor.Float32 {
		return tensor.New(tensor.WithShape(1), tensor.WithBacking([]float32{float32(x)}))
	}
	return tensor.New(tensor.WithShape(1), tensor.WithBacking([]float64{x}))
}

// Check reports what Gorgonia would get wrong in silence: two nodes with one
// hash, of which it would drop one, and stock operators, several of which have
// wrong gradients. Leaves have no operator.
func (t *Tape) Check() error {
	seen := map[uint32]*G.Node{}
	for _, n := range t.Graph.AllNodes() {
		if n.Op() != nil {
			if _, ok := n.Op().(*operator); !ok {
				return fmt.Errorf("op: stock operator %v in the graph", n.Op())
			}
		}
		if other, ok := seen[n.Hashcode()]; ok && other != n {
			return fmt.Errorf("op: nodes %v and %v have the same hash: Gorgonia would merge them", n, other)
		}
		seen[n.Hashcode()] = n
	}
	return nil
}
