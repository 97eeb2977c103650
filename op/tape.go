package op

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Tape is a graph under construction: the operators applied so far, the leaves
// whose gradients are wanted, and the buffers that a Plan will place.
type Tape struct {
	Graph *G.ExprGraph
	Dtype tensor.Dtype

	// Precision is what the products of layers read their operands as, convolutions and attention included; what decodes, losses
	// and the recurrent products of a GRU read them as they are. It is set before the first operator.
	Precision kernel.Precision

	training bool
	planned  bool
	silent   bool // the first pass of a checkpointed block: nothing is recorded
	names    map[string]bool
	leaves   map[*G.Node]bool // leaves that want a gradient: true until read
	wrt      G.Nodes
	ops      []*operator
	uses     map[string]*uses
	params   map[*G.Node]Param // that want a gradient
	nextID   uint64
	held     int   // bytes; see HeldBytes
	failure  error // of the operator that failed, while differentiating or running
}

// NewTape starts an empty graph whose floating-point values are of type dtype
// (tensor.Float32 or tensor.Float64). Without training no operator keeps
// anything for a backward pass and Backward is an error.
func NewTape(dtype tensor.Dtype, training bool) *Tape {
	return &Tape{
		Graph: G.NewGraph(), Dtype: dtype, training: training,
		names: map[string]bool{}, leaves: map[*G.Node]bool{}, uses: map[string]*uses{}, params: map[*G.Node]Param{},
	}
}

// Training says whether the tape records what a backward pass needs.
func (t *Tape) Training() bool { return t.training }

// records says whether operators applied now keep what their gradients need.
func (t *Tape) records() bool { return t.training && !t.silent }

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

// HeldBytes is the memory of tables that operators make in the first run and
// keep, beside what Plan places.
func (t *Tape) HeldBytes() int { return t.held }

// Input makes a leaf over the caller's tensor, which is aliased: new contents
// written into it are what the next run sees. A name used before, or an empty
// one, is a programmer's error and panics, since Gorgonia would silently merge
// the two nodes.
func (t *Tape) Input(name string, value *tensor.Dense) *G.Node {
	return t.leaf(name, value.Dtype(), value.Shape(), value)
}

func (t *Tape) leaf(name string, dtype tensor.Dtype, shape tensor.Shape, value *tensor.Dense) *G.Node {
	if name == "" || t.names[name] {
		panic(fmt.Sprintf("op: input name %q is empty or used before", name))
	}
	t.names[name] = true
	opts := []G.NodeConsOpt{G.WithShape(shape...), G.WithName(name)}
	if value != nil {
		opts = append(opts, G.WithValue(value))
	}
	return G.NewTensor(t.Graph, dtype, shape.Dims(), opts...)
}

// Param makes a leaf for one use of the named parameter. A parameter that is
// used twice (tied weights) is two leaves over one value, so that its two
// gradients meet in the sink and not in a stock addition. Without a value the
// graph can be planned but not run. A nil sink wants no gradient. The values are
// shared, not copied.
func (t *Tape) Param(name string, shape tensor.Shape, value *tensor.Dense, sink Sink) Param {
	unique := name
	for i := 1; t.names[unique]; i++ {
		unique = fmt.Sprintf("%s#%d", name, i)
	}
	if !t.records() {
		sink = nil
	}
	if value != nil {
		// The machine writes into the header of a bound tensor, and graphs of several goroutines may share the values.
		value = value.ShallowClone()
	}
	p := Param{Node: t.leaf(unique, t.Dtype, shape, value), name: name, sink: sink, tape: t}
	if sink != nil {
		if t.uses[name] == nil {
			t.uses[name] = &uses{}
		}
		p.uses = t.uses[name]
		p.uses.total++
		t.leaves[p.Node] = true
		t.params[p.Node] = p
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

// ErrUnreachable reports a gradient that would have been lost: a parameter that
// does not lead to the loss, or a value with several readers of which one does not.
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
	t.failure = nil
	if _, err := t.backpropagate(loss, seed, t.wrt); err != nil {
		if t.failure != nil {
			return t.failure // without Gorgonia's wrapping, which hides the cause from errors.Is
		}
		return err
	}
	return nil
}

func (t *Tape) backpropagate(y, dy *G.Node, wrt G.Nodes) (grads G.Nodes, err error) {
	defer catch(&err)
	reached := map[*G.Node]bool{}
	reach(y, reached)
	for _, n := range wrt {
		if !reached[n] {
			return nil, fmt.Errorf("%w: %v does not lead to the loss", ErrUnreachable, n.Name())
		}
	}
	return G.Backpropagate(G.Nodes{y}, G.Nodes{dy}, wrt)
}

// reach marks n and every node below it that Gorgonia will differentiate by.
func reach(n *G.Node, reached map[*G.Node]bool) {
	if reached[n] {
		return
	}
	reached[n] = true
	o, ok := n.Op().(*operator)
	if !ok {
		return
	}
	for i, wanted := range o.DiffWRT(len(o.in)) {
		if wanted {
			reach(o.in[i], reached)
		}
	}
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

// Run executes the graph once on its machine. It returns the error of the
// operator that failed, without the machine's own wrapping.
func (t *Tape) Run(vm G.VM) error {
	t.failure = nil
	for _, u := range t.uses {
		u.delivered = 0 // a run that failed may have stopped between two uses
	}
	vm.Reset() // without it RunAll does nothing, and says nothing
	if err := vm.RunAll(); err != nil {
		if t.failure != nil {
			return t.failure
		}
		return fmt.Errorf("op: %w", err)
	}
	return nil
}
