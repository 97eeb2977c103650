package decode

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"sparrow/kernel"
	"sparrow/model"
)

var (
	// ErrFull says that all slots are taken.
	ErrFull = errors.New("decode: no free slot")
	// ErrTooLong says that a request needs more tokens than a slot has.
	ErrTooLong = errors.New("decode: prompt and tokens exceed the cache")
)

// defaultChunk is how many tokens of a prompt are read at once.
const defaultChunk = 128

// maxRows is the most sequences of one program: up to there a product gives a row the
// same bits whatever is beside it.
const maxRows = 32

// Options of a batch. Slots, capacity and type of the caches are the session's.
type Options struct {
	Chunk       int   // tokens of a prompt that are read together; 0: 128
	PrefixBytes int64 // of keys and values of whole chunks that are kept for prompts that begin alike; 0: none
}

// Request is a sequence to continue.
type Request struct {
	Prompt  []int
	Tokens  int           // to write, at most
	Sampler model.Sampler // how they are chosen
	Choice  int           // which of several continuations: each has draws of its own

	// Logprobs asks for the log-probability of each token, and of the likeliest ones beside it; 0: neither.
	Logprobs int

	// Allow, if not nil, changes the scores of the next token: -Inf forbids one. It has no state of its own, so that forks
	// part.
	Allow func(written []int, scores []float32)

	// Stop, if not nil, ends the sequence behind what has been written.
	Stop func(written []int) bool
}

// Finish is why a sequence has ended.
type Finish string

// Ends of a sequence.
const (
	Stopped Finish = "stop"   // Request.Stop said so of its last token
	Length  Finish = "length" // it has all tokens that it wanted
)

// Token is what a step has written.
type Token struct {
	Slot    int
	ID      int
	Logprob float64     // where Request.Logprobs asks for it
	Likely  []Candidate // as many as Request.Logprobs, the likeliest first
	Finish  Finish      // "": the sequence goes on
}

// Candidate is a token that might have been written.
type Candidate struct {
	ID      int
	Logprob float64
}

// slot is a sequence under way.
type slot struct {
	Request
	used    bool
	ended   bool
	order   int // of admission
	past    int // places in the caches
	written []int
}

// Batch is the sequences that share a session's caches. It belongs to one goroutine.
type Batch struct {
	s        *model.Session
	o        Options
	slots    []slot
	capacity int
	admitted int
	prefixes *prefixes
	scores   []float32 // of a row, scratch
}

// New prepares to continue sequences. A network that does not run over caches is an
// error.
func New(s *model.Session, o Options) (*Batch, error) {
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	if o.Chunk < 1 || o.PrefixBytes < 0 {
		return nil, fmt.Errorf("decode: chunks of %d tokens and %d bytes of prefixes; want at least 1 and 0", o.Chunk, o.PrefixBytes)
	}
	p, err := s.Program(model.Infer, model.Shape{Rows: 1, Length: 1})
	if err != nil {
		return nil, err
	}
	if !p.Has("slots") {
		return nil, errors.New("decode: the network labels texts or fills gaps and cannot continue a text; want a decoder")
	}
	n, capacity := s.Slots()
	return &Batch{s: s, o: o, slots: make([]slot, n), capacity: capacity, prefixes: newPrefixes(o.PrefixBytes)}, nil
}

// Admit takes a slot and computes nothing.
func (b *Batch) Admit(r Request) (int, error) {
	switch {
	case len(r.Prompt) == 0:
		return 0, errors.New("decode: the prompt is empty: a model continues at least one token")
	case r.Tokens < 1:
		return 0, fmt.Errorf("decode: %d tokens to write; want at least 1", r.Tokens)
	case r.Tokens > b.capacity || len(r.Prompt) > b.capacity-r.Tokens:
		return 0, fmt.Errorf("%w: %d and %d, of %d", ErrTooLong, len(r.Prompt), r.Tokens, b.capacity)
	}
	i := slices.IndexFunc(b.slots, func(s slot) bool { return !s.used })
	if i < 0 {
		return 0, ErrFull
	}
	b.admitted++
	r.Prompt = slices.Clone(r.Prompt)
	b.slots[i] = slot{Request: r, used: true, order: b.admitted}
	return i, nil
}

// Release frees a slot, at whatever point its sequence is.
func (b *Batch) Release(slot int) { b.slots[slot].used = false }

// Fork continues the sequence of a slot in another one too, as another choice.
func (b *Batch) Fork(from, choice int) (int, error) {
	to := slices.IndexFunc(b.slots, func(s slot) bool { return !s.used })
	if to < 0 {
		return 0, ErrFull
	}
	f := b.slots[from]
	b.admitted++
	f.Choice, f.written, f.order = choice, slices.Clone(f.written), b.admitted
	b.slots[to] = f
	for _, c := range b.s.Caches() {
		c.SetPlaces(to, 0, f.past, c.Places(from, 0, f.past))
	}
	return to, nil
}

// Step reads a chunk of one prompt, the one that has waited longest, and continues
// every sequence whose prompt is read by a token.
func (b *Batch) Step(ctx context.Context) ([]Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var live []int
	reading := -1
	for i := range b.slots {
		switch s := &b.slots[i]; {
		case !s.used || s.ended:
		case s.past >= len(s.Prompt):
			live = append(live, i)
		case reading < 0 || s.order < b.slots[reading].order:
			reading = i
		}
	}
	var out []Token
	if reading >= 0 {
		t, err := b.read(reading)
		if err != nil {
			return nil, err
		}
		out = t
	}
	for len(live) > 0 {
		n := min(maxRows, len(live))
		t, err := b.advance(live[:n])
		if err != nil {
			return nil, err
		}
		out, live = append(out, t...), live[n:]
	}
	return out, nil
}

// read takes over or computes chunks of a prompt up to the first that it computes. The
// last one gives the first token, so it is always computed.
func (b *Batch) read(i int) ([]Token, error) {
	s := &b.slots[i]
	for s.past+b.o.Chunk < len(s.Prompt) && b.prefixes.restore(b.s.Caches(), i, s.Prompt[:s.past+b.o.Chunk], b.o.Chunk) {
		s.past += b.o.Chunk
	}
	n := min(b.o.Chunk, len(s.Prompt)-s.past)
	p, err := b.s.Program(model.Infer, model.Shape{Rows: 1, Length: b.length(n)})
	if err != nil {
		return nil, err
	}
	b.feed(p, 0, i, s.Prompt[s.past:s.past+n])
	if err := p.Run(); err != nil {
		return nil, err
	}
	if s.past += n; s.past < len(s.Prompt) {
		b.prefixes.keep(b.s.Caches(), i, s.Prompt[:s.past], n)
		return nil, nil
	}
	t, err := b.choose(i, p.Output("logits"), 0)
	return []Token{t}, err
}

// length is that of the program for n tokens of a prompt: one of few, in which they
// have the bits that they have in one of n tokens.
func (b *Batch) length(n int) int {
	length := 1
	for length < n {
		length *= 2
	}
	return max(n, min(length, b.o.Chunk))
}

// advance continues sequences by a token.
func (b *Batch) advance(live []int) ([]Token, error) {
	rows := 1
	for rows < len(live) {
		rows *= 2
	}
	p, err := b.s.Program(model.Infer, model.Shape{Rows: rows, Length: 1})
	if err != nil {
		return nil, err
	}
	for row := range rows {
		if row < len(live) {
			s := &b.slots[live[row]]
			b.feed(p, row, live[row], s.written[len(s.written)-1:])
		} else {
			p.Ints("fresh")[row], p.Ints("past")[row] = 0, 0 // nobody's
		}
	}
	if err := p.Run(); err != nil {
		return nil, err
	}
	logits := p.Output("logits")
	var out []Token
	for row, i := range live {
		b.slots[i].past++
		t, err := b.choose(i, logits, row)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// feed makes tokens a row of a program, behind those that are in the caches. Positions
// of padding stay below the capacity.
func (b *Batch) feed(p *model.Program, row, i int, ids []int) {
	T, past := p.Shape.Length, b.slots[i].past
	tokens, positions := p.Ints("tokens")[row*T:][:T], p.Ints("positions")[row*T:][:T]
	clear(tokens)
	copy(tokens, ids)
	for j := range positions {
		positions[j] = min(past+j, b.capacity-1)
	}
	p.Ints("slots")[row], p.Ints("past")[row], p.Ints("fresh")[row] = i, past, len(ids)
	p.Ints("last")[row] = row*T + len(ids) - 1
}

// choose writes the next token of a sequence by its scores. Scores that are no numbers
// are an error, since every choice among them would look like text.
func (b *Batch) choose(i int, logits model.Rows, row int) (Token, error) {
	s := &b.slots[i]
	b.scores = logits.Row(slices.Grow(b.scores[:0], logits.Width), row)
	wide := make([]float64, len(b.scores))
	for j, x := range b.scores {
		if wide[j] = float64(x); !kernel.Finite(wide[j]) {
			return Token{}, fmt.Errorf("model: sequence %d: the score of token %d is %v: the weights are damaged or their training diverged", s.Choice, j, x)
		}
	}
	if s.Sampler.Penalizes() {
		s.Sampler.Penalize(b.scores, s.Prompt, s.written)
	}
	if s.Allow != nil {
		s.Allow(s.written, b.scores)
	}
	if s.Sampler.Penalizes() || s.Allow != nil {
		for j, x := range b.scores {
			wide[j] = float64(x)
		}
	}
	t := Token{Slot: i, ID: s.Sampler.Choose(wide, s.Choice, len(s.written))}
	if s.Logprobs > 0 {
		t.Logprob, t.Likely = logprobs(wide, t.ID, s.Logprobs)
	}
	s.written = append(s.written, t.ID)
	switch {
	case s.Stop != nil && s.Stop(s.written):
		t.Finish = Stopped
	case len(s.written) >= s.Tokens:
		t.Finish = Length
	}
	s.ended = t.Finish != ""
	return t, nil
}

// logprobs is the log-probability of a token, and the n likeliest ones; of equal ones
// the smaller first.
func logprobs(scores []float64, id, n int) (float64, []Candidate) {
	top, sum := slices.Max(scores), 0.0
	for _, x := range scores {
		sum += math.Exp(x - top)
	}
	lse := top + math.Log(sum)
	var likely []Candidate
	for j, x := range scores {
		at, _ := slices.BinarySearchFunc(likely, x, func(c Candidate, x float64) int {
			if c.Logprob >= x-lse {
				return -1
			}
			return 1
		})
		if at < n {
			likely = slices.Insert(likely, at, Candidate{j, x - lse})
			likely = likely[:min(n, len(likely))]
		}
	}
	return scores[id] - lse, likely
}
