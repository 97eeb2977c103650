package data

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// Dataset is a corpus ready for training.
type Dataset struct {
	Train      *Tokens
	Validation *Tokens
	Tokenizer  Tokenizer

	// SHA256 identifies the text of both splits, in hexadecimal. The tokenizer is not part of it.
	SHA256 string

	source    string
	files     int
	textBytes int
}

// Open reads the corpus of cfg, makes its tokenizer and encodes both splits. It fails with one clear error when cfg is
// wrong, a file is missing or unreadable, the content does not suit the tokenizer, or a split is shorter than a sequence.
func Open(ctx context.Context, cfg Config) (*Dataset, error) { return open(ctx, cfg, nil) }

// OpenWith is Open with a tokenizer that exists already, such as that of a checkpoint; cfg.Tokenizer is not looked at.
func OpenWith(ctx context.Context, cfg Config, tokenizer Tokenizer) (*Dataset, error) {
	cfg.Tokenizer = "byte"
	return open(ctx, cfg, tokenizer)
}

func open(ctx context.Context, cfg Config, tokenizer Tokenizer) (*Dataset, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.IsLabelled() || cfg.IsImages() {
		return nil, fmt.Errorf(`data: source %q has labelled examples, for classification and regression; a language model wants "goroot" or "text"`, cfg.Source)
	}
	c, err := openCorpus(ctx, cfg)
	if err != nil {
		return nil, err
	}
	trainDocuments, validationDocuments := len(c.train.documents), len(c.validation.documents)
	switch {
	case trainDocuments+validationDocuments == 0:
		return nil, fmt.Errorf("data: source %q: corpus is empty%s", cfg.Source, capHint(cfg))
	case trainDocuments == 0:
		return nil, fmt.Errorf("data: source %q: nothing is left for training with validation_share = %v%s", cfg.Source, cfg.ValidationShare, capHint(cfg))
	case validationDocuments == 0:
		return nil, fmt.Errorf("data: source %q: nothing is left for validation with validation_share = %v%s", cfg.Source, cfg.ValidationShare, capHint(cfg))
	}
	if cfg.Tokenizer != "byte" || tokenizer != nil && tokenizer.Kind() != "byte" {
		for _, s := range []*split{&c.train, &c.validation} {
			if err := s.checkUTF8(); err != nil {
				return nil, err
			}
		}
	}
	if tokenizer == nil {
		if tokenizer, err = newTokenizer(ctx, cfg, &c.train); err != nil {
			return nil, err
		}
	}
	d := &Dataset{
		Tokenizer: tokenizer,
		SHA256:    c.hash(),
		source:    cfg.Source,
		files:     c.files,
		textBytes: len(c.train.text) + len(c.validation.text) - trainDocuments - validationDocuments, // less the separators
	}
	if d.Train, err = encodeSplit(ctx, &c.train, tokenizer); err != nil {
		return nil, err
	}
	if d.Validation, err = encodeSplit(ctx, &c.validation, tokenizer); err != nil {
		return nil, err
	}
	if d.Train.Len() < cfg.SeqLen+1 {
		return nil, fmt.Errorf("data: training split of %d tokens is shorter than one window of seq_len + 1 = %d tokens%s", d.Train.Len(), cfg.SeqLen+1, capHint(cfg))
	}
	if d.Validation.Len() < 2 {
		return nil, fmt.Errorf("data: validation split of %d tokens, want at least 2; raise validation_share = %v", d.Validation.Len(), cfg.ValidationShare)
	}
	return d, nil
}

func capHint(cfg Config) string {
	if cfg.MaxBytes > 0 {
		return fmt.Sprintf("; raise max_bytes = %d", cfg.MaxBytes)
	}
	return ""
}

// newTokenizer makes the tokenizer that cfg names, from the training split where it needs text.
func newTokenizer(ctx context.Context, cfg Config, train *split) (Tokenizer, error) {
	switch {
	case cfg.Tokenizer == "byte":
		return ByteTokenizer{}, nil
	case cfg.Tokenizer == "char":
		return NewCharTokenizer(train.all())
	case cfg.Tokenizer == "bpe":
		return trainBPE(ctx, train, cfg.VocabSize)
	case cfg.Tokenizer == "word":
		return trainWords(ctx, train, cfg)
	case cfg.Tokenizer == "wordpiece":
		return trainWordPiece(ctx, train, cfg)
	case isTokenizerPath(cfg.Tokenizer):
		content, err := os.ReadFile(cfg.Tokenizer)
		if err != nil {
			return nil, fmt.Errorf("data: tokenizer: %w", err)
		}
		var tokenizer Tokenizer
		if strings.HasSuffix(cfg.Tokenizer, ".txt") {
			tokenizer, err = parseBERTVocab(content, cfg.Lowercase)
		} else {
			tokenizer, err = parseTokenizer(content)
		}
		if err != nil {
			return nil, fmt.Errorf("data: %s: %w", cfg.Tokenizer, err)
		}
		return tokenizer, nil
	default:
		return nil, fmt.Errorf("data: unknown tokenizer %q, want one of %s or the path of a Hugging Face tokenizer.json or a BERT vocab.txt", cfg.Tokenizer, quotedList(tokenizers))
	}
}

// encodeSplit returns the tokens of all documents in order, each followed by the tokenizer's separator. Documents are
// encoded one by one, so that no token spans two of them, by as many goroutines as there are processors; each writes to
// places of its own, so the stream does not depend on their number.
func encodeSplit(ctx context.Context, s *split, tokenizer Tokenizer) (*Tokens, error) {
	if tokenizer.Kind() == "byte" {
		return bytesAsTokens(s.text), nil
	}
	encoded := make([]*Tokens, len(s.documents))
	failures := make([]error, len(s.documents))
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			encode := documentEncoder(tokenizer)
			var ids []uint32 // of one document; only the packed tokens are kept
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(s.documents) {
					return
				}
				err := ctx.Err()
				if err == nil {
					ids, err = encode(ids[:0], s.content(i))
				}
				if err != nil {
					failures[i] = fmt.Errorf("%s: %w", s.documents[i].path, err)
					return
				}
				encoded[i] = emptyTokens(tokenizer.VocabSize(), len(ids))
				for _, id := range ids {
					encoded[i].append(int(id))
				}
			}
		})
	}
	workers.Wait()
	total := 0
	for i, document := range encoded {
		if failures[i] != nil {
			return nil, failures[i] // the first in the order of the corpus
		}
		total += document.Len()
	}
	tokens := emptyTokens(tokenizer.VocabSize(), total)
	for _, document := range encoded {
		tokens.narrow = append(tokens.narrow, document.narrow...)
		tokens.medium = append(tokens.medium, document.medium...)
		tokens.wide = append(tokens.wide, document.wide...)
	}
	return tokens, nil
}

// textEncoder returns a function, for one goroutine, that appends the ids of a text. The text must be valid UTF-8, except
// for bytes.
func textEncoder(tokenizer Tokenizer) func(ids []uint32, text string) ([]uint32, error) {
	var encode func(ids []uint32, text string) []uint32
	switch t := tokenizer.(type) {
	case *BPE:
		// A corpus repeats its words, so each goroutine remembers the ids of those it has seen.
		e := bpeEncoder{t: t, cache: map[string][]int32{}}
		encode = e.encode
	case *WordPiece:
		e := wordPieceEncoder{t: t, cache: map[string][]uint32{}}
		encode = e.encode
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

// documentEncoder returns a function, for one goroutine, that appends the ids of a document and the separator.
func documentEncoder(tokenizer Tokenizer) func(ids []uint32, document string) ([]uint32, error) {
	encode := textEncoder(tokenizer)
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

// Describe returns one line for logs: source, files, bytes and tokens.
func (d *Dataset) Describe() string {
	return fmt.Sprintf("%s: %d files, %.1f MB of text, %s tokenizer with %d ids, %d training and %d validation tokens",
		d.source, d.files, float64(d.textBytes)/1e6, d.Tokenizer.Kind(), d.Tokenizer.VocabSize(), d.Train.Len(), d.Validation.Len())
}
