package tokenizers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// WordPiece is the tokenizer of BERT (Devlin et al. 2019): text is cleaned, cut at white space and punctuation, and each
// word becomes the longest tokens of the vocabulary that spell it from left to right; tokens within a word carry a
// prefix. A word that cannot be spelt is one unknown token.
//
// The ids equal those of Hugging Face tokenizers for the same tokenizer.json, but for some punctuation and marks that
// Unicode has assigned since version 8, the age of that library's tables.
type WordPiece struct {
	file      []byte
	ids       map[string]int
	tokens    []string // by id; "" is a gap
	unknown   int
	prefix    string
	maxRunes  int // a longer word is unknown
	separator int
	added     addedTokens
	normalize bertNormalizer
	cleanup   bool // whether Decode closes up punctuation
}

// bertNormalizer has the options of "BertNormalizer".
type bertNormalizer struct {
	CleanText    bool  `json:"clean_text"`
	ChineseChars bool  `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"` // absent means as Lowercase
	Lowercase    bool  `json:"lowercase"`
}

// wordPieceFile is a tokenizer.json with a WordPiece model, as far as it decides about ids.
type wordPieceFile struct {
	AddedTokens []hfAdded `json:"added_tokens"`
	Normalizer  *struct {
		Type string `json:"type"`
		bertNormalizer
	} `json:"normalizer"`
	PreTokenizer *hfComponent `json:"pre_tokenizer"`
	Decoder      *struct {
		Type    string `json:"type"`
		Prefix  string `json:"prefix"`
		Cleanup bool   `json:"cleanup"`
	} `json:"decoder"`
	Model struct {
		UnkToken string         `json:"unk_token"`
		Prefix   string         `json:"continuing_subword_prefix"`
		MaxRunes int            `json:"max_input_chars_per_word"`
		Vocab    map[string]int `json:"vocab"`
	} `json:"model"`
}

// parseWordPiece reads BERT's; other files are errSpecial.
func parseWordPiece(content []byte) (*WordPiece, error) {
	var file wordPieceFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	if !file.isBERT() {
		return nil, errSpecial
	}
	if err := file.check(); err != nil {
		return nil, err
	}
	t := &WordPiece{
		file:      slices.Clone(content),
		ids:       file.Model.Vocab,
		unknown:   file.Model.Vocab[file.Model.UnkToken],
		prefix:    file.Model.Prefix,
		maxRunes:  file.Model.MaxRunes,
		normalize: file.Normalizer.bertNormalizer,
		cleanup:   file.Decoder == nil || file.Decoder.Cleanup,
	}
	var table vocabTable
	for token, id := range file.Model.Vocab {
		if err := table.set(id, token, 2*len(file.Model.Vocab)+1024); err != nil {
			return nil, err
		}
	}
	t.tokens = table.texts
	var err error
	if t.added, err = newAddedTokens(file.AddedTokens); err != nil {
		return nil, err
	}
	for _, added := range file.AddedTokens {
		if id, ok := t.ids[added.Content]; !ok || id != added.ID {
			return nil, fmt.Errorf("added token %q with id %d is not in the WordPiece vocab", added.Content, added.ID)
		}
	}
	t.separator = t.added.separator()
	return t, nil
}

// isBERT tells whether the file has nothing but what is written out here.
func (f *wordPieceFile) isBERT() bool {
	return f.Normalizer != nil && f.Normalizer.Type == "BertNormalizer" && f.PreTokenizer != nil && f.PreTokenizer.Type == "BertPreTokenizer" &&
		(f.Decoder == nil || f.Decoder.Type == "WordPiece" && f.Decoder.Prefix == f.Model.Prefix) &&
		!slices.ContainsFunc(f.AddedTokens, func(a hfAdded) bool { return a.Normalized || a.SingleWord })
}

// check names what no tokenizer can be made of.
func (f *wordPieceFile) check() error {
	switch {
	case f.Model.MaxRunes < 1:
		return fmt.Errorf("max_input_chars_per_word = %d, want at least 1", f.Model.MaxRunes)
	}
	if _, ok := f.Model.Vocab[f.Model.UnkToken]; !ok {
		return fmt.Errorf("unk_token %q is not in vocab", f.Model.UnkToken)
	}
	return nil
}

// Encode returns the ids of text. [CLS] and [SEP] are found in the text, not added around it. Text that is not valid
// UTF-8 is an error that names the byte.
func (t *WordPiece) Encode(text string) ([]int, error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	e := wordPieceEncoder{t: t}
	return widened(e.encode(nil, text)), nil
}

// wordPieceEncoder is the working memory of one goroutine.
type wordPieceEncoder struct {
	t     *WordPiece
	cache map[string][]uint32 // ids of words seen before, of corpora; nil: none are kept
}

// encode appends the ids of text, which must be valid UTF-8.
func (e *wordPieceEncoder) encode(ids []uint32, text string) []uint32 {
	for len(text) > 0 {
		before, token, rest := e.t.added.cut(text)
		e.t.normalize.eachWord(before, func(word string) {
			if known, ok := e.cache[word]; ok {
				ids = append(ids, known...)
				return
			}
			start := len(ids)
			ids = e.t.encodeWord(ids, word)
			if e.cache != nil && len(e.cache) < maxCachedWords {
				e.cache[strings.Clone(word)] = slices.Clone(ids[start:])
			}
		})
		if token != nil {
			ids = append(ids, uint32(token.id))
		}
		text = rest
	}
	return ids
}

// eachWord calls add with each word of text, normalized.
func (n bertNormalizer) eachWord(text string, add func(word string)) {
	text = n.apply(text)
	for len(text) > 0 {
		word, rest := bertWord(text)
		if word != "" {
			add(word)
		}
		text = rest
	}
}

// encodeWord appends the tokens that spell word, longest first.
func (t *WordPiece) encodeWord(ids []uint32, word string) []uint32 {
	if utf8.RuneCountInString(word) > t.maxRunes {
		return append(ids, uint32(t.unknown))
	}
	spelt := len(ids)
	for start := 0; start < len(word); {
		end, id, found := len(word), 0, false
		for ; end > start; end-- {
			if end < len(word) && !utf8.RuneStart(word[end]) {
				continue
			}
			piece := word[start:end]
			if start > 0 {
				piece = t.prefix + piece
			}
			if id, found = t.ids[piece]; found {
				break
			}
		}
		if !found {
			return append(ids[:spelt], uint32(t.unknown))
		}
		ids = append(ids, uint32(id))
		start = end
	}
	return ids
}

// bertWord returns the first word of text and what follows: a punctuation mark, or a run of anything else up to white
// space or punctuation. The word is empty when text begins with white space.
func bertWord(text string) (word, rest string) {
	for i, r := range text {
		switch {
		case unicode.IsSpace(r):
			if i > 0 {
				return text[:i], text[i:]
			}
			return "", text[utf8.RuneLen(r):]
		case isBertPunctuation(r):
			if i == 0 {
				i = utf8.RuneLen(r)
			}
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// isBertPunctuation counts all ASCII symbols as punctuation, besides what Unicode calls so.
func isBertPunctuation(r rune) bool {
	return r > ' ' && r < 0x7F && !unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.IsPunct(r)
}

// apply returns the text that is cut into words.
func (n bertNormalizer) apply(text string) string {
	if n.CleanText || n.ChineseChars {
		var b strings.Builder
		for _, r := range text {
			switch {
			case n.CleanText && (r == 0 || r == utf8.RuneError || isBertControl(r)):
			case n.CleanText && unicode.IsSpace(r):
				b.WriteByte(' ')
			case n.ChineseChars && isChinese(r):
				b.WriteByte(' ')
				b.WriteRune(r)
				b.WriteByte(' ')
			default:
				b.WriteRune(r)
			}
		}
		text = b.String()
	}
	if n.StripAccents != nil && *n.StripAccents || n.StripAccents == nil && n.Lowercase {
		text = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(text))
	}
	if n.Lowercase {
		// Unicode's full mapping has one entry that is not one rune to one.
		text = strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(text, "\u0130", "i\u0307")), "\u0130", "i\u0307")
	}
	return text
}

func isBertControl(r rune) bool {
	return r != '\t' && r != '\n' && r != '\r' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co)
}

// isChinese tells the CJK blocks that BERT surrounds with spaces.
func isChinese(r rune) bool {
	return 0x4E00 <= r && r <= 0x9FFF || 0x3400 <= r && r <= 0x4DBF || 0x20000 <= r && r <= 0x2A6DF ||
		0x2A700 <= r && r <= 0x2B73F || 0x2B740 <= r && r <= 0x2B81F || 0x2B920 <= r && r <= 0x2CEAF ||
		0xF900 <= r && r <= 0xFAFF || 0x2F800 <= r && r <= 0x2FA1F
}

// Decode joins tokens with spaces, except within words and, when the file says so, before punctuation. What
// normalization took away does not come back.
func (t *WordPiece) Decode(ids []int) string { return decodeTokens(t, ids) }

func (t *WordPiece) tokenText(id int, first bool) (string, bool) {
	if id < 0 || id >= len(t.tokens) || t.tokens[id] == "" {
		return "", false
	}
	token := t.tokens[id]
	if !first {
		if continued, ok := strings.CutPrefix(token, t.prefix); ok {
			token = continued
		} else {
			token = " " + token
		}
	}
	if t.cleanup {
		token = wordPieceCleanup.Replace(token)
	}
	return token, true
}

// wordPieceCleanup is the list of Hugging Face's decoder.
var wordPieceCleanup = strings.NewReplacer(" .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m",
	" do not", " don't", " 's", "'s", " 've", "'ve", " 're", "'re")

// VocabSize returns one more than the largest id.
func (t *WordPiece) VocabSize() int { return len(t.tokens) }

// Kind returns "wordpiece".
func (t *WordPiece) Kind() string { return "wordpiece" }

// Separator returns the id of [SEP], or NoSeparator.
func (t *WordPiece) Separator() int { return t.separator }

// Save returns the tokenizer.json it was read from.
func (t *WordPiece) Save() []byte { return slices.Clone(t.file) }

// special returns the id of a special token, or -1.
func (t *WordPiece) special(name string) int {
	if id, ok := t.ids[name]; ok {
		return id
	}
	return -1
}
