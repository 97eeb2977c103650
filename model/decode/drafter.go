package decode

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"sparrow/model"
)

// guessing is how many guesses a Drafter makes at once, and what the step costs that reads them in steps without any, by measurement of a
// decoder in float32. They are one less than a power of two, as a step reads the token before them too and programs have rows of
// powers of two.
var guessing = []struct {
	guesses int
	cost    float64
}{{0, 1}, {1, 1.3}, {3, 1.55}, {7, 1.75}}

// What is taken for granted of a draft at first: so many guesses, of which so many were right. The older ones count less and less.
const (
	firstTried = 8
	firstRight = 7.2
	fading     = 0.9
)

// Drafter guesses what sequences write by a second, smaller model over the same tokens (Leviathan et al. 2023), for
// Request.Draft: it takes the likeliest token each time. It belongs to the goroutine of the batch that it guesses for.
type Drafter struct {
	Made, Right atomic.Int64 // guesses that were made, and that came true

	cost  float64 // of a guess, in steps of the model
	b     *Batch
	slots []drafted
	calls int
}

// drafted is what a slot of the smaller model's caches holds.
type drafted struct {
	of     *draft // whose; nil: nobody's
	tokens []int  // in the caches
	used   int    // call that used it last
}

// draft is a sequence that guesses are made for.
type draft struct {
	prompt []int
	last   []int
	from   int // place of the first of the last guesses

	right, tried float64 // guesses that came true, of those that were looked at
	gone         bool    // guesses cost more than they save
}

// NewDrafter prepares to guess by a session, which has its caches to itself. cost is what a guess costs, in steps of the model that it
// guesses for: about the bytes of its weights over those of the model's.
func NewDrafter(s *model.Session, cost float64) (*Drafter, error) {
	b, err := New(s, Options{})
	if err != nil {
		return nil, err
	}
	if b.vocab, err = vocabulary(s); err != nil {
		return nil, err
	}
	return &Drafter{cost: cost, b: b, slots: make([]drafted, len(b.slots))}, nil
}

// vocabulary is how many tokens a network scores.
func vocabulary(s *model.Session) (int, error) {
	p, err := s.Program(model.Infer, model.Shape{Rows: 1, Length: 1})
	if err != nil {
		return 0, err
	}
	p.Ints("fresh")[0], p.Ints("past")[0] = 0, 0 // nobody's row
	if err := p.Run(); err != nil {
		return 0, err
	}
	return p.Output("logits").Width, nil
}

// Fits says why guesses of this model are of no use to another.
func (d *Drafter) Fits(s *model.Session) error {
	n, err := vocabulary(s)
	if err == nil && n != d.b.vocab {
		err = fmt.Errorf("decode: the draft has %d tokens and the model %d; want a model with the same tokenizer", d.b.vocab, n)
	}
	return err
}

// Draft is the Request.Draft of a sequence with that prompt. More sequences than the session has slots are guessed for in turn, which
// reads their texts anew.
func (d *Drafter) Draft(prompt []int) func(written []int) []int {
	x := &draft{prompt: slices.Clone(prompt), right: firstRight, tried: firstTried}
	return func(written []int) []int {
		guesses, err := d.guess(x, written)
		if err != nil {
			return nil // a guess less; the sequence itself goes on
		}
		return guesses
	}
}

// errLong says that a text has no room in the caches.
var errLong = errors.New("decode: the text is longer than the draft's caches")

func (d *Drafter) guess(x *draft, written []int) ([]int, error) {
	if x.gone {
		return nil, nil
	}
	text := slices.Concat(x.prompt, written)
	d.note(x, text)
	n := d.guesses(x)
	if n == 0 { // and never again: to catch up would cost what it saved
		x.gone = true
		return nil, nil
	}
	if n = min(n, d.b.capacity-len(text)+1); n < 1 {
		return nil, errLong
	}
	i := d.slot(x)
	s := &d.slots[i]
	past := 0
	for past < len(text)-1 && past < len(s.tokens) && s.tokens[past] == text[past] {
		past++
	}
	if chunk := d.b.o.Chunk; len(text)-past > chunk { // of a long prompt one in a step, so that nobody waits for all of it
		s.tokens = append(s.tokens[:0], text[:past+chunk]...)
		if _, err := d.read(i, past, text[past:past+chunk]); err != nil {
			s.tokens = s.tokens[:0]
			return nil, err
		}
		return nil, nil
	}
	s.tokens = append(s.tokens[:0], text...)
	next, err := d.read(i, past, text[past:])
	for err == nil && len(s.tokens) < len(text)+n-1 {
		at := len(s.tokens)
		s.tokens = append(s.tokens, next)
		next, err = d.read(i, at, s.tokens[at:])
	}
	if err != nil {
		s.tokens = s.tokens[:0]
		return nil, err
	}
	x.from, x.last = len(text), append(slices.Clone(s.tokens[len(text):]), next)
	return x.last, nil
}

// note counts how many of the last guesses came true. Those behind a wrong one are nothing that was looked at.
func (d *Drafter) note(x *draft, text []int) {
	right := 0
	for right < len(x.last) && x.from+right < len(text) && text[x.from+right] == x.last[right] {
		right++
	}
	d.Made.Add(int64(len(x.last)))
	d.Right.Add(int64(right))
	if len(x.last) > 0 {
		x.right, x.tried = fading*x.right+float64(right), fading*x.tried+float64(min(right+1, len(x.last)))
	}
	x.last = nil
}

// guesses is how many at once write the most tokens in a time, 0 if none do.
func (d *Drafter) guesses(x *draft) (most int) {
	best := 0.0
	for _, step := range guessing {
		tokens, sure := 1.0, 1.0
		for range step.guesses {
			sure *= x.right / x.tried
			tokens += sure
		}
		if speed := tokens / (step.cost + float64(step.guesses)*d.cost); speed > best {
			best, most = speed, step.guesses
		}
	}
	return most
}

// slot is that of a sequence: its own, or the one that was not used for longest.
func (d *Drafter) slot(x *draft) int {
	d.calls++
	i := slices.IndexFunc(d.slots, func(s drafted) bool { return s.of == x })
	if i < 0 {
		i = 0
		for j, s := range d.slots {
			if s.used < d.slots[i].used {
				i = j
			}
		}
		d.slots[i] = drafted{of: x}
	}
	d.slots[i].used = d.calls
	return i
}

// read puts tokens behind those in a slot's caches and returns the likeliest one to follow.
func (d *Drafter) read(i, past int, ids []int) (int, error) {
	var p *model.Program
	for len(ids) > 0 {
		n := min(d.b.o.Chunk, len(ids))
		var err error
		if p, err = d.b.s.Program(model.Infer, model.Shape{Rows: 1, Length: d.b.length(n)}); err != nil {
			return 0, err
		}
		d.b.feed(p, 0, i, past, ids[:n])
		if err := p.Run(); err != nil {
			return 0, err
		}
		past, ids = past+n, ids[n:]
	}
	d.b.scores = p.Output("logits").Row(slices.Grow(d.b.scores[:0], d.b.vocab), 0)
	return slices.Index(d.b.scores, slices.Max(d.b.scores)), nil
}
