package tokenizers

import (
	"slices"
	"strings"
)

// BPE is a byte-level byte-pair encoding: text is cut into words (wordLength), a word starts as its bytes, and the pair
// of neighbours whose merge was learned first is merged, leftmost first, until no pair is left that was learned.
//
// The ids equal those of Hugging Face tokenizers for the same tokenizer.json, which a test proves on real text.
type BPE struct {
	file      []byte     // tokenizer.json
	vocab     vocabTable // the bytes of each id
	byteIDs   [256]int32
	merges    map[uint64]merge
	separator int
	added     addedTokens

	prefixSpace  bool
	split        bool             // cut into words; without, a document is one word
	ignoreMerges bool             // a word that is a token is that token, whatever the merges say
	words        map[string]int32 // tokens by text, for ignoreMerges
}

// merge is the result of a pair.
type merge struct{ rank, id int32 }

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// Encode returns the ids of text. Text that is not valid UTF-8 is an error that names the byte.
func (t *BPE) Encode(text string) ([]int, error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	e := bpeEncoder{t: t}
	return widened(e.encode(nil, text)), nil
}

// Decode returns the bytes of ids, special tokens included.
func (t *BPE) Decode(ids []int) string { return decodeTokens(t, ids) }

func (t *BPE) tokenText(id int, _ bool) (string, bool) {
	if id < 0 || id >= len(t.vocab.texts) || !t.vocab.defined[id] {
		return "", false
	}
	return t.vocab.texts[id], true
}

// VocabSize returns one more than the largest id.
func (t *BPE) VocabSize() int { return len(t.vocab.texts) }

// Kind returns "bpe".
func (t *BPE) Kind() string { return "bpe" }

// Separator returns the id of the end-of-text token, or NoSeparator when the file names none.
func (t *BPE) Separator() int { return t.separator }

// Save returns the content of a Hugging Face tokenizer.json; for a tokenizer that was read from one, that very content.
func (t *BPE) Save() []byte { return slices.Clone(t.file) }

// bpeEncoder is the working memory of one goroutine.
type bpeEncoder struct {
	t     *BPE
	cache map[string][]int32 // ids of words; nil does not cache

	symbols []symbol
	queue   mergeQueue
	ids     []int32
}

// maxCachedWords bounds the cache, maxCachedWord the words in it: long ones hardly repeat.
const (
	maxCachedWords = 1 << 19
	maxCachedWord  = 64
)

// encode appends the ids of text, which must be valid UTF-8, to ids.
func (e *bpeEncoder) encode(ids []uint32, text string) []uint32 {
	for len(text) > 0 {
		before, token, after := e.t.added.cut(text)
		ids = e.encodePlain(ids, before)
		if token != nil {
			ids = append(ids, uint32(token.id))
		}
		text = after
	}
	return ids
}

// encodePlain appends the ids of text without added tokens.
func (e *bpeEncoder) encodePlain(ids []uint32, text string) []uint32 {
	if text == "" {
		return ids
	}
	if e.t.prefixSpace && text[0] != ' ' {
		text = " " + text
	}
	for len(text) > 0 {
		n := len(text)
		if e.t.split {
			n = wordLength(text)
		}
		for _, id := range e.word(text[:n]) {
			ids = append(ids, uint32(id))
		}
		text = text[n:]
	}
	return ids
}

// word returns the ids of a word; the slice is valid until the next call.
func (e *bpeEncoder) word(word string) []int32 {
	if ids, ok := e.cache[word]; ok {
		return ids
	}
	if e.t.ignoreMerges {
		if id, ok := e.t.words[word]; ok {
			e.ids = append(e.ids[:0], id)
			return e.ids
		}
	}
	e.mergeWord(word)
	if e.cache != nil && len(word) <= maxCachedWord && len(e.cache) < maxCachedWords {
		e.cache[strings.Clone(word)] = slices.Clone(e.ids)
	}
	return e.ids
}

// symbol is a token of a word that is being merged, in a list so that a merge moves nothing.
type symbol struct {
	id         int32
	prev, next int32 // -1 at the ends
	gone       bool  // merged into its left neighbour
}

// mergeWord sets e.ids to the ids of a word. Cost: O(n log n) for n bytes.
func (e *bpeEncoder) mergeWord(word string) {
	e.symbols, e.queue = e.symbols[:0], e.queue[:0]
	for i := range len(word) {
		e.symbols = append(e.symbols, symbol{id: e.t.byteIDs[word[i]], prev: int32(i - 1), next: int32(i + 1)})
	}
	e.symbols[len(word)-1].next = -1
	for i := range len(word) - 1 {
		e.offer(int32(i))
	}
	for len(e.queue) > 0 {
		candidate := e.queue.pop()
		left := &e.symbols[candidate.at]
		if left.gone || left.next < 0 {
			continue
		}
		right := &e.symbols[left.next]
		// Either symbol may have changed since the pair was queued.
		if m, ok := e.t.merges[pairKey(left.id, right.id)]; !ok || m.id != candidate.id {
			continue
		}
		left.id, left.next, right.gone = candidate.id, right.next, true
		if left.next >= 0 {
			e.symbols[left.next].prev = candidate.at
			e.offer(candidate.at)
		}
		if left.prev >= 0 {
			e.offer(left.prev)
		}
	}
	e.ids = e.ids[:0]
	for i := int32(0); i >= 0; i = e.symbols[i].next {
		e.ids = append(e.ids, e.symbols[i].id)
	}
}

// offer queues the pair that begins at symbol at, if it has a merge.
func (e *bpeEncoder) offer(at int32) {
	left := e.symbols[at]
	if m, ok := e.t.merges[pairKey(left.id, e.symbols[left.next].id)]; ok {
		e.queue.push(mergeCandidate{rank: m.rank, at: at, id: m.id})
	}
}

// mergePairs merges neighbours, the pair of the lowest rank first and of equal ones the leftmost.
func mergePairs(start []uint32, merges map[uint64]merge) []uint32 {
	if len(start) < 2 {
		return start
	}
	symbols := make([]symbol, len(start))
	var queue mergeQueue
	for i, id := range start {
		symbols[i] = symbol{id: int32(id), prev: int32(i - 1), next: int32(i + 1)}
	}
	symbols[len(start)-1].next = -1
	offer := func(at int32) {
		left := symbols[at]
		if m, ok := merges[pairKey(left.id, symbols[left.next].id)]; ok {
			queue.push(mergeCandidate{rank: m.rank, at: at, id: m.id})
		}
	}
	for i := range len(start) - 1 {
		offer(int32(i))
	}
	for len(queue) > 0 {
		c := queue.pop()
		left := &symbols[c.at]
		if left.gone || left.next < 0 {
			continue
		}
		right := &symbols[left.next]
		if m, ok := merges[pairKey(left.id, right.id)]; !ok || m.id != c.id {
			continue // either has changed since the pair was queued
		}
		left.id, left.next, right.gone = c.id, right.next, true
		if left.next >= 0 {
			symbols[left.next].prev = c.at
			offer(c.at)
		}
		if left.prev >= 0 {
			offer(left.prev)
		}
	}
	out := start[:0]
	for i := int32(0); i >= 0; i = symbols[i].next {
		out = append(out, uint32(symbols[i].id))
	}
	return out
}

// mergeCandidate is a pair that could be merged.
type mergeCandidate struct{ rank, at, id int32 }

// mergeQueue is a binary heap: lowest rank first, then leftmost. It is not container/heap, which would allocate each
// element.
type mergeQueue []mergeCandidate

func (a mergeCandidate) before(b mergeCandidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.at < b.at
}

func (q *mergeQueue) push(c mergeCandidate) {
	*q = append(*q, c)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(h[parent]) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *mergeQueue) pop() mergeCandidate {
	h := *q
	top := h[0]
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(h[i]) {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*q = h
	return top
}
