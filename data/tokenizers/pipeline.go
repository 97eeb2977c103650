package tokenizers

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pipeline is a tokenizer.json of Hugging Face in its general form: added tokens are cut out, the rest is normalized, cut
// into words, and each word is spelt by a model (BPE, WordPiece, Unigram or WordLevel). [BPE] and [WordPiece] are the
// faster special cases that most of the files written here are; whatever they refuse is read as a Pipeline.
//
// The ids equal those of Hugging Face tokenizers for the same file. A component or an option that is not known is an
// error with its name, so that no file is read with other ids than its own.
type Pipeline struct {
	file       []byte
	kind       string
	added      addedSet // matched in the text as it is
	normalized addedSet // matched in the normalized text
	normalizer normalizer
	words      preTokenizer
	model      wordModel
	frame      *Frame
	texts      []tokenText // by id
	wordEnds   bool        // the last token of a word gives a space, which the last of a text does not
	separator  int
	specials   SpecialIDs
}

// tokenText is what one id stands for in decoded text.
type tokenText struct {
	text, first string // as the first token of a text it may be spelt differently
	defined     bool
}

// normalizer rewrites text before it is cut into words; nil changes nothing.
type normalizer interface{ normalize(text string) string }

// preTokenizer cuts pieces of a text into words. start of a piece says that it begins where the text does.
type preTokenizer interface{ split(pieces []piece) []piece }

// piece is a part of a text.
type piece struct {
	text  string
	start bool
}

// wordModel spells words in ids.
type wordModel interface {
	// encode appends the ids of a word.
	encode(ids []uint32, word string) ([]uint32, error)
	// tokens are the texts of its ids, as the file writes them.
	tokens() map[string]int
}

// pipelineFile is a tokenizer.json; what each component reads is its own.
type pipelineFile struct {
	AddedTokens   []hfAdded       `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// component is the head of each of them.
type component struct {
	Type string `json:"type"`
}

// maxComponents bounds nested sequences of a file: each level is a call.
const maxComponents = 16

func parsePipeline(content []byte) (*Pipeline, error) {
	var file pipelineFile
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, err
	}
	t := &Pipeline{file: slices.Clone(content)}
	var err error
	if t.normalizer, err = parseNormalizer(file.Normalizer, 0); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.words, err = parsePreTokenizer(file.PreTokenizer, 0); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if t.kind, t.model, err = parseWordModel(file.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if t.frame, err = parseFrame(file.PostProcessor, 0); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	if err := t.addTokens(file.AddedTokens); err != nil {
		return nil, err
	}
	if err := t.frame.check(len(t.texts)); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	decode, err := parseDecoder(file.Decoder, 0)
	if err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	for i := range t.texts {
		if x := &t.texts[i]; x.defined {
			x.first, x.text = decode(x.text, true), decode(x.text, false)
		}
	}
	var d component
	if !absent(file.Decoder) {
		_ = json.Unmarshal(file.Decoder, &d) // parseDecoder has read it
	}
	t.wordEnds = d.Type == "BPEDecoder"
	t.findSpecials()
	return t, nil
}

// addTokens fills the table of ids and the sets of tokens that are found in text.
func (t *Pipeline) addTokens(list []hfAdded) error {
	vocab := t.model.tokens()
	if len(vocab) == 0 {
		return errors.New("model has an empty vocab")
	}
	limit := 2*(len(vocab)+len(list)) + 1024
	var table vocabTable
	for token, id := range vocab {
		if err := table.set(id, token, limit); err != nil {
			return err
		}
	}
	shown := map[int]string{}
	for _, a := range list {
		if a.Content == "" {
			return fmt.Errorf("added token with id %d has no content", a.ID)
		}
		if err := table.set(a.ID, a.Content, limit); err != nil {
			return err
		}
		if a.Normalized {
			content := a.Content
			if t.normalizer != nil {
				content = t.normalizer.normalize(content)
			}
			if content != "" {
				if _, known := vocab[a.Content]; !known {
					shown[a.ID] = content // as Hugging Face decodes it
				}
				t.normalized.add(content, a)
			}
		} else {
			t.added.add(a.Content, a)
		}
	}
	t.texts = make([]tokenText, len(table.texts))
	for id, text := range table.texts {
		t.texts[id] = tokenText{text: cmp.Or(shown[id], text), defined: table.defined[id]}
	}
	return nil
}

// findSpecials names the ids that stand for no text, by the names that published tokenizers use.
func (t *Pipeline) findSpecials() {
	find := func(names ...string) int {
		for _, name := range names {
			if id := t.id(name); id >= 0 {
				return id
			}
		}
		return -1
	}
	t.separator = find(separatorNames...)
	if t.separator < 0 {
		t.separator = NoSeparator
	}
	t.specials = SpecialIDs{
		Pad: max(find("[PAD]", "<pad>", "<|pad|>"), 0), Unknown: find("[UNK]", "<unk>"), Start: -1,
		Separator: t.separator, Mask: find("[MASK]", "<mask>"),
	}
}

// id is that of a token as the file writes it, or -1.
func (t *Pipeline) id(token string) int {
	if id, ok := t.model.tokens()[token]; ok {
		return id
	}
	for _, set := range []*addedSet{&t.added, &t.normalized} {
		for _, a := range set.tokens {
			if a.name == token {
				return a.id
			}
		}
	}
	return -1
}

// Encode returns the ids of text, without a frame. Text that is not valid UTF-8 is an error that names the byte.
func (t *Pipeline) Encode(text string) ([]int, error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	e := pipelineEncoder{t: t}
	ids, err := e.encode(nil, text)
	return widened(ids), err
}

// pipelineEncoder is the working memory of one goroutine.
type pipelineEncoder struct {
	t     *Pipeline
	cache map[string][]uint32 // ids of words seen before, of corpora; nil: none are kept
}

// encode appends the ids of text, which must be valid UTF-8.
func (e *pipelineEncoder) encode(ids []uint32, text string) ([]uint32, error) {
	var err error
	at := 0
	for _, p := range e.t.added.cut(text) {
		start := at == 0
		at += len(p.text)
		if p.id >= 0 {
			ids = append(ids, uint32(p.id))
			continue
		}
		rest := p.text
		if e.t.normalizer != nil {
			rest = e.t.normalizer.normalize(rest)
		}
		for _, q := range e.t.normalized.cut(rest) {
			if q.id >= 0 {
				ids = append(ids, uint32(q.id))
			} else if q.text != "" {
				if ids, err = e.encodeWords(ids, piece{q.text, start}); err != nil {
					return nil, err
				}
			}
			start = false
		}
	}
	return ids, nil
}

func (e *pipelineEncoder) encodeWords(ids []uint32, p piece) ([]uint32, error) {
	pieces := []piece{p}
	if e.t.words != nil {
		pieces = e.t.words.split(pieces)
	}
	var err error
	for _, w := range pieces {
		if w.text == "" {
			continue
		}
		if known, ok := e.cache[w.text]; ok {
			ids = append(ids, known...)
			continue
		}
		from := len(ids)
		if ids, err = e.t.model.encode(ids, w.text); err != nil {
			return nil, err
		}
		if e.cache != nil && len(w.text) <= maxCachedWord && len(e.cache) < maxCachedWords {
			e.cache[strings.Clone(w.text)] = slices.Clone(ids[from:])
		}
	}
	return ids, nil
}

// Decode returns the text of ids, special tokens included.
func (t *Pipeline) Decode(ids []int) string {
	text := decodeTokens(t, ids)
	if t.wordEnds {
		text = strings.TrimSuffix(text, " ")
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func (t *Pipeline) tokenText(id int, first bool) (string, bool) {
	if id < 0 || id >= len(t.texts) || !t.texts[id].defined {
		return "", false
	}
	if first {
		return t.texts[id].first, true
	}
	return t.texts[id].text, true
}

// VocabSize returns one more than the largest id.
func (t *Pipeline) VocabSize() int { return len(t.texts) }

// Kind returns the kind of its model: "bpe", "wordpiece", "unigram" or "wordlevel".
func (t *Pipeline) Kind() string { return t.kind }

// Separator returns the id of the token that ends a document, or NoSeparator.
func (t *Pipeline) Separator() int { return t.separator }

// Save returns the tokenizer.json it was read from.
func (t *Pipeline) Save() []byte { return slices.Clone(t.file) }
