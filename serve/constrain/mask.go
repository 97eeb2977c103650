package constrain

import (
	"encoding/binary"
	"slices"
	"sync"
)

// Vocabulary is the tokens of a tokenizer as a trie of their bytes. It may be used by several goroutines.
type Vocabulary struct {
	texts []string
	ends  []bool // tokens that end a text
	root  *trie
}

// trie is the tokens that begin with some bytes.
type trie struct {
	tokens []int // that end here
	next   []*trie
	bytes  []byte // of next
}

// NewVocabulary takes the bytes of each token in the middle of a text, "" of those that are never to be written, and the
// tokens that end a text.
func NewVocabulary(texts []string, ends []int) *Vocabulary {
	v := &Vocabulary{texts: texts, ends: make([]bool, len(texts)), root: &trie{}}
	for _, id := range ends {
		if id >= 0 && id < len(texts) {
			v.ends[id] = true
		}
	}
	for id, text := range texts {
		if v.ends[id] || text == "" {
			continue
		}
		at := v.root
		for _, b := range []byte(text) {
			i := slices.Index(at.bytes, b)
			if i < 0 {
				i = len(at.bytes)
				at.bytes, at.next = append(at.bytes, b), append(at.next, &trie{})
			}
			at = at.next[i]
		}
		at.tokens = append(at.tokens, id)
	}
	return v
}

// mask is a bit for each token.
type mask []uint64

// Bounds of what a constraint keeps, so that no schema takes all memory. Beyond them masks are computed anew.
const (
	maxMasks  = 4096
	maxStacks = 1 << 20
)

// Constraint is a schema over a vocabulary, with the masks that have been computed. It may be used by several goroutines.
type Constraint struct {
	v    *Vocabulary
	root *node

	mu    sync.Mutex
	g     *grammar
	masks map[string]mask
}

// Writing is a text under way. It belongs to one goroutine.
type Writing struct {
	c       *Constraint
	written []int
	state   []*stack
	g       *grammar // that the stacks are of
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
		if id >= len(w.c.v.texts) || m[id>>6]>>(id&63)&1 == 0 {
			scores[id] = forbid
		}
	}
	return true
}

// Complete tells whether what has been written may end here.
func (w *Writing) Complete(written []int) bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.follow(written) && slices.Contains(w.state, nil)
}

// Done tells whether what has been written is complete and nothing may follow but an end.
func (w *Writing) Done(written []int) bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.follow(written) && len(w.state) == 1 && w.state[0] == nil
}

// follow brings the state to what has been written, from where it was if that is how it began.
func (w *Writing) follow(written []int) bool {
	c := w.c
	if len(c.g.stacks) > maxStacks {
		c.g, c.masks = &grammar{stacks: map[stackKey]*stack{}}, map[string]mask{}
	}
	if w.g != c.g || len(w.written) > len(written) || !slices.Equal(w.written, written[:len(w.written)]) {
		w.g, w.written, w.state = c.g, w.written[:0], nil
		c.g.open(c.g.push(c.root, nil), &w.state, map[*stack]bool{})
	}
	for _, id := range written[len(w.written):] {
		w.written = append(w.written, id)
		if id < 0 || id >= len(c.v.texts) || c.v.ends[id] || c.v.texts[id] == "" {
			w.state = nil
		}
		for _, b := range []byte(c.v.texts[max(0, min(id, len(c.v.texts)-1))]) {
			w.state = c.g.step(w.state, b)
		}
	}
	return len(w.state) > 0
}

// mask is that of a state.
func (c *Constraint) mask(state []*stack) mask {
	ids := make([]int, len(state))
	for i, s := range state {
		if s != nil {
			ids[i] = s.id
		}
	}
	slices.Sort(ids)
	key := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		key = binary.LittleEndian.AppendUint32(key, uint32(id))
	}
	if m := c.masks[string(key)]; m != nil {
		return m
	}
	m := make(mask, (len(c.v.texts)+63)/64)
	if slices.Contains(state, nil) {
		for id, end := range c.v.ends {
			if end {
				m[id>>6] |= 1 << (id & 63)
			}
		}
	}
	c.walk(c.v.root, state, m)
	if len(c.masks) >= maxMasks {
		clear(c.masks)
	}
	c.masks[string(key)] = m
	return m
}

func (c *Constraint) walk(at *trie, state []*stack, m mask) {
	for _, id := range at.tokens {
		m[id>>6] |= 1 << (id & 63)
	}
	for i, b := range at.bytes {
		if next := c.g.step(state, b); len(next) > 0 {
			c.walk(at.next[i], next, m)
		}
	}
}
