package tokenizers

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
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

	// Kind is "byte", "char", "word", "bpe" or "wordpiece".
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
	case head.Model.Type == "BPE":
		return parseBPE(content)
	case head.Model.Type == "WordPiece":
		return parseWordPiece(content)
	default:
		return nil, fmt.Errorf(`model type %q is not supported, want "BPE" (byte-level) or "WordPiece"`, head.Model.Type)
	}
}

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
