package decode

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/kernel"
	"sparrow/model"
)

// Step reads a chunk of one prompt, the one that has waited longest, as Options.Pace
// allows, and continues every sequence whose prompt is read by a token, or by several
// where its draft says what it writes.
func (b *Batch) Step(ctx context.Context) ([]Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var live []int
	reading, fresh := -1, -1 // who has waited longest, and of those of whom nothing is read
	for i := range b.slots {
		s := &b.slots[i]
		switch {
		case !s.used || s.ended:
			continue
		case s.past >= len(s.Prompt):
			live = append(live, i)
			continue
		case reading < 0 || s.order < b.slots[reading].order:
			reading = i
		}
		if s.past == 0 && (fresh < 0 || s.order < b.slots[fresh].order) {
			fresh = i
		}
	}
	b.since++
	if len(live) > 0 && b.since <= b.o.Pace && reading >= 0 && b.slots[reading].past > 0 {
		reading = fresh // which puts off nobody else's turn
	} else if reading >= 0 {
		b.since = 0
	}
	var out []Token
	if reading >= 0 {
		t, err := b.read(reading)
		if err != nil {
			return nil, err
		}
		out = t
	}
	// Sequences share a program if they are steered at the same sites.
	for len(live) > 0 {
		sites := b.slots[live[0]].sites
		var alike, others []int
		for _, i := range live {
			if slices.Equal(b.slots[i].sites, sites) {
				alike = append(alike, i)
			} else {
				others = append(others, i)
			}
		}
		t, err := b.advance(alike, sites)
		if err != nil {
			return nil, err
		}
		out, live = append(out, t...), others
	}
	return out, nil
}

// read takes over or computes chunks of a prompt up to the first that it computes. The
// last one gives the first token, so it is always computed.
func (b *Batch) read(i int) ([]Token, error) {
	s := &b.slots[i]
	for s.past+b.o.Chunk < len(s.Prompt) && b.prefixes.restore(b.s.Caches(), i, s.Prompt[:s.past+b.o.Chunk], s.Steer, b.o.Chunk) {
		s.past += b.o.Chunk
	}
	n := min(b.o.Chunk, len(s.Prompt)-s.past)
	p, err := b.s.Program(model.Infer, model.Shape{Rows: 1, Length: b.length(n)}, s.sites...)
	if err != nil {
		return nil, err
	}
	b.feed(p, 0, i, s.past, s.Prompt[s.past:s.past+n])
	if err := p.Run(); err != nil {
		return nil, err
	}
	if s.past += n; s.past < len(s.Prompt) {
		b.prefixes.keep(b.s.Caches(), i, s.Prompt[:s.past], s.Steer, n)
		return nil, nil
	}
	return []Token{b.choose(i, p.Output("logits"), 0)}, nil
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

// place is a token of a sequence that is to be read: the last one that was written, or behind it one of its draft.
type place struct{ slot, at, token int }

// places are those of a step, of each sequence in their order.
func (b *Batch) places(live []int) []place {
	var all []place
	for _, i := range live {
		s := &b.slots[i]
		all = append(all, place{i, s.past, s.written[len(s.written)-1]})
		if s.Draft == nil {
			continue
		}
		draft := s.Draft(slices.Clip(s.written))
		for j, id := range draft[:min(len(draft), s.Tokens-len(s.written)-1)] {
			if id < 0 || id >= b.vocab {
				break
			}
			all = append(all, place{i, s.past + 1 + j, id})
		}
	}
	return all
}

// next tells whether a place is that of the token which a sequence goes on with.
func (b *Batch) next(p place) bool {
	s := &b.slots[p.slot]
	return !s.ended && p.at == s.past && p.token == s.written[len(s.written)-1]
}

// advance continues sequences that are steered at the same sites.
func (b *Batch) advance(live []int, sites []string) ([]Token, error) {
	var out []Token
	for todo := b.places(live); len(todo) > 0; {
		n := min(maxRows, len(todo))
		tokens, err := b.score(todo[:n], sites)
		if err != nil {
			return nil, err
		}
		out = append(out, tokens...)
		todo = b.open(todo[n:])
	}
	return out, nil
}

// open leaves out the places of sequences that have not written what was guessed before them.
func (b *Batch) open(places []place) (open []place) {
	last, goes := -1, false
	for _, p := range places {
		if p.slot != last {
			last, goes = p.slot, b.next(p)
		}
		if goes {
			open = append(open, p)
		}
	}
	return open
}

// score reads places in one program and writes what comes behind those that were guessed right.
func (b *Batch) score(places []place, sites []string) ([]Token, error) {
	rows := 1
	for rows < len(places) {
		rows *= 2
	}
	p, err := b.s.Program(model.Infer, model.Shape{Rows: rows, Length: 1}, sites...)
	if err != nil {
		return nil, err
	}
	for row := range rows {
		if row < len(places) {
			at := places[row]
			b.feed(p, row, at.slot, at.at, []int{at.token})
		} else {
			p.Ints("fresh")[row], p.Ints("past")[row] = 0, 0 // nobody's
		}
	}
	if err := p.Run(); err != nil {
		return nil, err
	}
	logits := p.Output("logits")
	var out []Token
	for row, at := range places {
		if !b.next(at) {
			continue
		}
		b.slots[at.slot].past++
		out = append(out, b.choose(at.slot, logits, row))
	}
	return out, nil
}

// feed makes tokens of slot i a row of a program, from a place of its sequence on. Positions
// of padding stay below the capacity.
func (b *Batch) feed(p *model.Program, row, i, past int, ids []int) {
	T := p.Shape.Length
	tokens, positions := p.Ints("tokens")[row*T:][:T], p.Ints("positions")[row*T:][:T]
	clear(tokens)
	copy(tokens, ids)
	for j := range positions {
		positions[j] = min(past+j, b.capacity-1)
	}
	p.Ints("slots")[row], p.Ints("past")[row], p.Ints("fresh")[row] = i, past, len(ids)
	p.Ints("last")[row] = row*T + len(ids) - 1
	b.steer(p, row, b.slots[i].Steer)
}

// steer feeds what is added to the values of a row's tokens: the sum of all additions to a site.
func (b *Batch) steer(p *model.Program, row int, all []Addition) {
	T := p.Shape.Length
	for k, a := range all {
		first := !slices.ContainsFunc(all[:k], func(before Addition) bool { return before.Site == a.Site })
		leaf := p.Floats(model.AddedLeaf(a.Site))
		for i := row * T; i < (row+1)*T; i++ {
			for j, x := range a.Vector {
				sum := float64(x)
				if !first {
					sum += leaf.At(i, j)
				}
				leaf.Put(i, j, sum)
			}
		}
	}
}

// choose writes the next token of a sequence by its scores. Scores that are no numbers
// end it, and it alone, since every choice among them would look like text.
func (b *Batch) choose(i int, logits model.Rows, row int) Token {
	s := &b.slots[i]
	b.vocab = logits.Width
	b.scores = logits.Row(slices.Grow(b.scores[:0], logits.Width), row)
	b.wide = slices.Grow(b.wide[:0], len(b.scores))[:len(b.scores)]
	wide := b.wide
	for j, x := range b.scores {
		if wide[j] = float64(x); !kernel.Finite(wide[j]) {
			s.ended = true
			err := fmt.Errorf("model: sequence %d: the score of token %d is %v: the weights are damaged or their training diverged", s.Choice, j, x)
			if len(s.Steer) > 0 {
				err = fmt.Errorf("model: sequence %d: with what is added to values inside the network its scores are no numbers", s.Choice)
			}
			return Token{Slot: i, ID: -1, Finish: Broken, Err: err}
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
		t.Logprob, t.Likely = Logprobs(wide, t.ID, s.Logprobs)
	}
	s.written = append(s.written, t.ID)
	switch {
	case s.Stop != nil && s.Stop(s.written):
		t.Finish = Stopped
	case len(s.written) >= s.Tokens:
		t.Finish = Length
	}
	s.ended = t.Finish != ""
	return t
}

// Logprobs is the log-probability of a token, and the n likeliest ones; of equal ones
// the smaller first.
func Logprobs(scores []float64, id, n int) (float64, []Candidate) {
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
