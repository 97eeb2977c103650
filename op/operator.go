package op

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"io"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// operator is the gorgonia.Op behind every function of this package.
type operator struct {
	tape  *Tape
	name  string
	id    uint64
	shape tensor.Shape // of the output
	typ   hm.Type

	// run computes the output from the inputs. It never panics on values and
	// never keeps in or out.
	run func(in []G.Value, out *tensor.Dense) error
	// grad extends the graph by the gradients of the inputs, nil where none is
	// wanted (see operator.wants). An input that is a parameter delivers its
	// gradient to its sink; any node computed with it stands in its place here.
	grad func(o *operator, in G.Nodes, out, dy *G.Node) G.Nodes

	delivers []*Param // whose gradients run hands to their sinks
	byRows   bool     // in blocks of rows, where a sink takes them so

	in    G.Nodes
	out   *buffer       // the output's memory, unless it is a view
	view  int           // the output is this input's memory; -1: it is not
	other *tensor.Dense // a view's tensor where its shape is not the input's
	aux   []*buffer     // private memory: what forward keeps for backward, further outputs
	dying []*buffer     // buffers without readers after this operator (set when poisoning)

	diff      []bool  // inputs that want a gradient
	secondary []bool  // of those, inputs whose gradient goes to the producer's pending list
	pending   G.Nodes // gradients of the output from secondary readers
	read      bool    // the output has a first reader that wants a gradient
	needs     bool    // some parameter below wants a gradient
	anchored  bool    // the last child is the anchor
}

// operator starts an operator whose output may take the memory of one of the
// inputs listed in inPlace.
func (t *Tape) operator(name string, shape tensor.Shape, inPlace ...int) *operator {
	return &operator{name: name, shape: shape, view: -1, out: t.buffer(shape.TotalSize(), inPlace...)}
}

// viewOf starts an operator whose output is its input i, unchanged but for the
// shape.
func (t *Tape) viewOf(name string, shape tensor.Shape, i int) *operator {
	return &operator{name: name, shape: shape, view: i}
}

// apply adds o over the inputs to the graph.
func (t *Tape) apply(o *operator, in ...*G.Node) *G.Node {
	t.nextID++
	o.tape, o.id = t, t.nextID
	o.diff, o.secondary = make([]bool, len(in)), make([]bool, len(in))
	if o.grad != nil && t.records() {
		t.track(o, in)
		for _, s := range o.secondary {
			if s && !o.anchored {
				in = append(in[:len(in):len(in)], t.anchor(fmt.Sprintf("%s.%d.anchor", o.name, o.id)))
				o.anchored = true
			}
		}
	}
	types := make([]hm.Type, 0, len(in)+1)
	for _, n := range in {
		types = append(types, n.Type())
	}
	o.typ = hm.NewFnType(append(types, G.TensorType{Dims: o.shape.Dims(), Of: t.Dtype})...)
	o.in = in
	n := G.Must(G.ApplyOp(o, in...))
	t.ops = append(t.ops, o)
	return n
}

// track decides which inputs want a gradient and which of those are read by an
// operator before this one.
func (t *Tape) track(o *operator, in G.Nodes) {
	for i, n := range in {
		src, _ := n.Op().(*operator)
		switch {
		case src == nil:
			unread, wanted := t.leaves[n]
			if wanted && !unread {
				panic(fmt.Sprintf("op: parameter %q is read twice; each use is a Param of its own", n.Name()))
			}
			if o.diff[i] = unread; unread {
				t.leaves[n] = false
			}
		case src.needs:
			o.diff[i] = true
			o.secondary[i] = src.read
			src.read = true
		}
		o.needs = o.needs || o.diff[i]
	}
}

// wants says whether input i wants a gradient.
func (o *operator) wants(i int) bool { return o.diff[i] }

// takePending removes and returns a gradient of the node n that another of its
// readers has delivered already, for the caller to add to its own; nil if none.
func takePending(n *G.Node) *G.Node {
	src, _ := n.Op().(*operator)
	if src == nil || len(src.pending) == 0 {
		return nil
	}
	last := len(src.pending) - 1
	g := src.pending[last]
	src.pending = src.pending[:last]
	return g
}

// DiffWRT implements gorgonia.SDOp. Secondary inputs are hidden from Gorgonia,
// which would sum their gradients with an allocating stock operator.
func (o *operator) DiffWRT(inputs int) []bool {
	d := make([]bool, inputs)
	for i := range o.diff {
		d[i] = o.diff[i] && !o.secondary[i]
	}
	if o.anchored {
		d[inputs-1] = true
	}
	return d
}

// SymDiff implements gorgonia.SDOp.
func (o *operator) SymDiff(in G.Nodes, out, dy *G.Node) (grads G.Nodes, err error) {
	defer func() {
		if err != nil && o.tape.failure == nil {
			o.tape.failure = err
		}
	}()
	defer catch(&err)
	for _, g := range o.pending {
		dy = addGrad(dy, g)
	}
	o.pending = nil
	grads = o.grad(o, in[:len(o.diff)], out, dy)
	for i, n := range in[:len(o.diff)] {
		if p, ok := o.tape.params[n]; ok {
			back := grads[i].Op().(*operator)
			back.delivers = append(back.delivers, &p)
		}
	}
	for i, secondary := range o.secondary {
		if secondary {
			src := in[i].Op().(*operator)
			src.pending = append(src.pending, grads[i])
			grads[i] = nil
		}
	}
	if o.anchored {
		grads = append(grads, dy)
	}
	return grads, nil
}

// Do implements gorgonia.Op. The tape machine calls it in a goroutine of its
// own, where a panic would kill the process: it becomes an error.
func (o *operator) Do(in ...G.Value) (v G.Value, err error) {
	defer func() {
		if err != nil {
			o.tape.failure = fmt.Errorf("op: %s: %w", o.name, err)
		}
	}()
	defer catch(&err)     // runs first; recover works in a deferred function only
	in = in[:len(o.diff)] // without the anchor
	out := o.output(in)
	if err := o.run(in, out); err != nil {
		return nil, err
	}
	for _, b := range o.dying {
		b.poison()
	}
	return out, nil
}

// output returns the tensor that the operator fills.
func (o *operator) output(in []G.Value) *tensor.Dense {
	if o.view < 0 {
		return o.out.tensor(o.shape)
	}
	src := in[o.view].(*tensor.Dense)
	if src.Shape().Eq(o.shape) {
		return src
	}
	if o.other == nil || o.other.Uintptr() != src.Uintptr() {
		o.other = tensor.New(tensor.WithShape(o.shape...), tensor.WithBacking(src.Data()))
	}
	return o.other
}

// catch turns a panic into an error.
func catch(err *error) {
	if r := recover(); r != nil {
		if e, ok := r.(error); ok {
			*err = e
		} else {
			*err = fmt.Errorf("op: %v", r)
		}
	}
}

// The rest of gorgonia.Op.

func (o *operator) Arity() int           { return len(o.diff) + btoi(o.anchored) }
func (o *operator) Type() hm.Type        { return o.typ }
func (o *operator) ReturnsPtr() bool     { return true }
func (o *operator) CallsExtern() bool    { return false } // true would allocate an output in every run
func (o *operator) OverwritesInput() int { return -1 }    // memory is planned by Plan, not by the tape machine
func (o *operator) String() string       { return fmt.Sprintf("%s#%d", o.name, o.id) }
func (o *operator) WriteHash(h hash.Hash) {
	io.WriteString(h, o.name)
	binary.Write(h, binary.LittleEndian, o.id)
}
func (o *operator) Hashcode() uint32                               { h := fnv.New32a(); o.WriteHash(h); return h.Sum32() }
func (o *operator) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.shape, nil }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
