package model

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// Program is a network's graph for one mode and shape, and the machine that runs
// it. Programs of one Session share memory, so they run in turn, and what one
// leaves (loss, outputs, sites) is read before another runs.
type Program struct {
	Mode  Mode
	Shape Shape

	g     *Graph
	step  []int // [1], micro-batches so far
	plan  *op.Plan
	vm    G.VM
	arena *op.Arena
}

// ErrNoSite marks a site that a network does not have.
var ErrNoSite = errors.New("model: the network has no such site")

// build makes the program of one mode and shape. Mistakes of the config that
// only show as shapes come back as errors.
func (s *Session) build(m Mode, shape Shape, sites []string) (p *Program, err error) {
	defer CatchShape(&err)
	t := op.NewTape(s.store.Dtype, m == Train || m == Calibrate)
	opts := nn.Options{Seed: s.opts.Seed, Linear: s.opts.Linear, Words: s.opts.Words}
	asked := func(name string) bool {
		return slices.ContainsFunc(sites, func(site string) bool { return matches(site, name) })
	}
	p = &Program{Mode: m, Shape: shape, arena: &s.arena}
	if len(sites) > 0 {
		opts.Tapped = asked
		opts.Added = func(name string, x *G.Node) *G.Node {
			if !asked(AddTo(name)) {
				return x
			}
			return op.Add(t, x, p.g.Floats(AddedLeaf(name), x.Shape()...))
		}
	}
	if t.Training() {
		opts.Sink, opts.Frozen = s.opts.Sink, s.opts.Frozen
	}
	if m == Train {
		t.Precision = s.opts.Precision
		opts.STF = s.opts.STF
		step := tensor.New(tensor.Of(tensor.Int), tensor.WithShape(1))
		opts.Step, p.step = t.Input("step", step), step.Ints()
	}
	p.g = NewGraph(nn.NewBuilder(t, s.store, opts), m, shape)
	p.g.session = s
	if err := s.network.Build(p.g); err != nil {
		return nil, err
	}
	if patterns := p.g.Unmatched(); len(patterns) > 0 {
		return nil, fmt.Errorf("model: no linear layer is named like match = %q, or a later table replaces it", patterns)
	}
	names := slices.Collect(maps.Keys(p.g.Taps()))
	for leaf := range p.g.floats {
		if name, ok := strings.CutPrefix(leaf, AddedLeaf("")); ok {
			names = append(names, AddTo(name))
		}
	}
	for _, site := range sites {
		if !slices.ContainsFunc(names, func(name string) bool { return matches(site, name) }) {
			return nil, fmt.Errorf("%w: %q", ErrNoSite, strings.TrimPrefix(site, AddTo("")))
		}
	}
	return p, p.finish(s.opts.Poison)
}

// AddTo asks [Session.Program] for a site that something is added to, in place of one that is kept: the network goes on with the
// sum of its value and of the leaf AddedLeaf(site), which has its shape and is 0 until it is fed.
func AddTo(site string) string { return "+" + site }

// AddedLeaf is the name of the leaf that is added to a site.
func AddedLeaf(site string) string { return "site/" + site }

// matches tells whether a site's name is meant.
func matches(site, name string) bool {
	ok, _ := path.Match(site, name)
	return ok
}

// CatchShape makes an error of a mismatch of shapes found while a graph is built, or
// of Graph.Refuse.
func CatchShape(err *error) {
	switch r := recover().(type) {
	case nil:
	case *op.ShapeError:
		*err = fmt.Errorf("model: %w", r)
	case refusal:
		*err = r.error
	default:
		panic(r)
	}
}

// finish derives gradients, checks the graph and plans its memory, in which what
// can be read after a run is kept; poison is Options.Poison.
func (p *Program) finish(poison bool) error {
	t := p.g.Tape
	if t.Training() {
		if p.g.loss == nil {
			return errors.New("model: the network has no loss and cannot train")
		}
		if err := t.Backward(p.g.loss); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	if err := t.Check(); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	var pinned []*G.Node
	if p.g.loss != nil {
		pinned = append(pinned, p.g.loss)
	}
	if t.Training() {
		clear(p.g.kept)
	} else {
		for _, name := range slices.Sorted(maps.Keys(p.g.kept)) {
			pinned = append(pinned, p.g.kept[name])
		}
	}
	taps := p.g.Taps()
	for _, name := range slices.Sorted(maps.Keys(taps)) {
		pinned = append(pinned, taps[name])
	}
	var err error
	if p.plan, err = t.Plan(poison, pinned...); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// ActivationBytes is the memory that one run needs beside parameters and
// gradients.
func (p *Program) ActivationBytes() int { return p.plan.Bytes() }

// HeldBytes is the memory of tables that the program makes in its first run and
// keeps.
func (p *Program) HeldBytes() int { return p.g.Tape.HeldBytes() }

// Rehearse calls the session's sink in the order of a run, without computing
// gradients; see [op.Plan.Rehearse].
func (p *Program) Rehearse() error { return p.plan.Rehearse() }

// Ints is the memory of an integer leaf, to be filled before a run. A name that the
// network lacks is a mistake of the program.
func (p *Program) Ints(leaf string) []int { return p.g.Values(leaf) }

// Floats is a floating-point leaf, likewise.
func (p *Program) Floats(leaf string) Rows { return RowsOf(named("leaf", leaf, p.g.floats).data) }

// Has tells whether there is a leaf of that name.
func (p *Program) Has(leaf string) bool { return p.g.ints[leaf] != nil || p.g.floats[leaf] != nil }

// Feed copies values into leaves by name; a leaf that the network lacks is left out,
// and nil clears one.
func (p *Program) Feed(ints map[string][]int) {
	for name, values := range ints {
		l := p.g.ints[name]
		if l == nil {
			continue
		}
		if values == nil {
			clear(l.data.Ints())
		}
		copy(l.data.Ints(), values)
	}
}

// Output is a result of the last run that the program keeps; see [Graph.Output].
func (p *Program) Output(name string) Rows {
	if n := p.g.Taps()[name]; n != nil {
		return RowsOf(n.Value().(*tensor.Dense))
	}
	return RowsOf(named("kept output", name, p.g.kept).Value().(*tensor.Dense))
}

// Site is a value inside the network that the program was asked to keep.
func (p *Program) Site(name string) Rows {
	return RowsOf(named("site", name, p.g.Taps()).Value().(*tensor.Dense))
}

// named is the entry of that name.
func named[V any](what, name string, all map[string]V) V {
	v, ok := all[name]
	if !ok {
		panic(fmt.Sprintf("model: no %s %q; there are: %s", what, name, strings.Join(slices.Sorted(maps.Keys(all)), ", ")))
	}
	return v
}

// SetStep sets the count of micro-batches that dropout's masks depend on.
func (p *Program) SetStep(n int) {
	if p.step != nil {
		p.step[0] = n
	}
}

// Reserve takes the memory of a run. Called of the largest of a session's programs, before any has run, it spares the others from
// taking some that is then too small.
func (p *Program) Reserve() { p.plan.Bind(p.arena) }

// Run executes the program.
func (p *Program) Run() error {
	if p.vm == nil {
		p.vm = G.NewTapeMachine(p.g.Tape.Graph)
	}
	p.plan.Bind(p.arena)
	if err := p.g.Tape.Run(p.vm); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// Loss is the last run's loss in nats, summed over its targets; 0 of a network that has none in this mode.
func (p *Program) Loss() float64 {
	if p.g.loss == nil {
		return 0
	}
	return RowsOf(p.g.loss.Value().(*tensor.Dense)).Float64s()[0]
}
