package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// array is a float64 tensor of a test.
type array struct {
	shape []int
	data  []float64
}

// normal draws an array from a normal distribution around 0. The values are
// float32 values, so that a float32 run starts from the very same numbers.
func normal(r *rand.Rand, shape ...int) array {
	a := array{shape, make([]float64, tensor.Shape(shape).TotalSize())}
	for i := range a.data {
		a.data[i] = float64(float32(r.NormFloat64()))
	}
	return a
}

// dense is a in the given type, in memory of its own.
func (a array) dense(dtype tensor.Dtype) *tensor.Dense {
	if dtype == tensor.Float64 {
		return tensor.New(tensor.WithShape(a.shape...), tensor.WithBacking(slices.Clone(a.data)))
	}
	s := make([]float32, len(a.data))
	for i, x := range a.data {
		s[i] = float32(x)
	}
	return tensor.New(tensor.WithShape(a.shape...), tensor.WithBacking(s))
}

// float64s copies the elements of a value.
func float64s(v G.Value) []float64 {
	d := v.(*tensor.Dense)
	if d.Dtype() == tensor.Float64 {
		return slices.Clone(d.Float64s())
	}
	out := make([]float64, 0, d.Size())
	for _, x := range d.Float32s() {
		out = append(out, float64(x))
	}
	return out
}

// memorySink keeps every gradient. Its tensors start as NaN, so that a gradient
// that is added to instead of overwritten is seen.
type memorySink struct {
	grads   map[string]*tensor.Dense
	add     bool
	ready   []string
	onReady func(name string)
	fail    error // what Ready answers
}

func (s *memorySink) Gradient(name string) (*tensor.Dense, bool) { return s.grads[name], s.add }

func (s *memorySink) Ready(name string) error {
	s.ready = append(s.ready, name)
	if s.onReady != nil {
		s.onReady(name)
	}
	return s.fail
}

// graph is a graph under test and its operands.
type graph struct {
	tape   *Tape
	floats map[string]*tensor.Dense
	ints   map[string]*tensor.Dense
	frozen map[string]bool
	sink   *memorySink
	as     Sink // what parameters deliver to in place of sink; nil: sink
}

// p is one use of the named operand as a parameter.
func (g *graph) p(name string) Param {
	v := g.floats[name]
	if g.frozen[name] {
		return g.tape.Param(name, v.Shape(), v, nil)
	}
	if g.as != nil {
		return g.tape.Param(name, v.Shape(), v, g.as)
	}
	return g.tape.Param(name, v.Shape(), v, g.sink)
}

// x is the named operand as an activation in planned memory, which an operator
// may take over.
func (g *graph) x(name string) *G.Node { return copied(g.tape, Value(g.p(name))) }

// i is the named integer operand.
func (g *graph) i(name string) *G.Node { return g.tape.Input(name, g.ints[name]) }

// copied is y = x in memory of its own.
func copied(t *Tape, x *G.Node) *G.Node {
	o := t.operator("copied", x.Shape().Clone())
	o.run = func(in []G.Value, out *tensor.Dense) error { return tensor.Copy(out, in[0].(*tensor.Dense)) }
	o.grad = func(_ *operator, _ G.Nodes, _, dy *G.Node) G.Nodes { return G.Nodes{dy} }
	return t.apply(o, x)
}

// dotLoss is sum(c * y): its gradient hands c to the operator that made y.
func dotLoss(t *Tape, y, c *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return dotLossOf[float32](t, y, c)
	}
	return dotLossOf[float64](t, y, c)
}

func dotLossOf[T kernel.Float](t *Tape, y, c *G.Node) *G.Node {
	wantShape("dot_loss", "c", c, y.Shape()...)
	o := t.operator("dot_loss", tensor.Shape{1})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		var sum float64
		y, c := data[T](in[0]), data[T](in[1])
		for i := range y {
			sum += float64(y[i]) * float64(c[i])
		}
		data[T](out)[0] = T(sum)
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("dot_loss.grad", y.Shape().Clone())
		back.run = func(in []G.Value, out *tensor.Dense) error {
			c, dloss := data[T](in[0]), data[T](in[1])[0]
			for i, dx := 0, data[T](out); i < len(dx); i++ {
				dx[i] = c[i] * dloss
			}
			return nil
		}
		return G.Nodes{t.apply(back, in[1], dy), nil}
	}
	return t.apply(o, y, c)
}

// subject is an operator, or a graph of several, with its operands.
type subject struct {
	name   string
	floats map[string]array // parameters, or activations; each gets a gradient
	ints   map[string][]int
	frozen map[string]bool // of floats: without a gradient
	dy     []float64       // upstream gradient; nil: random
	reads  kernel.Precision
	build  func(g *graph) *G.Node
}

// machine is a subject's graph, ready to run.
type machine struct {
	*graph
	y, loss *G.Node
	vm      G.VM
	plan    *Plan
	arena   *Arena
}

// compile builds s with its gradients, in poisoned memory.
func (s subject) compile(t testing.TB, dtype tensor.Dtype) *machine {
	t.Helper()
	m, err := s.tryCompile(dtype, true)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return m
}

func (s subject) tryCompile(dtype tensor.Dtype, poison bool) (m *machine, err error) {
	m = &machine{graph: s.operands(dtype), arena: &Arena{}}
	m.y = s.build(m.graph)
	dy := array{m.y.Shape().Clone(), s.dy}
	if s.dy == nil {
		dy = normal(rand.New(rand.NewPCG(99, 1)), dy.shape...)
	}
	m.loss = dotLoss(m.tape, m.y, m.tape.Input("dy", dy.dense(dtype)))
	if err := m.tape.Backward(m.loss); err != nil {
		return nil, err
	}
	if err := m.tape.Check(); err != nil {
		return nil, err
	}
	if m.plan, err = m.tape.Plan(poison, m.y, m.loss); err != nil {
		return nil, err
	}
	m.vm = G.NewTapeMachine(m.tape.Graph)
	return m, nil
}

// operands starts a graph with s's tensors.
func (s subject) operands(dtype tensor.Dtype) *graph {
	g := &graph{tape: NewTape(dtype, true), floats: map[string]*tensor.Dense{}, ints: map[string]*tensor.Dense{},
		frozen: s.frozen, sink: &memorySink{grads: map[string]*tensor.Dense{}}}
	g.tape.Precision = s.reads
	for name, a := range s.floats {
		g.floats[name] = a.dense(dtype)
		g.sink.grads[name] = tensor.New(tensor.Of(dtype), tensor.WithShape(a.shape...))
	}
	for name, v := range s.ints {
		g.ints[name] = tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(slices.Clone(v)))
	}
	return g
}

// run runs the graph once.
func (m *machine) run() error {
	m.plan.Bind(m.arena)
	for _, g := range m.sink.grads {
		fill(g, math.NaN())
	}
	m.sink.ready = nil
	return m.tape.Run(m.vm)
}

func fill(d *tensor.Dense, x float64) {
	if err := d.Memset(constant(d.Dtype(), x).Get(0)); err != nil {
		panic(err)
	}
}

// result is what a run computed.
type result struct {
	y, loss []float64
	grads   map[string][]float64
}

// result runs the graph and copies what it computed.
func (m *machine) result(t testing.TB) result {
	t.Helper()
	if err := m.run(); err != nil {
		t.Fatal(err)
	}
	r := result{float64s(m.y.Value()), float64s(m.loss.Value()), map[string][]float64{}}
	for name, g := range m.sink.grads {
		if !m.frozen[name] {
			r.grads[name] = float64s(g)
		}
	}
	return r
}

// same fails unless got equals want within tol of the largest element of want,
// or within tol where want is zero throughout.
func same(t testing.TB, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d elements, want %d", what, len(got), len(want))
		return
	}
	var top float64
	for _, x := range want {
		top = max(top, math.Abs(x))
	}
	if top == 0 {
		top = 1
	}
	for i := range got {
		if diff := math.Abs(got[i] - want[i]); !(diff <= tol*top) {
			t.Errorf("%s[%d] = %.17g, want %.17g (difference %.2g of the largest, %.2g allowed)", what, i, got[i], want[i], diff/top, tol)
			return
		}
	}
}

// sameResult compares all that two runs computed; tol 0 asks for equal bits.
func sameResult(t testing.TB, got, want result, tol float64) {
	t.Helper()
	same(t, "y", got.y, want.y, tol)
	for name, g := range want.grads {
		same(t, "d"+name, got.grads[name], g, tol)
	}
}

// panicOf returns what f panics with, as text.
func panicOf(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}
