package decode

import (
	"errors"
	"fmt"
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

	// Pace is how many steps those that write make between two chunks of a prompt, of which the first is read at once; 0: a chunk is
	// read in each step. It decides when a token comes and not which.
	Pace int
}

// Request is a sequence to continue.
type Request struct {
	Prompt  []int
	Tokens  int           // to write, at most
	Sampler model.Sampler // how they are chosen
	Choice  int           // which of several continuations: each has draws of its own

	// Logprobs asks for the log-probability of each token, and of the likeliest ones beside it; 0: neither.
	Logprobs int

	// Draft, if not nil, guesses what comes behind what has been written. Guesses are scored in the step that would score the
	// first of them, and those that the sequence would have written anyway are written then: they save steps and change
	// nothing else.
	Draft func(written []int) []int

	// Steer is added to values inside the network, at every token of prompt and sequence.
	Steer []Addition

	// Allow, if not nil, changes the scores of the next token: -Inf forbids one. It has no state of its own, so that forks
	// part.
	Allow func(written []int, scores []float32)

	// Begun, if not nil, is called by a [Loop] when it gives the request a slot.
	Begun func()

	// Stop, if not nil, ends the sequence behind what has been written.
	Stop func(written []int) bool
}

// Addition adds a vector to a site of the network, such as "model.layers.3.output".
type Addition struct {
	Site   string
	Vector []float32 // of the site's width
}

// Finish is why a sequence has ended.
type Finish string

// Ends of a sequence.
const (
	Stopped Finish = "stop"   // Request.Stop said so of its last token
	Length  Finish = "length" // it has all tokens that it wanted
	Broken  Finish = "broken" // its scores are no numbers; it has no token then, and Token.Err says why
)

// Token is what a step has written.
type Token struct {
	Slot    int
	ID      int
	Logprob float64     // where Request.Logprobs asks for it
	Likely  []Candidate // as many as Request.Logprobs, the likeliest first
	Finish  Finish      // "": the sequence goes on
	Err     error       // of a Broken sequence
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
	sites   []string // that Steer adds to, as model.Session.Program is asked for them
}

// Batch is the sequences that share a session's caches. It belongs to one goroutine.
type Batch struct {
	s        *model.Session
	o        Options
	slots    []slot
	capacity int
	admitted int
	prefixes *prefixes
	since    int       // steps since a chunk was read
	vocab    int       // tokens that there are, known with the first scores
	scores   []float32 // of a row, scratch
	wide     []float64 // and its copy that choices are made from
}

// New prepares to continue sequences. A network that does not run over caches is an
// error.
func New(s *model.Session, o Options) (*Batch, error) {
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	if o.Chunk < 1 || o.PrefixBytes < 0 || o.Pace < 0 {
		return nil, fmt.Errorf("decode: chunks of %d tokens, %d bytes of prefixes and a pace of %d; want at least 1, 0 and 0", o.Chunk, o.PrefixBytes, o.Pace)
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

// Admit takes a slot and computes nothing. A site that the network lacks is a [model.ErrNoSite].
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
	sites, err := b.steered(r.Steer)
	if err != nil {
		return 0, err
	}
	b.admitted++
	r.Prompt = slices.Clone(r.Prompt)
	b.slots[i] = slot{Request: r, used: true, order: b.admitted, sites: sites}
	return i, nil
}

// steered are the sites that additions are to, which the network must have in that width.
func (b *Batch) steered(all []Addition) ([]string, error) {
	var sites []string
	for _, a := range all {
		sites = append(sites, model.AddTo(a.Site))
	}
	slices.Sort(sites)
	sites = slices.Compact(sites)
	if len(sites) == 0 {
		return nil, nil
	}
	p, err := b.s.Program(model.Infer, model.Shape{Rows: 1, Length: 1}, sites...)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if !p.Has(model.AddedLeaf(a.Site)) {
			return nil, fmt.Errorf("%w: %q", model.ErrNoSite, a.Site)
		}
		if width := p.Floats(model.AddedLeaf(a.Site)).Width; len(a.Vector) != width {
			return nil, fmt.Errorf("decode: %d values to add to %s, which has %d", len(a.Vector), a.Site, width)
		}
		if !kernel.AllFinite(a.Vector) {
			return nil, fmt.Errorf("decode: not all values to add to %s are finite numbers", a.Site)
		}
	}
	return sites, nil
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
