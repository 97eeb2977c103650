package tokenizers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sparrow/data"
)

// wordSpecials are the tokens of a WordTokenizer that no text has, by id. The separator stands between the texts of a pair.
var wordSpecials = [...]string{"<pad>", "<unk>", "<sep>"}

// Ids of wordSpecials.
const (
	wordPad       = 0
	wordUnknown   = 1
	wordSeparator = 2
)

// WordTokenizer has an id for each word of its vocabulary and one for all others. Words are letters, digits and apostrophes
// or single punctuation marks, with contractions cut off as in the Penn Treebank: "Don't!" is "do", "n't", "!".
type WordTokenizer struct {
	words     []string // by id, special ones first
	ids       map[string]uint32
	lowercase bool
}

// trainWords makes the tokenizer of the words that occur at least minCount times in the documents of s, the more frequent
// first and equals in the order of their bytes; at most vocabSize ids with the special ones.
func trainWords(ctx context.Context, s *data.Documents, cfg Config) (*WordTokenizer, error) {
	counts, err := countWords(ctx, s, func() wordCutter {
		folder := &wordFolder{lowercase: cfg.Lowercase}
		return folder.eachWord
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(counts, func(a, b wordCount) int { return cmp.Compare(b.count, a.count) })
	var words []string
	for _, c := range counts {
		if c.count < cfg.MinCount || len(words)+len(wordSpecials) == cfg.VocabSize {
			break
		}
		words = append(words, c.word)
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("data: tokenizer \"word\": no word of %d occurs min_count = %d times in the training text", len(counts), cfg.MinCount)
	}
	return newWordTokenizer(words, cfg.Lowercase), nil
}

func newWordTokenizer(words []string, lowercase bool) *WordTokenizer {
	t := &WordTokenizer{words: append(wordSpecials[:len(wordSpecials):len(wordSpecials)], words...), lowercase: lowercase}
	t.ids = make(map[string]uint32, len(words))
	for i, word := range words {
		t.ids[word] = uint32(i + len(wordSpecials))
	}
	return t
}

// wordFile is the content of tokenizer.json.
type wordFile struct {
	Type      string   `json:"type"`
	Lowercase bool     `json:"lowercase"`
	Words     []string `json:"words"` // word i has id i+3
}

func parseWords(content []byte) (*WordTokenizer, error) {
	var file wordFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	if len(file.Words) == 0 {
		return nil, fmt.Errorf(`"words" is empty, want a vocabulary`)
	}
	t := newWordTokenizer(file.Words, file.Lowercase)
	if len(t.ids) != len(file.Words) {
		for i, word := range file.Words {
			if first := slices.Index(file.Words, word); first < i {
				return nil, fmt.Errorf(`"words" has %q twice, at %d and %d`, word, first, i)
			}
		}
	}
	if i := slices.Index(file.Words, ""); i >= 0 {
		return nil, fmt.Errorf(`"words" has an empty word at %d`, i)
	}
	return t, nil
}

// Encode returns one id a word, that of <unk> for words outside the vocabulary. Text that is not valid UTF-8 is an error
// that names the byte.
func (t *WordTokenizer) Encode(text string) ([]int, error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	return widened(t.encoder()(nil, text)), nil
}

// encoder returns a function, for one goroutine, that appends the ids of text, which must be valid UTF-8.
func (t *WordTokenizer) encoder() func(ids []uint32, text string) []uint32 {
	folder := &wordFolder{lowercase: t.lowercase}
	return func(ids []uint32, text string) []uint32 {
		folder.eachWord(text, func(word string) {
			id, known := t.ids[word]
			if !known {
				id = wordUnknown
			}
			ids = append(ids, id)
		})
		return ids
	}
}

// ID returns the id of a word in the form in which the vocabulary has it.
func (t *WordTokenizer) ID(word string) (id int, known bool) {
	found, known := t.ids[word]
	return int(found), known
}

// WordCount returns the number of words, without special tokens.
func (t *WordTokenizer) WordCount() int { return len(t.ids) }

// Words returns the words of text as they stand there, one for each id of Encode.
func (t *WordTokenizer) Words(text string) []string {
	var words []string
	for word, rest := nextWord(text); word != ""; word, rest = nextWord(rest) {
		words = append(words, word)
	}
	return words
}

// Decode joins the words of ids with spaces; <unk> is written out.
func (t *WordTokenizer) Decode(ids []int) string { return decodeTokens(t, ids) }

func (t *WordTokenizer) tokenText(id int, first bool) (string, bool) {
	if id < 0 || id >= len(t.words) {
		return "", false
	}
	if first {
		return t.words[id], true
	}
	return " " + t.words[id], true
}

// VocabSize returns the number of words and special tokens.
func (t *WordTokenizer) VocabSize() int { return len(t.words) }

// Kind returns "word".
func (t *WordTokenizer) Kind() string { return "word" }

// Separator returns the id of <sep>.
func (t *WordTokenizer) Separator() int { return wordSeparator }

// Save returns the vocabulary as JSON.
func (t *WordTokenizer) Save() []byte {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // punctuation stays readable
	if err := encoder.Encode(wordFile{Type: "word", Lowercase: t.lowercase, Words: t.words[len(wordSpecials):]}); err != nil {
		panic(err) // strings always marshal
	}
	return []byte(b.String())
}
