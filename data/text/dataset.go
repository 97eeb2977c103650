package text

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"sparrow/data"
	"sparrow/data/tokenizers"
)

// Dataset is a corpus ready for training.
type Dataset struct {
	Train      *tokenizers.Tokens
	Validation *tokenizers.Tokens
	Tokenizer  tokenizers.Tokenizer

	// SHA256 identifies the text of both splits, in hexadecimal. The tokenizer is not part of it.
	SHA256 string

	source    string
	files     int
	textBytes int
}

// Open reads a source, makes its tokenizer and encodes both splits. It fails with one clear error when a key of the source is
// wrong, a file is missing or unreadable, the content does not suit the tokenizer, or a split is shorter than a sequence.
func Open(ctx context.Context, from Source) (*Dataset, error) { return OpenWith(ctx, from, nil) }

// OpenWith is Open with a tokenizer that exists already, such as that of a checkpoint, which the source's keys then do not
// choose; nil: they do.
func OpenWith(ctx context.Context, from Source, tokenizer tokenizers.Tokenizer) (*Dataset, error) {
	if err := data.Check(from); err != nil {
		return nil, err
	}
	c, err := from.Read(ctx)
	if err != nil {
		return nil, err
	}
	cfg := from.Text()
	trainDocuments, validationDocuments := len(c.Train.List), len(c.Validation.List)
	switch {
	case trainDocuments+validationDocuments == 0:
		return nil, fmt.Errorf("data: source %q: corpus is empty%s", from.Name(), capHint(cfg))
	case trainDocuments == 0:
		return nil, fmt.Errorf("data: source %q: nothing is left for training with validation_share = %v%s", from.Name(), cfg.ValidationShare, capHint(cfg))
	case validationDocuments == 0:
		return nil, fmt.Errorf("data: source %q: nothing is left for validation with validation_share = %v%s", from.Name(), cfg.ValidationShare, capHint(cfg))
	}
	if tokenizer == nil && cfg.Tokenizer != "byte" || tokenizer != nil && tokenizer.Kind() != "byte" {
		for _, s := range []*data.Documents{&c.Train, &c.Validation} {
			if err := s.CheckUTF8(); err != nil {
				return nil, err
			}
		}
	}
	if tokenizer == nil {
		if tokenizer, err = tokenizers.New(ctx, cfg.Config, &c.Train); err != nil {
			return nil, err
		}
	}
	d := &Dataset{
		Tokenizer: tokenizer,
		SHA256:    c.hash(),
		source:    from.Name(),
		files:     c.Files,
		textBytes: len(c.Train.Text) + len(c.Validation.Text) - trainDocuments - validationDocuments, // less the separators
	}
	if d.Train, err = encodeSplit(ctx, &c.Train, tokenizer); err != nil {
		return nil, err
	}
	if d.Validation, err = encodeSplit(ctx, &c.Validation, tokenizer); err != nil {
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

func capHint(cfg Options) string {
	if cfg.MaxBytes > 0 {
		return fmt.Sprintf("; raise max_bytes = %d", cfg.MaxBytes)
	}
	return ""
}

// encodeSplit returns the tokens of all documents in order, each followed by the tokenizer's separator. Documents are
// encoded one by one, so that no token spans two of them, by as many goroutines as there are processors; each writes to
// places of its own, so the stream does not depend on their number.
func encodeSplit(ctx context.Context, s *data.Documents, tokenizer tokenizers.Tokenizer) (*tokenizers.Tokens, error) {
	if tokenizer.Kind() == "byte" {
		return tokenizers.BytesAsTokens(s.Text), nil
	}
	encoded := make([]*tokenizers.Tokens, len(s.List))
	failures := make([]error, len(s.List))
	var taken atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			encode := tokenizers.NewDocumentEncoder(tokenizer)
			var ids []uint32 // of one document; only the packed tokens are kept
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(s.List) {
					return
				}
				err := ctx.Err()
				if err == nil {
					ids, err = encode(ids[:0], s.Content(i))
				}
				if err != nil {
					failures[i] = fmt.Errorf("%s: %w", s.List[i].Path, err)
					return
				}
				encoded[i] = tokenizers.MakeTokens(tokenizer.VocabSize(), len(ids))
				for _, id := range ids {
					encoded[i].Append(int(id))
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
	tokens := tokenizers.MakeTokens(tokenizer.VocabSize(), total)
	for _, document := range encoded {
		tokens.AppendAll(document)
	}
	return tokens, nil
}

// Describe returns one line for logs: source, files, bytes and tokens.
func (d *Dataset) Describe() string {
	return fmt.Sprintf("%s: %d files, %.1f MB of text, %s tokenizer with %d ids, %d training and %d validation tokens",
		d.source, d.files, float64(d.textBytes)/1e6, d.Tokenizer.Kind(), d.Tokenizer.VocabSize(), d.Train.Len(), d.Validation.Len())
}

// TextBytes is the size of the text of both splits.
func (d *Dataset) TextBytes() int { return d.textBytes }
