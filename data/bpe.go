package data

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// BPE is a byte-level byte-pair encoding: text is cut into words (wordLength), a word starts as its bytes, and the pair
// of neighbours whose merge was learned first is merged, leftmost first, until no pair is left that was learned.
//
// The ids equal those of Hugging Face tokenizers for the same tokenizer.json, which a test proves on real text.
type BPE struct {
	file      []byte // tokenizer.json
	texts     []string
	defined   []bool // whether the id is in the vocabulary; files may leave gaps
	byteIDs   [256]int32
	merges    map[uint64]merge
	separator int

	added      []addedToken // longest content first
	addedStart [256]bool    // first bytes of their contents

	prefixSpace  bool
	split        bool             // cut into words; without, a document is one word
	ignoreMerges bool             // a word that is a token is that token, whatever the merges say
	words        map[string]int32 // tokens by text, for ignoreMerges
}

// merge is the result of a pair.
type merge struct{ rank, id int32 }

// addedToken is matched in the text before it is cut into words.
type addedToken struct {
	content        string
	id             int
	lstrip, rstrip bool // whether it takes the white space before or after it
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// Encode returns the ids of text. Text that is not valid UTF-8 is an error that names the byte.
func (t *BPE) Encode(text string) ([]int, error) {
	if !utf8.ValidString(text) {
		for i, r := range text {
			if r == utf8.RuneError && !validRuneAt(text, i) {
				return nil, invalidUTF8(text, i)
			}
		}
	}
	e := bpeEncoder{t: t}
	var ids []int
	for _, id := range e.encode(nil, text) {
		ids = append(ids, int(id))
	}
	return ids, nil
}

// Decode returns the bytes of ids, special tokens included.
func (t *BPE) Decode(ids []int) string { return decodeBytes(t, ids) }

func (t *BPE) tokenText(id int) (string, bool) {
	if id < 0 || id >= len(t.texts) || !t.defined[id] {
		return "", false
	}
	return t.texts[id], true
}

// VocabSize returns one more than the largest id.
func (t *BPE) VocabSize() int { return len(t.texts) }

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

// encode appends the ids of text to ids.
func (e *bpeEncoder) encode(ids []uint32, text string) []uint32 {
	for len(text) > 0 {
		start, end, token := e.t.findAdded(text)
		before := text[:start]
		if token != nil && token.lstrip {
			before = strings.TrimRightFunc(before, isSpace)
		}
		ids = e.encodePlain(ids, before)
		if token != nil {
			ids = append(ids, uint32(token.id))
			if token.rstrip {
				end += len(text[end:]) - len(strings.TrimLeftFunc(text[end:], isSpace))
			}
		}
		text = text[end:]
	}
	return ids
}

func isSpace(r rune) bool { return unicodeClass(r) == classSpace }

// findAdded returns the place of the first added token, the longest one there, or the end of text and nil.
func (t *BPE) findAdded(text string) (start, end int, token *addedToken) {
	if len(t.added) == 0 {
		return len(text), len(text), nil
	}
	for i := range len(text) {
		if !t.addedStart[text[i]] {
			continue
		}
		for j := range t.added {
			if strings.HasPrefix(text[i:], t.added[j].content) {
				return i, i + len(t.added[j].content), &t.added[j]
			}
		}
	}
	return len(text), len(text), nil
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
