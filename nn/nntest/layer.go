package nntest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// Layer is a layer at work: how it is made and used, and what it should give.
type Layer struct {
	// Build makes the layer, uses it once and returns its output [N, C], C at least 2. It is called several times, for
	// numbers of either type: b.Tape.Dtype says which; once to declare its arrays, without values. Inputs come from [Input], integers from b.Tape.Input.
	Build func(b *nn.Builder) *G.Node
	// Naive is the output, row by row, of parameters and inputs by name; nil: the values are not checked.
	Naive  func(v map[string][]float64) []float64
	Shape  []int     // of the output; nil: any
	Linear []nn.Rule // how its linear layers are represented; nil: dense
	Words  nn.Table  // and the embedding of words; nil: dense
}

// Input is an input [rows, width] of a layer as a parameter of that name, so that [Check] knows its values and checks its
// gradient too.
func Input(b *nn.Builder, name string, rows, width int) *G.Node {
	return op.Value(b.Weight(name, nn.Normal(1), rows, width).Use())
}

// Check makes all checks that need nothing but the layer: [Equation], [Threads] and [Stored].
func Check(t testing.TB, l Layer) {
	t.Helper()
	Equation(t, l)
	Threads(t, l)
	Stored(t, l)
}

// Refuses checks that a layer cannot be built: build must panic with an *op.ShapeError that has want in its message, or,
// if want is empty, must not. It builds on a store without memory, so that a layer may be huge. Other panics pass through.
func Refuses(t testing.TB, want string, linear []nn.Rule, build func(b *nn.Builder)) {
	t.Helper()
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	RefusesIn(t, store, want, linear, build)
}

// RefusesIn is [Refuses] over a store that may have arrays already.
func RefusesIn(t testing.TB, store *nn.Store, want string, linear []nn.Rule, build func(b *nn.Builder)) {
	t.Helper()
	err := refusal(func() {
		build(nn.NewBuilder(op.NewTape(store.Dtype, false), store, nn.Options{Linear: linear}))
	})
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("built, want it refused with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("refused with %q, want %q", err.Error(), want)
	}
}

// refusal is the mistake that f panics with; nil: none.
func refusal(f func()) (err *op.ShapeError) {
	defer func() {
		if r := recover(); r != nil {
			shape, ok := r.(*op.ShapeError)
			if !ok {
				panic(r)
			}
			err = shape
		}
	}()
	f()
	return nil
}

// machine is a layer that runs into a cross entropy.
type machine struct {
	t     testing.TB
	tape  *op.Tape
	store *nn.Store
	grads *nn.Gradients
	out   *G.Node
	loss  *G.Node
	vm    G.VM
	plan  *op.Plan
	arena *op.Arena
}

// newMachine builds the layer over a store. Dead memory of its runs is overwritten by NaN.
func newMachine(t testing.TB, l Layer, store *nn.Store, seed uint64) *machine {
	t.Helper()
	m := &machine{t: t, tape: op.NewTape(store.Dtype, true), store: store, grads: nn.NewGradients(store), arena: &op.Arena{}}
	m.out = l.Build(nn.NewBuilder(m.tape, store, nn.Options{Seed: seed, Sink: m.grads, Linear: l.Linear, Words: l.Words}))
	shape := m.out.Shape()
	if l.Shape != nil && !slices.Equal([]int(shape), l.Shape) {
		t.Fatalf("the output has shape %v, want %v", []int(shape), l.Shape)
	}
	if shape.Dims() != 2 || shape[1] < 2 {
		t.Fatalf("the output has shape %v, want [N, C] with C at least 2", []int(shape))
	}
	return m
}

// draw gives every parameter and input random numbers.
func (m *machine) draw() {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range m.names() {
		value := m.store.Get(name)
		for i := range value.Size() {
			nn.SetAt(value, i, 0.2+0.6*r.NormFloat64())
		}
	}
}

// start makes the loss, against targets that do not depend on the layer, and the plan of a run.
func (m *machine) start() {
	m.t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	targets := make([]int, m.out.Shape()[0])
	for i := range targets {
		targets[i] = r.IntN(m.out.Shape()[1])
	}
	m.loss = op.CrossEntropy(m.tape, m.out, m.tape.Input("targets of the test", tensor.New(tensor.WithBacking(targets), tensor.WithShape(len(targets)))))
	if err := m.tape.Backward(m.loss); err != nil {
		m.t.Fatal(err)
	}
	if err := m.tape.Check(); err != nil {
		m.t.Fatal(err)
	}
	plan, err := m.tape.Plan(true, m.out, m.loss)
	if err != nil {
		m.t.Fatal(err)
	}
	m.plan, m.vm = plan, G.NewTapeMachine(m.tape.Graph)
}

// run computes output, loss and gradients, and returns the loss.
func (m *machine) run() float64 {
	m.t.Helper()
	m.plan.Bind(m.arena)
	if err := m.tape.Run(m.vm); err != nil {
		m.t.Fatal(err)
	}
	return floats(m.loss.Value().(*tensor.Dense))[0]
}

// names are the parameters in an order that numbers drawn may depend on.
func (m *machine) names() []string { return slices.Sorted(slices.Values(m.store.Names())) }

// floats copies a tensor's numbers.
func floats(d *tensor.Dense) []float64 {
	if d.Dtype() == tensor.Float64 {
		return slices.Clone(d.Float64s())
	}
	var x []float64
	for _, v := range d.Float32s() {
		x = append(x, float64(v))
	}
	return x
}
