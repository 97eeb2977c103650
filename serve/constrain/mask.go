package constrain

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Vocabulary is the tokens of a tokenizer as a trie of their bytes. It may be used by several goroutines.
type Vocabulary struct {
	texts []string
	ends  []bool  // tokens that end a text
	ids   []int   // of all others, in the order of their bytes
	trie  []place // each before those that lie under it
	depth int     // of the longest token
}

// place is a beginning of tokens: that of the place above it, and a byte.
type place struct {
	byte        byte
	depth       int32 // bytes before this one
	first, last int32 // of ids, the tokens that end here
	after       int32 // the next place that does not lie under this one
}

// NewVocabulary takes the bytes of each token in the middle of a text, "" of those that are never to be written, and the
// tokens that end a text.
func NewVocabulary(texts []string, ends []int) *Vocabulary {
	v := &Vocabulary{texts: texts, ends: make([]bool, len(texts))}
	for _, id := range ends {
		if id >= 0 && id < len(texts) {
			v.ends[id] = true
		}
	}
	for id, text := range texts {
		if !v.ends[id] && text != "" {
			v.ids = append(v.ids, id)
			v.depth = max(v.depth, len(text))
		}
	}
	slices.SortFunc(v.ids, func(a, b int) int { return cmp.Or(strings.Compare(texts[a], texts[b]), cmp.Compare(a, b)) })
	var path []int // places of the beginnings of the last text
	close := func(depth int) {
		for ; len(path) > depth; path = path[:len(path)-1] {
			v.trie[path[len(path)-1]].after = int32(len(v.trie))
		}
	}
	before := ""
	for i, id := range v.ids {
		text, shared := texts[id], 0
		for shared < min(len(text), len(before)) && text[shared] == before[shared] {
			shared++
		}
		close(shared)
		for _, b := range []byte(text[shared:]) {
			v.trie = append(v.trie, place{byte: b, depth: int32(len(path)), first: int32(i), last: int32(i)})
			path = append(path, len(v.trie)-1)
		}
		v.trie[path[len(path)-1]].last = int32(i + 1)
		before = text
	}
	close(0)
	return v
}

// Longest is how many bytes the longest token has.
func (v *Vocabulary) Longest() int { return v.depth }

// mask is a bit for each token.
type mask []uint64

func (m mask) set(id int)      { m[id>>6] |= 1 << (id & 63) }
func (m mask) has(id int) bool { return m[id>>6]>>(id&63)&1 == 1 }

// Bounds of what a constraint keeps, so that no schema takes all memory. Beyond them it begins anew.
const (
	maxStates    = 2048
	maxStacks    = 1 << 20
	maxMaskBytes = 8 << 20
)

// Constraint is a schema over a vocabulary, with the masks that have been computed. It may be used by several goroutines.
type Constraint struct {
	v    *Vocabulary
	root *node

	mu sync.Mutex
	a  *automaton
}

func newConstraint(v *Vocabulary, root *node) *Constraint {
	return &Constraint{v: v, root: root, a: newAutomaton(root)}
}

// Writing is a text under way. It belongs to one goroutine.
type Writing struct {
	c       *Constraint
	written []int
	state   *state
	a       *automaton // whose state it is
}

// Writing begins a text.
func (c *Constraint) Writing() *Writing { return &Writing{c: c} }

// Apply sets the scores of tokens that must not follow what has been written to forbid. It is false where what has been written
// is not allowed itself, which then changes nothing.
func (w *Writing) Apply(written []int, scores []float32, forbid float32) bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if !w.follow(written) {
		return false
	}
	m := w.c.mask(w.state)
	for id := range scores {
		if id >= len(w.c.v.texts) || !m.has(id) {
			scores[id] = forbid
		}
	}
	return true
}

// Complete tells whether what has been written may end here.
func (w *Writing) Complete(written []int) bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.follow(written) && w.state.complete()
}

// Done tells whether what has been written is complete and nothing may follow but an end.
func (w *Writing) Done(written []int) bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.follow(written) && w.state.done()
}

// follow brings the state to what has been written, from where it was if that is how it began.
func (w *Writing) follow(written []int) bool {
	c := w.c
	if c.a.full() {
		c.a = newAutomaton(c.root)
	}
	if w.a != c.a || len(w.written) > len(written) || !slices.Equal(w.written, written[:len(w.written)]) {
		w.a, w.written, w.state = c.a, w.written[:0], c.a.begin
	}
	for _, id := range written[len(w.written):] {
		w.written = append(w.written, id)
		if id < 0 || id >= len(c.v.texts) || c.v.ends[id] || c.v.texts[id] == "" {
			w.state = c.a.dead
			continue
		}
		for _, b := range []byte(c.v.texts[id]) {
			w.state = c.a.step(w.state, b)
		}
	}
	return w.state != c.a.dead
}

// mask is that of a state, by one walk over the trie.
func (c *Constraint) mask(from *state) mask {
	if from.mask != nil {
		return from.mask
	}
	v := c.v
	if near := c.a.near(from, v.depth); near != from {
		from.mask = c.mask(near)
		return from.mask
	}
	m := make(mask, (len(v.texts)+63)/64)
	if from.complete() {
		for id, end := range v.ends {
			if end {
				m.set(id)
			}
		}
	}
	at := make([]*state, v.depth+1) // after each byte of the beginning that is looked at
	at[0] = from
	for i := 0; i < len(v.trie); {
		p := &v.trie[i]
		s := at[p.depth]
		next := s.next[p.byte]
		if next == nil {
			next = c.a.step(s, p.byte)
		}
		if next == c.a.dead {
			i = int(p.after)
			continue
		}
		for _, id := range v.ids[p.first:p.last] {
			m.set(id)
		}
		at[p.depth+1] = next
		i++
	}
	from.mask = m
	c.a.masked += 8 * len(m)
	return m
}
