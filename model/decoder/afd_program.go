package decoder

import (
	"fmt"
	"time"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// stage is a part of the network whose programs run in turn in one memory.
type stage struct {
	arena op.Arena
	busy  time.Duration
}

// stageProgram is a part of one layer as a graph of its own.
type stageProgram struct {
	tape *op.Tape
	plan *op.Plan
	vm   G.VM
	in   *tensor.Dense // of an FFN: [B*T, D]
	out  []*G.Node     // kept until the stage's next run
}

func (s *stage) run(p *stageProgram) error {
	began := time.Now()
	defer func() { s.busy += time.Since(began) }()
	p.plan.Bind(&s.arena)
	if err := p.tape.Run(p.vm); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// take copies the program's results.
func (p *stageProgram) take(to ...*tensor.Dense) {
	for i, dst := range to {
		assignTensor(dst, p.out[i].Value().(*tensor.Dense))
	}
}

// assignTensor copies the elements of a tensor of the same size and type.
func assignTensor(dst, src *tensor.Dense) {
	if dst.Dtype() == tensor.Float32 {
		copy(dst.Float32s(), src.Float32s())
		return
	}
	copy(dst.Float64s(), src.Float64s())
}

// newStageProgram makes the program of what part computes with a decoder.
func (p *afd) newStageProgram(part func(d *decoder) []*G.Node) (sp *stageProgram, err error) {
	defer model.CatchShape(&err)
	t := op.NewTape(p.store.Dtype, false)
	b := nn.NewBuilder(t, p.store, nn.Options{Seed: p.opts.Seed, Linear: p.opts.Linear, Words: p.opts.Words})
	sp = &stageProgram{tape: t, out: part(newDecoder(b, p.cfg, p.text, p.rotary))}
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if sp.plan, err = t.Plan(p.opts.Poison, sp.out...); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	sp.vm = G.NewTapeMachine(t.Graph)
	return sp, nil
}

// newTokens makes room for T tokens a sequence of a micro-batch, and the programs
// of their shape.
func (p *afd) newTokens(m *microBatch, seqLen int) (*afdTokens, error) {
	batch, d := len(m.prompts), p.cfg.DModel
	n := batch * seqLen
	matrix := func() *tensor.Dense { return tensor.New(tensor.Of(p.store.Dtype), tensor.WithShape(n, d)) }
	a := &afdTokens{
		tokens: make([]int, n), positions: make([]int, n), past: make([]int, batch), fresh: make([]int, batch), last: make([]int, batch),
		residual: matrix(), normed: matrix(), update: matrix(),
	}
	for layer := range p.cfg.NLayer {
		program, err := p.newStageProgram(func(d *decoder) []*G.Node { return a.attention(d, m.caches, seqLen, layer) })
		if err != nil {
			return nil, err
		}
		a.layers = append(a.layers, program)
	}
	var err error
	if a.head, err = p.newStageProgram(a.logits); err != nil || p.ffns[n] != nil {
		return a, err
	}
	for layer := range p.cfg.NLayer {
		in := matrix()
		program, err := p.newStageProgram(func(d *decoder) []*G.Node {
			return []*G.Node{d.blocks[layer].mlp.Forward(d.b.Tape.Input("normed", in))}
		})
		if err != nil {
			return nil, err
		}
		program.in = in
		p.ffns[n] = append(p.ffns[n], program)
	}
	return a, nil
}

// attention is the attention stage's part of a layer: it completes the residual
// stream by the FFN of the layer before, or starts it from the tokens, and returns
// it after attention, and what the FFN reads, both [B*T, D].
func (a *afdTokens) attention(d *decoder, caches []*op.KVCache, seqLen, layer int) []*G.Node {
	t := d.b.Tape
	input := func(name string, data []int) *G.Node {
		return t.Input(name, tensor.New(tensor.WithShape(len(data)), tensor.WithBacking(data)))
	}
	seq := nn.SeqInfo{Batch: len(a.fresh), SeqLen: seqLen}
	slots := make([]int, len(a.fresh))
	for i := range slots {
		slots[i] = i
	}
	seq.Cache = &nn.SeqCache{Layers: caches, Slots: input("slots", slots), Past: input("past", a.past), Fresh: input("fresh", a.fresh)}
	if layer == 0 || d.positions == nil {
		seq.Positions = input("positions", a.positions)
	}
	var x *G.Node
	if layer == 0 {
		x = d.input(input("tokens", a.tokens), seq)
	} else {
		x = a.stream(t)
	}
	x = d.blocks[layer].attend(x, seq)
	return []*G.Node{x, d.blocks[layer].postNorm.Forward(x)}
}

// stream is the residual stream [B*T, D] after a layer.
func (a *afdTokens) stream(t *op.Tape) *G.Node {
	return op.Add(t, t.Input("residual", a.residual), t.Input("update", a.update))
}

// logits are the scores after each sequence's last token, [B, V].
func (a *afdTokens) logits(d *decoder) []*G.Node {
	t := d.b.Tape
	last := t.Input("last", tensor.New(tensor.WithShape(len(a.last)), tensor.WithBacking(a.last)))
	x := op.Rows(t, a.stream(t), last)
	return []*G.Node{d.Logits(d.norm.Forward(x))}
}
