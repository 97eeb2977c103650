package decoder

import (
	"context"
	"fmt"
	"time"

	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: a micro-batch has B sequences with T tokens each under way; D model width.

// AFDStats are what GenerateAFD took: the time from the first token read to the
// last one written, and for how much of it each stage computed.
type AFDStats struct {
	Wall, Attention, FFN time.Duration
}

// GenerateAFD is Generate with attention and FFN disaggregated, as in serving
// Step-3 (StepFun 2025, section 4), here within one process: the attention stage,
// which is the caller's goroutine, has the caches, the embedding, the norms and the
// output head, the FFN stage, a goroutine of its own, the FFNs. The prompts are
// split into microBatches groups. While the FFN stage has a layer of one group, the
// attention stage works on another, always in the same order, so that the tokens do
// not depend on time:
//
//	attention  A0 a | A0 b | A1 a | A1 b | A2 a ..       layers 0, 1, 2; groups a, b
//	FFN             | F0 a | F0 b | F1 a | F1 b ..
//
// The tokens of each sequence are those of Generate, but where two scores are equal
// to rounding, since a smaller batch may be summed in another order.
//
// While it runs, the kernels' pool, which cannot be divided, has one thread less:
// the stage that finds it taken works on its own goroutine alone. So with two
// threads each stage has one.
//
// The caches are those that o asks for but for their sizes.
func (c Config) GenerateAFD(ctx context.Context, text model.Text, store *nn.Store, o model.Options, prompts [][]int, opts GenerateOptions, microBatches int, emit func(seq, token int) error) (AFDStats, error) {
	longest, err := checkPrompts(prompts, opts)
	if err != nil {
		return AFDStats{}, err
	}
	if microBatches < 1 || microBatches > len(prompts) {
		return AFDStats{}, fmt.Errorf("model: %d micro-batches of %d sequences; want 1 to %d", microBatches, len(prompts), len(prompts))
	}
	capacity := longest + opts.Tokens
	if c.Positions == "learned" && capacity > text.Length {
		return AFDStats{}, fmt.Errorf("model: %d tokens; learned positions end at %d: ask for fewer tokens or shorten the prompt", capacity, text.Length)
	}
	p := &afd{cfg: c, text: text, store: store, opts: o, capacity: capacity, rotary: c.rotary(capacity, store.Dtype), ffns: map[int][]*stageProgram{}}
	for i := range microBatches {
		from, to := i*len(prompts)/microBatches, (i+1)*len(prompts)/microBatches
		m, err := p.newMicroBatch(prompts[from:to], newWriter(opts, from, to-from, emit))
		if err != nil {
			return AFDStats{}, err
		}
		p.groups = append(p.groups, m)
	}
	defer kernel.SetThreads(kernel.Threads())
	kernel.SetThreads(max(1, kernel.Threads()-1))
	return p.run(ctx)
}

// afd is one generation: the attention stage's state, and the FFN stage's.
type afd struct {
	cfg      Config
	text     model.Text
	store    *nn.Store
	opts     model.Options
	capacity int // tokens of a sequence
	rotary   *op.RotaryTable
	groups   []*microBatch

	attention, ffn stage
	ffns           map[int][]*stageProgram // by rows B*T, of each layer
	queue          chan afdJob
}

// afdJob is one layer's FFN of the tokens that a micro-batch has under way.
type afdJob struct {
	m     *microBatch
	batch *afdTokens
	layer int
}

// microBatch is a group of sequences on its way through the layers.
type microBatch struct {
	prompts [][]int
	writer  *writer
	caches  []*op.KVCache // of each layer
	past    []int         // [B], tokens in the caches
	logits  [][]float64   // [B, V]

	chunks []int              // of the prompts, not read yet
	read   int                // tokens of the prompts that are
	tokens map[int]*afdTokens // by T
	now    *afdTokens         // under way
	layer  int                // that is next
	done   bool
	back   chan error // the FFN stage's answer
}

// afdTokens is what travels between the stages for tokens of one shape, and the
// attention stage's programs of that shape.
type afdTokens struct {
	tokens, positions, past, fresh, last []int
	residual                             *tensor.Dense // [B*T, D], after attention; it stays with its stage
	normed                               *tensor.Dense // [B*T, D], to the FFN
	update                               *tensor.Dense // [B*T, D], from it
	layers                               []*stageProgram
	head                                 *stageProgram
}

func (p *afd) newMicroBatch(prompts [][]int, w *writer) (*microBatch, error) {
	layout := p.cfg.cacheLayout(p.capacity, p.store.Dtype)
	layout.Int8 = p.opts.Int8Cache
	var caches []*op.KVCache
	for range p.cfg.NLayer {
		caches = append(caches, op.NewKVCache(p.store.Dtype, len(prompts), p.capacity, layout))
	}
	m := &microBatch{
		prompts: prompts, writer: w, past: make([]int, len(prompts)), logits: make([][]float64, len(prompts)), caches: caches,
		chunks: chunks(prompts), tokens: map[int]*afdTokens{}, back: make(chan error, 1),
	}
	for _, n := range append([]int{1}, m.chunks...) {
		if m.tokens[n] != nil {
			continue
		}
		var err error
		if m.tokens[n], err = p.newTokens(m, n); err != nil {
			return nil, err
		}
	}
	m.next()
	return m, nil
}

// next makes the next chunk of the prompts the tokens under way, or says that
// there is none.
func (m *microBatch) next() bool {
	if len(m.chunks) == 0 {
		return false
	}
	n := m.chunks[0]
	m.now = m.tokens[n]
	readChunk(m.prompts, m.read, n, m.now.tokens, m.now.fresh)
	m.read, m.chunks = m.read+n, m.chunks[1:]
	return true
}

// run works through all layers of all micro-batches in turn, as the attention
// stage, with the FFN stage beside it.
func (p *afd) run(ctx context.Context) (AFDStats, error) {
	p.queue = make(chan afdJob, len(p.groups))
	finished := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(finished)
		p.serveFFN()
	}()
	err := p.attend(ctx)
	close(p.queue)
	<-finished
	return AFDStats{Wall: time.Since(began), Attention: p.attention.busy, FFN: p.ffn.busy}, err
}

// attend is the attention stage.
func (p *afd) attend(ctx context.Context) error {
	for live := true; live; {
		live = false
		for _, m := range p.groups {
			if m.done {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.step(m); err != nil {
				return err
			}
			live = live || !m.done
		}
	}
	return nil
}

// step brings a micro-batch from one FFN to the next, through the output head and
// back to the first layer if that was the last.
func (p *afd) step(m *microBatch) error {
	if m.layer > 0 {
		if err := <-m.back; err != nil {
			return err
		}
	}
	if m.layer == len(m.caches) {
		if err := p.finish(m); err != nil || m.done {
			return err
		}
	}
	now := m.now
	if m.layer == 0 {
		copy(now.past, m.past)
		place(m.past, now.fresh, now.positions, now.last, p.capacity)
	}
	program := now.layers[m.layer]
	if err := p.attention.run(program); err != nil {
		return err
	}
	program.take(now.residual, now.normed)
	p.queue <- afdJob{m, now, m.layer}
	m.layer++
	return nil
}

// finish computes the scores after the tokens under way and prepares what comes
// after them: the rest of the prompts, or the tokens chosen.
func (p *afd) finish(m *microBatch) error {
	if err := p.attention.run(m.now.head); err != nil {
		return err
	}
	takeScores(model.RowsOf(m.now.head.out[0].Value().(*tensor.Dense)).Float64s(), m.now.fresh, m.past, m.logits)
	m.layer = 0
	if m.next() {
		return nil
	}
	m.now = m.tokens[1]
	live, err := m.writer.write(m.logits, m.now.tokens, m.now.fresh)
	m.done = !live
	return err
}

// serveFFN is the FFN stage: it answers jobs in their order.
func (p *afd) serveFFN() {
	for j := range p.queue {
		program := p.ffns[j.batch.normed.Shape()[0]][j.layer]
		assignTensor(program.in, j.batch.normed)
		err := p.ffn.run(program)
		if err == nil {
			program.take(j.batch.update)
		}
		j.m.back <- err
	}
}
