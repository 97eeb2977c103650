package tokenizers

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// pipelineModel is the model of a tokenizer.json.
type pipelineModel struct {
	Type         string          `json:"type"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       []hfPair        `json:"merges"`
	Dropout      *float64        `json:"dropout"`
	Unknown      *string         `json:"unk_token"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       *string         `json:"end_of_word_suffix"`
	FuseUnknown  bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	MaxRunes     *int            `json:"max_input_chars_per_word"`
	UnknownID    *int            `json:"unk_id"`
}

// parseWordModel reads the model and names its kind. Files of before 2020 have no type; those with merges are BPE.
func parseWordModel(raw json.RawMessage) (kind string, m wordModel, err error) {
	var c pipelineModel
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", nil, err
	}
	if c.Dropout != nil && *c.Dropout != 0 {
		return "", nil, fmt.Errorf("dropout %v is not supported, want none", *c.Dropout)
	}
	if c.Type == "" && c.Merges != nil {
		c.Type = "BPE"
	}
	if c.Type == "Unigram" {
		m, err := newUnigram(c)
		return "unigram", m, err
	}
	var vocab map[string]int
	if err := json.Unmarshal(c.Vocab, &vocab); err != nil {
		return "", nil, err
	}
	switch c.Type {
	case "BPE":
		m, err := newPairModel(c, vocab)
		return "bpe", m, err
	case "WordPiece":
		m, err := newPieceModel(c, vocab)
		return "wordpiece", m, err
	case "WordLevel":
		unknown, err := unknownID(c, vocab)
		return "wordlevel", wordLevel{vocab, unknown}, err
	}
	return "", nil, fmt.Errorf("type %.40q is not supported, want BPE, WordPiece, Unigram or WordLevel", c.Type)
}

// unknownID is the id of the unknown token, -1 if the file names none.
func unknownID(c pipelineModel, vocab map[string]int) (int, error) {
	if c.Unknown == nil || *c.Unknown == "" {
		return -1, nil
	}
	id, ok := vocab[*c.Unknown]
	if !ok {
		return 0, fmt.Errorf("unk_token %.40q is not in vocab", *c.Unknown)
	}
	return id, nil
}

// wordLevel gives each word one id.
type wordLevel struct {
	vocab   map[string]int
	unknown int
}

func (m wordLevel) tokens() map[string]int { return m.vocab }

func (m wordLevel) encode(ids []uint32, word string) ([]uint32, error) {
	id, ok := m.vocab[word]
	if !ok {
		id = m.unknown
	}
	if id < 0 {
		return nil, fmt.Errorf("the word %.40q is not in the vocabulary, and there is no unknown token", word)
	}
	return append(ids, uint32(id)), nil
}

// pieceModel is WordPiece's: the longest token first; see [WordPiece].
type pieceModel struct {
	vocab    map[string]int
	unknown  int
	prefix   string
	maxRunes int
}

func newPieceModel(c pipelineModel, vocab map[string]int) (*pieceModel, error) {
	m := &pieceModel{vocab: vocab, prefix: "##", maxRunes: 100}
	var err error
	if m.unknown, err = unknownID(c, vocab); err != nil {
		return nil, err
	}
	if m.unknown < 0 {
		return nil, errors.New("WordPiece without unk_token")
	}
	if c.Prefix != nil {
		m.prefix = *c.Prefix
	}
	if c.MaxRunes != nil {
		m.maxRunes = *c.MaxRunes
	}
	return m, nil
}

func (m *pieceModel) tokens() map[string]int { return m.vocab }

func (m *pieceModel) encode(ids []uint32, word string) ([]uint32, error) {
	w := WordPiece{ids: m.vocab, unknown: m.unknown, prefix: m.prefix, maxRunes: m.maxRunes}
	return w.encodeWord(ids, word), nil
}

// pairModel is byte-pair encoding over characters: a word starts as its characters, those that are no token as their bytes
// or as the unknown token, and the pair that was learned first is merged until none is left.
type pairModel struct {
	vocab        map[string]int
	merges       map[uint64]merge
	unknown      int
	prefix       string // of every character but the first
	suffix       string // of the last
	fuse         bool   // neighbouring unknown characters are one token
	byteFallback bool
	ignoreMerges bool
}

func newPairModel(c pipelineModel, vocab map[string]int) (*pairModel, error) {
	m := &pairModel{
		vocab: vocab, merges: make(map[uint64]merge, len(c.Merges)),
		fuse: c.FuseUnknown, byteFallback: c.ByteFallback, ignoreMerges: c.IgnoreMerges,
	}
	var err error
	if m.unknown, err = unknownID(c, vocab); err != nil {
		return nil, err
	}
	if c.Prefix != nil {
		m.prefix = *c.Prefix
	}
	if c.Suffix != nil {
		m.suffix = *c.Suffix
	}
	for rank, pair := range c.Merges {
		rest, ok := strings.CutPrefix(pair[1], m.prefix)
		if !ok {
			return nil, fmt.Errorf("merge %d of %.40q and %.40q: the second does not begin with continuing_subword_prefix %.20q", rank, pair[0], pair[1], m.prefix)
		}
		joined := pair[0] + rest
		var ids [3]int
		for i, token := range []string{pair[0], pair[1], joined} {
			id, ok := vocab[token]
			if !ok {
				return nil, fmt.Errorf("merge %d of %.40q and %.40q: token %.40q is not in vocab", rank, pair[0], pair[1], token)
			}
			ids[i] = id
		}
		m.merges[pairKey(int32(ids[0]), int32(ids[1]))] = merge{rank: int32(rank), id: int32(ids[2])}
	}
	return m, nil
}

func (m *pairModel) tokens() map[string]int { return m.vocab }

// byteToken is the token that stands for a byte in files of sentencepiece.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// byteIDs appends the tokens of the bytes of text; ok is false when one lacks.
func byteIDs(ids []uint32, vocab map[string]int, text string) ([]uint32, bool) {
	n := len(ids)
	for i := range len(text) {
		id, ok := vocab[byteToken(text[i])]
		if !ok {
			return ids[:n], false
		}
		ids = append(ids, uint32(id))
	}
	return ids, true
}

func (m *pairModel) encode(ids []uint32, word string) ([]uint32, error) {
	if m.ignoreMerges {
		if id, ok := m.vocab[word]; ok {
			return append(ids, uint32(id)), nil
		}
	}
	var start []uint32
	unknown := false
	for i, r := range word {
		end := i + utf8.RuneLen(r)
		text := word[i:end]
		if i > 0 {
			text = m.prefix + text
		}
		if end == len(word) {
			text += m.suffix
		}
		if id, ok := m.vocab[text]; ok {
			start, unknown = append(start, uint32(id)), false
			continue
		}
		if m.byteFallback {
			var ok bool
			if start, ok = byteIDs(start, m.vocab, text); ok {
				continue
			}
		}
		if m.unknown >= 0 && !(unknown && m.fuse) {
			start, unknown = append(start, uint32(m.unknown)), true
		}
	}
	return append(ids, mergePairs(start, m.merges)...), nil
}

// unigram is the unigram language model of Kudo (2018): of all ways to spell a word the one whose tokens' log
// probabilities have the largest sum, found by dynamic programming. A character that is no token counts 10 less than the
// rarest token.
type unigram struct {
	vocab        map[string]int
	scores       []float64
	unknown      int
	unknownScore float64
	byteFallback bool
	trie         []trieNode
}

// trieNode is a node of the trie of tokens; children are by byte, in order.
type trieNode struct {
	bytes    []byte
	children []int32
	id       int32 // -1: no token ends here
}

// unknownPenalty is sentencepiece's.
const unknownPenalty = 10

func newUnigram(c pipelineModel) (*unigram, error) {
	var pairs []json.RawMessage
	if err := json.Unmarshal(c.Vocab, &pairs); err != nil {
		return nil, err
	}
	m := &unigram{vocab: make(map[string]int, len(pairs)), unknown: -1, byteFallback: c.ByteFallback, trie: []trieNode{{id: -1}}}
	lowest := math.Inf(1)
	for id, raw := range pairs {
		var text string
		var score float64
		if err := json.Unmarshal(raw, &[]any{&text, &score}); err != nil {
			return nil, fmt.Errorf("vocab entry %d: %w", id, err)
		}
		if math.IsNaN(score) || math.IsInf(score, 0) {
			return nil, fmt.Errorf("vocab entry %d has the score %v", id, score)
		}
		if _, ok := m.vocab[text]; ok {
			return nil, fmt.Errorf("vocab entry %d: %.40q stands twice", id, text)
		}
		m.vocab[text] = id
		m.scores = append(m.scores, score)
		lowest = min(lowest, score)
		m.insert(text, int32(id))
	}
	if c.UnknownID != nil {
		if m.unknown = *c.UnknownID; m.unknown < 0 || m.unknown >= len(pairs) {
			return nil, fmt.Errorf("unk_id = %d, want 0 to %d", m.unknown, len(pairs)-1)
		}
	}
	m.unknownScore = lowest - unknownPenalty
	return m, nil
}

func (m *unigram) insert(text string, id int32) {
	at := int32(0)
	for i := range len(text) {
		n := &m.trie[at]
		k, ok := slices.BinarySearch(n.bytes, text[i])
		if !ok {
			n.bytes = slices.Insert(n.bytes, k, text[i])
			n.children = slices.Insert(n.children, k, int32(len(m.trie)))
			at = int32(len(m.trie))
			m.trie = append(m.trie, trieNode{id: -1})
			continue
		}
		at = n.children[k]
	}
	m.trie[at].id = id
}

func (m *unigram) tokens() map[string]int { return m.vocab }

// best is the best way to spell a beginning of a word: its score, where its last token starts, and that token.
type best struct {
	score float64
	start int32 // -1: no way yet
	id    int32
}

func (m *unigram) encode(ids []uint32, word string) ([]uint32, error) {
	ends := make([]best, len(word)+1)
	for i := range ends {
		ends[i].start = -1
	}
	reach := func(from, to int, score float64, id int) {
		if e := &ends[to]; e.start < 0 || score > e.score {
			*e = best{score, int32(from), int32(id)}
		}
	}
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		single := false
		node := &m.trie[0]
		for i := at; i < len(word); i++ {
			k, ok := slices.BinarySearch(node.bytes, word[i])
			if !ok {
				break
			}
			node = &m.trie[node.children[k]]
			if node.id >= 0 {
				reach(at, i+1, m.scores[node.id]+ends[at].score, int(node.id))
				single = single || i+1-at == size
			}
		}
		if !single {
			if m.unknown < 0 {
				return nil, fmt.Errorf("%.40q is no token, and there is no unknown token", word[at:at+size])
			}
			reach(at, at+size, m.unknownScore+ends[at].score, m.unknown)
		}
		at += size
	}
	return m.collect(ids, word, ends)
}

// collect reads the best way from its end; neighbouring unknown characters are one token.
func (m *unigram) collect(ids []uint32, word string, ends []best) ([]uint32, error) {
	type part struct{ from, to, id int }
	var parts []part
	for to := len(word); to > 0; {
		e := ends[to]
		if n := len(parts); n > 0 && int(e.id) == m.unknown && parts[n-1].id == m.unknown && parts[n-1].from == to {
			parts[n-1].from = int(e.start)
		} else {
			parts = append(parts, part{int(e.start), to, int(e.id)})
		}
		to = int(e.start)
	}
	for _, p := range slices.Backward(parts) {
		text := word[p.from:p.to]
		if id, ok := m.vocab[text]; ok {
			ids = append(ids, uint32(id))
			continue
		}
		if m.byteFallback {
			var ok bool
			if ids, ok = byteIDs(ids, m.vocab, text); ok {
				continue
			}
		}
		ids = append(ids, uint32(m.unknown))
	}
	return ids, nil
}
