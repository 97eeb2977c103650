package decode

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"sparrow/model"
)

// Bounds of how many tokens a Drafter guesses at once: fewer after wrong guesses, more after right ones. They are one less than a
// power of two, as a step reads the token before them too and programs have rows of powers of two.
const (
	firstGuesses = 3
	mostGuesses  = 7
)

// After wrongAlone wrong guesses in a row that were made one at a time, so many tokens are written without any.
const (
	wrongAlone = 3
	restTokens = 64
)

// Drafter guesses what sequences write by a second, smaller model over the same tokens (Leviathan et al. 2023), for
// Request.Draft: it takes the likeliest token each time. It belongs to the goroutine of the batch that it guesses for.
type Drafter struct {
	Made, Right atomic.Int64 // guesses that were made, and that came true

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
	prompt  []int
	guesses int // to make
	wrong   int // guesses in a row, made one at a time
	until   int // length of the text from which on guesses are made again
	last    []int
	from    int // place of the first of the last guesses
}

// NewDrafter prepares to guess by a session, which has its caches to itself.
func NewDrafter(s *model.Session) (*Drafter, error) {
	b, err := New(s, Options{})
	if err != nil {
		return nil, err
	}
	if b.vocab, err = vocabulary(s); err != nil {
		return nil, err
	}
	return &Drafter{b: b, slots: make([]drafted, len(b.slots))}, nil
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
	x := &draft{prompt: slices.Clone(prompt), guesses: firstGuesses}
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
	text := slices.Concat(x.prompt, written)
	right := x.right(text)
	d.Made.Add(int64(len(x.last)))
	d.Right.Add(int64(right))
	n := min(x.adapt(right, len(text)), d.b.capacity-len(text)+1)
	switch x.last = nil; {
	case len(text) < x.until:
		return nil, nil
	case n < 1:
		return nil, errLong
	}
	i := d.slot(x)
	s := &d.slots[i]
	past := 0
	for past < len(text)-1 && past < len(s.tokens) && s.tokens[past] == text[past] {
		past++
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

// right is how many of the last guesses came true.
func (x *draft) right(text []int) (n int) {
	for n < len(x.last) && x.from+n < len(text) && text[x.from+n] == x.last[n] {
		n++
	}
	return n
}

// adapt tells how many guesses to make for a text of that length, by how many of the last ones came true.
func (x *draft) adapt(right, length int) int {
	made := len(x.last)
	if made != 1 || right == 1 {
		x.wrong = 0
	} else if x.wrong++; x.wrong == wrongAlone { // a draft like this one costs more than it saves
		x.wrong, x.until = 0, length+restTokens
	}
	switch {
	case made == 0:
	case right == made:
		x.guesses = min(2*x.guesses+1, mostGuesses)
	case 2*right < made:
		x.guesses = max(1, x.guesses/2)
	}
	return x.guesses
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
