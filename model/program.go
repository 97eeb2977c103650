package model

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// Program is a network's graph for one shape of input, and the machine that
// runs it. Programs of one Session share memory, so they run in turn, and what
// one leaves (loss, logits, taps) is read before another runs.
type Program struct {
	Batch, SeqLen int

	tokens, targets, positions []int // [Batch*SeqLen]; targets of a classifier [Batch]; of images only targets, of scoring
	types                      []int // [Batch*SeqLen], of an encoder
	lengths                    []int // [Batch], but of a decoder
	rows                       []int // of a masked language model, as targets: [Batch*MaskedTokens(SeqLen)]; of explaining the places it looks at
	step                       []int // [1], micro-batches so far
	past, fresh, last          []int // [Batch], of cached decoding

	tape   *op.Tape
	plan   *op.Plan
	vm     G.VM
	arena  *op.Arena
	loss   *G.Node       // [1], sum over targets; nil when decoding
	logits *G.Node       // [Batch*SeqLen, V]; when decoding [Batch, V]; of a classifier [Batch, C]
	truth  *tensor.Dense // [Batch], of a regression
	pixels *tensor.Dense // [Batch*SeqLen, channels], of images
	soft   *tensor.Dense // [Batch, C], targets of images in training

	teacher *tensor.Dense // as logits, of a teacher
	counts  *tensor.Dense // [rows of the logits], how much each counts in the distance to the teacher

	pixelGradient *inputGradient     // of explaining
	taps          map[string]*G.Node // by name
}

// mode is what a program computes.
type mode int

const (
	training   mode = iota // loss and gradients
	scoring                // loss
	decoding               // logits of each sequence's last token, over a cache
	explaining             // gradients of an image
)

// intInput adds an integer leaf of n elements and returns its memory.
func intInput(t *op.Tape, name string, n int) (*G.Node, []int) {
	d := tensor.New(tensor.Of(tensor.Int), tensor.WithShape(n))
	return t.Input(name, d), d.Ints()
}

// build makes the program of one mode and shape. Mistakes of the config that
// only show as shapes come back as errors.
func (s *Session) build(m mode, batch, seqLen int) (p *Program, err error) {
	defer catchShape(&err)
	t := op.NewTape(s.store.Dtype, m == training || m == explaining)
	p = &Program{Batch: batch, SeqLen: seqLen, tape: t, arena: &s.arena}
	opts := nn.Options{Seed: s.opts.Seed, Linear: s.cfg.Linear, Tapped: s.opts.Tapped}
	switch m {
	case training:
		opts.Sink, opts.Frozen, opts.Straight = s.opts.Sink, s.opts.Frozen, s.opts.Straight
		opts.Step, p.step = intInput(t, "step", 1)
	case explaining:
		opts.Tapped = attentionOperand
	}
	b := nn.NewBuilder(t, s.store, opts)
	switch {
	case m == explaining:
		s.explain(p, b)
	case s.dims.ImageSize > 0:
		s.see(p, b, m)
	default:
		s.read(p, b, m)
	}
	if patterns := b.Unmatched(); len(patterns) > 0 {
		return nil, fmt.Errorf("model: no linear layer is named like match = %q, or a later table replaces it", patterns)
	}
	if m == training && s.opts.Distill != nil {
		if err := s.distill(p); err != nil {
			return nil, err
		}
	}
	return p, p.finish(b, m, m == decoding || m != training && (s.dims.Outputs() > 0 || s.opts.Scores), s.opts.Poison)
}

// read extends a program by a network that reads tokens.
func (s *Session) read(p *Program, b *nn.Builder, m mode) {
	t, n := p.tape, p.Batch*p.SeqLen
	tokens, tokenData := intInput(t, "tokens", n)
	positions, positionData := intInput(t, "positions", n)
	p.tokens, p.positions = tokenData, positionData
	for i := range p.positions {
		p.positions[i] = i % p.SeqLen
	}
	seq := nn.SeqInfo{Batch: p.Batch, SeqLen: p.SeqLen, Positions: positions}
	dims := s.dims
	if m == decoding {
		seq.Cache = &nn.SeqCache{Layers: s.cache}
		seq.Cache.Past, p.past = intInput(t, "past", p.Batch)
		seq.Cache.Fresh, p.fresh = intInput(t, "fresh", p.Batch)
		dims.Context = s.capacity
	}
	switch {
	case s.cfg.Kind == "decoder":
		p.predict(b, NewDecoder(b, s.cfg, dims), tokens, seq, m)
	case dims.Outputs() == 0:
		s.predictMasked(p, b, tokens, seq)
	default:
		s.classify(p, b, tokens, seq)
	}
}

// catchShape makes an error of a mismatch of shapes found while a graph is built.
func catchShape(err *error) {
	if r := recover(); r != nil {
		e, ok := r.(*op.ShapeError)
		if !ok {
			panic(r)
		}
		*err = fmt.Errorf("model: %w", e)
	}
}

// predict extends a program by a language model's scores of the next token and
// its loss; when decoding only by the scores after each sequence's last token.
func (p *Program) predict(b *nn.Builder, network *Decoder, tokens *G.Node, seq nn.SeqInfo, m mode) {
	x := network.Hidden(tokens, seq)
	if m == decoding {
		var last *G.Node
		last, p.last = intInput(p.tape, "last", p.Batch)
		p.logits = network.Logits(op.Rows(p.tape, x, last))
		return
	}
	var targets *G.Node
	targets, p.targets = intInput(p.tape, "targets", p.Batch*p.SeqLen)
	p.logits = network.Logits(x)
	b.Tap("logits", p.logits)
	p.loss = op.CrossEntropy(p.tape, p.logits, targets)
}

// finish derives gradients, checks the graph and plans its memory, in which the
// logits are kept if keep says so; poison is Options.Poison.
func (p *Program) finish(b *nn.Builder, m mode, keep, poison bool) error {
	if p.tape.Training() {
		if err := p.tape.Backward(p.loss); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	if err := p.tape.Check(); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	var pinned []*G.Node
	if p.loss != nil {
		pinned = append(pinned, p.loss)
	}
	if keep {
		pinned = append(pinned, p.logits)
	}
	p.taps = b.Taps()
	for _, n := range p.taps {
		pinned = append(pinned, n)
	}
	var err error
	if p.plan, err = p.tape.Plan(poison, pinned...); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// ActivationBytes is the memory that one run needs beside parameters and
// gradients.
func (p *Program) ActivationBytes() int { return p.plan.Bytes() }

// HeldBytes is the memory of tables that the program makes in its first run and
// keeps.
func (p *Program) HeldBytes() int { return p.tape.HeldBytes() }

// Rehearse calls the session's sink in the order of a run, without computing
// gradients; see [op.Plan.Rehearse].
func (p *Program) Rehearse() error { return p.plan.Rehearse() }

// Feed sets the tokens and targets of the next run, both [Batch*SeqLen].
func (p *Program) Feed(tokens, targets []int) {
	copy(p.tokens, tokens)
	copy(p.targets, targets)
}

// SetStep sets the count of micro-batches that dropout's masks depend on.
func (p *Program) SetStep(n int) {
	if p.step != nil {
		p.step[0] = n
	}
}

// Run executes the program.
func (p *Program) Run() error {
	if p.vm == nil {
		p.vm = G.NewTapeMachine(p.tape.Graph)
	}
	p.plan.Bind(p.arena)
	if err := p.tape.Run(p.vm); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// Loss is the last run's loss in nats, summed over its targets.
func (p *Program) Loss() float64 { return scalars(p.loss)[0] }

// scores returns the last run's logits, row by row; only the programs of decoding
// and of scoring by a classifier keep them (others do if the tap "logits" is asked
// for).
func (p *Program) scores() []float64 { return scalars(p.logits) }

// Tap returns a copy of a value that Options.Tapped asked for, and its shape.
func (p *Program) Tap(name string) ([]float64, tensor.Shape) {
	n := p.taps[name]
	if n == nil {
		return nil, nil
	}
	return scalars(n), n.Shape().Clone()
}

// scalars copies a node's value.
func scalars(n *G.Node) []float64 {
	return floatsOf(n.Value().(*tensor.Dense))
}

// floatsOf copies a tensor's values.
func floatsOf(d *tensor.Dense) []float64 {
	if d.Dtype() == tensor.Float64 {
		return append([]float64(nil), d.Float64s()...)
	}
	out := make([]float64, len(d.Float32s()))
	for i, x := range d.Float32s() {
		out[i] = float64(x)
	}
	return out
}
