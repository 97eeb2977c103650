package tokenizers

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sparrow/data"
)

// Tokenizer maps text to ids in [0, VocabSize) and back. Implementations are read-only after they are made and may be
// used by several goroutines. They are all in this package, since a Stream and the encoding of corpora rely on more than
// the exported methods.
type Tokenizer interface {
	tokenTexts

	// Encode returns the ids of text. Special tokens are not added around it.
	Encode(text string) ([]int, error)

	// Decode returns the text of ids. An id outside the vocabulary becomes U+FFFD. Ids that end within a rune give the
	// bytes they stand for, so that decoding is exact; a Stream yields whole runes.
	Decode(ids []int) string

	// VocabSize is the number of ids; a network needs as many rows of its embedding.
	VocabSize() int

	// Kind is "byte", "char", "word", "bpe", "wordpiece", "unigram" or "wordlevel".
	Kind() string

	// Separator is the id that ends a document in a corpus, or NoSeparator.
	Separator() int

	// Save returns the content of tokenizer.json, which Load reads back. Those of bpe and wordpiece are read
	// by Hugging Face's library as well.
	Save() []byte
}

// NoSeparator is the Separator of a tokenizer that has no token to end a document with.
const NoSeparator = -1

// Load reads what Save wrote, or a Hugging Face tokenizer.json. Errors say what the content lacks, or which
// feature of it is not supported.
func Load(content []byte) (Tokenizer, error) {
	tokenizer, err := parseTokenizer(content)
	if err != nil {
		return nil, fmt.Errorf("data: tokenizer.json: %w", err)
	}
	return tokenizer, nil
}

// parseTokenizer is Load; the caller says where the content comes from.
func parseTokenizer(content []byte) (Tokenizer, error) {
	var head struct {
		Type  string `json:"type"`
		Model *struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if err := json.Unmarshal(content, &head); err != nil {
		return nil, err
	}
	switch {
	case head.Type == "byte":
		return ByteTokenizer{}, nil
	case head.Type == "char":
		return parseChar(content)
	case head.Type == "word":
		return parseWords(content)
	case head.Type != "":
		return nil, fmt.Errorf(`type %q, want "byte", "char", "word" or a Hugging Face file with a "model"`, head.Type)
	case head.Model == nil:
		return nil, errors.New(`neither "type" nor "model" found; want a file written by train or by Hugging Face tokenizers`)
	}
	// BERT's and the byte-level files have faster readers; either says by errSpecial that a file is none of its own.
	err := errSpecial
	switch head.Model.Type {
	case "BPE":
		var t *BPE
		if t, err = parseBPE(content); err == nil {
			return t, nil
		}
	case "WordPiece":
		var t *WordPiece
		if t, err = parseWordPiece(content); err == nil {
			return t, nil
		}
	}
	if errors.Is(err, errSpecial) {
		return parsePipeline(content)
	}
	return nil, err
}

// errSpecial marks a tokenizer.json that a special case does not cover and a [Pipeline] may.
var errSpecial = errors.New("not a special case")

// tokenTexts is a tokenizer whose text is the concatenation of the texts of its tokens.
type tokenTexts interface {
	// tokenText returns the bytes of one id, and whether the id is in the vocabulary. A token may be spelt differently
	// where it is the first one.
	tokenText(id int, first bool) (string, bool)
}

// decodeTokens concatenates the texts of ids.
func decodeTokens(t tokenTexts, ids []int) string {
	var b strings.Builder
	for i, id := range ids {
		if text, ok := t.tokenText(id, i == 0); ok {
			b.WriteString(text)
		} else {
			b.WriteRune(utf8.RuneError)
		}
	}
	return b.String()
}

// widened returns ids as the ints of the Tokenizer interface.
func widened(ids []uint32) []int {
	wide := make([]int, len(ids))
	for i, id := range ids {
		wide[i] = int(id)
	}
	return wide
}

// SpecialIDs are the ids of a tokenizer that stand for no text; -1 where it has none.
type SpecialIDs struct {
	Pad       int // fills the end of short rows; 0 where there is none
	Unknown   int // a word outside the vocabulary
	Start     int // [CLS], before an example
	Separator int // [SEP] after each text of an example; without Start, between the texts of a pair
	Mask      int // [MASK], to predict
}

// Specials returns the special ids of a tokenizer.
func Specials(tokenizer Tokenizer) SpecialIDs {
	s := SpecialIDs{Unknown: -1, Start: -1, Separator: tokenizer.Separator(), Mask: -1}
	switch t := tokenizer.(type) {
	case *WordTokenizer:
		s.Pad, s.Unknown = wordPad, wordUnknown
	case *CharTokenizer:
		s.Unknown = charUnknown
	case *Pipeline:
		s = t.specials
	case *WordPiece:
		s.Pad, s.Unknown = max(t.special("[PAD]"), 0), t.unknown
		s.Start, s.Separator, s.Mask = t.special("[CLS]"), t.special("[SEP]"), t.special("[MASK]")
		if s.Start < 0 || s.Separator < 0 {
			s.Start = -1 // not BERT's form: neither is put around a text
		}
	}
	return s
}

// Markers are the ids of tokens that stand for no text, in ascending order: those that the tokenizer's file lists as special,
// such as the begin of a turn, and those of Specials. A text that merely looks like one is no marker.
func Markers(tokenizer Tokenizer) []int {
	s := Specials(tokenizer)
	ids := []int{s.Unknown, s.Start, s.Separator, s.Mask}
	if s.Pad > 0 { // 0 may be a word
		ids = append(ids, s.Pad)
	}
	added := func(list addedTokens) {
		for _, a := range list.tokens {
			if a.special {
				ids = append(ids, a.id)
			}
		}
	}
	switch t := tokenizer.(type) {
	case *BPE:
		added(t.added)
	case *WordPiece:
		added(t.added)
	case *Pipeline:
		for _, set := range []addedSet{t.added, t.normalized} {
			for _, a := range set.tokens {
				if a.special {
					ids = append(ids, a.id)
				}
			}
		}
	case *WordTokenizer:
		ids = append(ids, wordPad)
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id int) bool { return id < 0 })
}

// checkUTF8 returns an error that names the first byte of text that is not valid UTF-8.
func checkUTF8(text string) error {
	if at := data.InvalidUTF8(text); at >= 0 {
		return fmt.Errorf("data: text is not valid UTF-8 at byte %d (0x%02x); the byte tokenizer takes any content", at, text[at])
	}
	return nil
}

// NewEncoder returns a function, for one goroutine, that appends the ids of a text. The text must be valid UTF-8, except
// for bytes.
func NewEncoder(tokenizer Tokenizer) func(ids []uint32, text string) ([]uint32, error) {
	var encode func(ids []uint32, text string) []uint32
	switch t := tokenizer.(type) {
	case *BPE:
		// A corpus repeats its words, so each goroutine remembers the ids of those it has seen.
		e := bpeEncoder{t: t, cache: map[string][]int32{}}
		encode = e.encode
	case *WordPiece:
		e := wordPieceEncoder{t: t, cache: map[string][]uint32{}}
		encode = e.encode
	case *Pipeline:
		e := pipelineEncoder{t: t, cache: map[string][]uint32{}}
		return e.encode
	case *WordTokenizer:
		encode = t.encoder()
	case *CharTokenizer:
		encode = t.encode
	default:
		return func(ids []uint32, text string) ([]uint32, error) {
			encoded, err := tokenizer.Encode(text)
			for _, id := range encoded {
				ids = append(ids, uint32(id))
			}
			return ids, err
		}
	}
	return func(ids []uint32, text string) ([]uint32, error) { return encode(ids, text), nil }
}

// NewDocumentEncoder returns a function, for one goroutine, that appends the ids of a document and the separator.
func NewDocumentEncoder(tokenizer Tokenizer) func(ids []uint32, document string) ([]uint32, error) {
	encode := NewEncoder(tokenizer)
	separator := tokenizer.Separator()
	return func(ids []uint32, document string) ([]uint32, error) {
		ids, err := encode(ids, document)
		if err != nil {
			return nil, err
		}
		if separator != NoSeparator {
			ids = append(ids, uint32(separator))
		}
		return ids, nil
	}
}
