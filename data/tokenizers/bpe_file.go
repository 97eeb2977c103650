package tokenizers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// byteRunes maps each byte to the rune that stands for it in a tokenizer.json (GPT-2's bytes_to_unicode): itself where
// it is a printable character of Latin-1, else the next free rune from U+0100.
var byteRunes = func() (table [256]rune) {
	next := rune(0x100)
	for b := range table {
		if r := rune(b); '!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ' {
			table[b] = r
		} else {
			table[b] = next
			next++
		}
	}
	return table
}()

// runeBytes is the inverse of byteRunes.
var runeBytes = func() map[rune]byte {
	inverse := make(map[rune]byte, 256)
	for b, r := range byteRunes {
		inverse[r] = byte(b)
	}
	return inverse
}()

// bytesByRune returns the bytes in the order of their runes, in which trained vocabularies number them.
func bytesByRune() []byte {
	order := make([]byte, 256)
	for b := range order {
		order[b] = byte(b)
	}
	slices.SortFunc(order, func(a, b byte) int { return cmp.Compare(byteRunes[a], byteRunes[b]) })
	return order
}

// toRunes spells bytes as a tokenizer.json does.
func toRunes(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(byteRunes[text[i]])
	}
	return b.String()
}

// fromRunes is the inverse of toRunes; ok is false when the token has a rune that stands for no byte.
func fromRunes(token string) (text string, ok bool) {
	b := make([]byte, 0, len(token))
	for _, r := range token {
		c, known := runeBytes[r]
		if !known {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

// hfFile is a tokenizer.json of Hugging Face, as far as it decides about ids.
type hfFile struct {
	Version       string       `json:"version"`
	Truncation    *struct{}    `json:"truncation"`
	Padding       *struct{}    `json:"padding"`
	AddedTokens   []hfAdded    `json:"added_tokens"`
	Normalizer    *hfComponent `json:"normalizer"`
	PreTokenizer  *hfComponent `json:"pre_tokenizer"`
	PostProcessor *hfComponent `json:"post_processor"`
	Decoder       *hfComponent `json:"decoder"`
	Model         hfModel      `json:"model"`
}

type hfAdded struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// hfComponent is a normalizer, pre-tokenizer, post-processor or decoder.
type hfComponent struct {
	Type           string `json:"type"`
	AddPrefixSpace *bool  `json:"add_prefix_space,omitempty"` // absent means true
	TrimOffsets    *bool  `json:"trim_offsets,omitempty"`
	UseRegex       *bool  `json:"use_regex,omitempty"` // absent means true
}

type hfModel struct {
	Type                    string   `json:"type"`
	Dropout                 *float64 `json:"dropout"`
	UnkToken                *string  `json:"unk_token"`
	ContinuingSubwordPrefix *string  `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string  `json:"end_of_word_suffix"`
	FuseUnk                 bool     `json:"fuse_unk"`
	ByteFallback            bool     `json:"byte_fallback"`
	IgnoreMerges            bool     `json:"ignore_merges"`
	Vocab                   hfVocab  `json:"vocab"`
	Merges                  []hfPair `json:"merges"`
}

// hfVocab maps tokens to ids; it is written in the order of the ids.
type hfVocab map[string]int

// MarshalJSON writes the tokens in the order of their ids.
func (v hfVocab) MarshalJSON() ([]byte, error) {
	tokens := make([]string, 0, len(v))
	for token := range v {
		tokens = append(tokens, token)
	}
	slices.SortFunc(tokens, func(a, b string) int { return cmp.Compare(v[a], v[b]) })
	var b bytes.Buffer
	b.WriteByte('{')
	for i, token := range tokens {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(token)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s:%d", name, v[token])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// hfPair is the two tokens of a merge: ["a", "b"], or "a b" in files written before 2024.
type hfPair [2]string

// UnmarshalJSON reads either form.
func (p *hfPair) UnmarshalJSON(content []byte) error {
	var pair []string
	if err := json.Unmarshal(content, &pair); err != nil {
		var joined string
		if err := json.Unmarshal(content, &joined); err != nil {
			return fmt.Errorf(`merge %s, want ["a", "b"] or "a b"`, content)
		}
		pair = strings.Split(joined, " ")
	}
	if len(pair) != 2 {
		return fmt.Errorf("merge %s has %d tokens, want 2", content, len(pair))
	}
	copy(p[:], pair)
	return nil
}

// trainedFile returns the tokenizer.json of a vocabulary: texts by id, id 0 the separator, and the merges in order.
func trainedFile(texts []string, merges [][2]int32) []byte {
	yes, no := true, false
	file := hfFile{
		Version:      "1.0",
		AddedTokens:  []hfAdded{{Content: endOfText, Special: true}},
		PreTokenizer: &hfComponent{Type: "ByteLevel", AddPrefixSpace: &no, TrimOffsets: &yes, UseRegex: &yes},
		Decoder:      &hfComponent{Type: "ByteLevel", AddPrefixSpace: &no, TrimOffsets: &yes, UseRegex: &yes},
		Model:        hfModel{Type: "BPE", Vocab: hfVocab{endOfText: 0}, Merges: []hfPair{}},
	}
	tokens := make([]string, len(texts))
	for id, text := range texts[1:] {
		tokens[id+1] = toRunes(text)
		file.Model.Vocab[tokens[id+1]] = id + 1
	}
	for _, pair := range merges {
		file.Model.Merges = append(file.Model.Merges, hfPair{tokens[pair[0]], tokens[pair[1]]})
	}
	content, err := json.Marshal(file)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return append(content, '\n')
}

// parseBPE reads a byte-level BPE; other files are errSpecial.
func parseBPE(content []byte) (*BPE, error) {
	var file hfFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	if !file.plainByteLevel() {
		return nil, errSpecial
	}
	t := &BPE{
		file:         slices.Clone(content),
		merges:       make(map[uint64]merge, len(file.Model.Merges)),
		prefixSpace:  isTrue(file.PreTokenizer.AddPrefixSpace),
		split:        isTrue(file.PreTokenizer.UseRegex),
		ignoreMerges: file.Model.IgnoreMerges,
	}
	if err := t.readVocab(&file); err != nil {
		return nil, err
	}
	if err := t.readMerges(&file); err != nil {
		return nil, err
	}
	return t, nil
}

func isTrue(option *bool) bool { return option == nil || *option }

// plainByteLevel tells whether the file has nothing but what is written out here.
func (f *hfFile) plainByteLevel() bool {
	m := f.Model
	return m.Type == "BPE" && f.Normalizer == nil && f.PreTokenizer != nil && f.PreTokenizer.Type == "ByteLevel" &&
		(m.Dropout == nil || *m.Dropout == 0) && (m.ContinuingSubwordPrefix == nil || *m.ContinuingSubwordPrefix == "") &&
		(m.EndOfWordSuffix == nil || *m.EndOfWordSuffix == "") && (f.Decoder == nil || f.Decoder.Type == "ByteLevel") &&
		!slices.ContainsFunc(f.AddedTokens, func(a hfAdded) bool { return a.SingleWord })
}

// readVocab fills the tables of tokens.
func (t *BPE) readVocab(file *hfFile) error {
	if len(file.Model.Vocab) == 0 {
		return errors.New("model has an empty vocab")
	}
	var err error
	if t.added, err = newAddedTokens(file.AddedTokens); err != nil {
		return err
	}
	t.separator = t.added.separator()
	limit := 2*(len(file.Model.Vocab)+len(file.AddedTokens)) + 1024
	special := map[int]bool{}
	for _, added := range file.AddedTokens {
		special[added.ID] = true
		if err := t.vocab.set(added.ID, added.Content, limit); err != nil {
			return err
		}
	}
	if t.ignoreMerges {
		t.words = make(map[string]int32, len(file.Model.Vocab))
	}
	for token, id := range file.Model.Vocab {
		text, ok := fromRunes(token)
		if !ok || special[id] {
			text = token // written as it is
		}
		if err := t.vocab.set(id, text, limit); err != nil {
			return err
		}
		if ok && t.ignoreMerges {
			t.words[text] = int32(id)
		}
	}
	for b, r := range byteRunes {
		id, ok := file.Model.Vocab[string(r)]
		if !ok {
			return fmt.Errorf("vocab has no token for byte 0x%02x (%q), want all 256", b, r)
		}
		t.byteIDs[b] = int32(id)
	}
	return nil
}

// readMerges fills the table of merges.
func (t *BPE) readMerges(file *hfFile) error {
	for rank, pair := range file.Model.Merges {
		var ids [3]int
		for i, token := range []string{pair[0], pair[1], pair[0] + pair[1]} {
			id, ok := file.Model.Vocab[token]
			if !ok {
				return fmt.Errorf("merge %d of %q and %q: token %q is not in vocab", rank, pair[0], pair[1], token)
			}
			ids[i] = id
		}
		t.merges[pairKey(int32(ids[0]), int32(ids[1]))] = merge{rank: int32(rank), id: int32(ids[2])}
	}
	return nil
}
