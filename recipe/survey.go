package recipe

import (
	"context"
	"fmt"

	"sparrow/data"
	"sparrow/data/images"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/data/tokenizers"
)

// Survey is what a config says of its corpus before the corpus is read.
type Survey struct {
	data.Survey

	// Tokenizer is nil for those that are made from the text: "char", "word", "bpe", "wordpiece" and "unigram"; and for images.
	Tokenizer tokenizers.Tokenizer

	// VocabSize is the number of ids, for "word", "bpe", "wordpiece" and "unigram" the one asked for, of which a small text may yield
	// fewer; 0 for "char", whose ids are the characters of the text, and for images.
	VocabSize int

	source, tokenizer string
}

// Look finds the files of cfg's corpus without reading them, and the size of its vocabulary if that is known. Files of
// source "tsv" are read, for their labels. It fails as reading does when cfg is wrong or a file is missing.
func Look(ctx context.Context, cfg Data) (*Survey, error) {
	s := &Survey{source: cfg.Name}
	var err error
	switch from := cfg.Of.(type) {
	case images.Source:
		s.Survey, err = images.Look(ctx, from)
	case labelled.Source:
		s.Survey, err = labelled.Look(ctx, from)
	case text.Source:
		s.Survey, err = text.Look(ctx, from)
	default:
		return nil, fmt.Errorf("data: source %q gives neither text nor images", cfg.Name)
	}
	made, ok := cfg.Tokenizer()
	if err != nil || !ok {
		return s, err
	}
	s.tokenizer = made.Tokenizer
	if s.Tokenizer, s.VocabSize, err = tokenizers.Known(ctx, made); err != nil {
		return nil, err
	}
	if s.Tokenizer != nil {
		s.tokenizer = s.Tokenizer.Kind()
	}
	return s, nil
}

// Describe returns one line for logs, as a corpus that is read has: source, files, bytes and the vocabulary.
func (s *Survey) Describe() string {
	if s.Channels > 0 {
		return fmt.Sprintf("%s: %d files, images of %d x %d x %d values, %.1f MB, %d classes", s.source, s.Files, s.Channels, s.Height, s.Width,
			float64(s.Bytes)/1e6, len(s.Labels))
	}
	ids := fmt.Sprintf("%d ids", s.VocabSize)
	if s.Tokenizer == nil {
		ids = "up to " + ids
	}
	return fmt.Sprintf("%s: %d files, %.1f MB of text, %s tokenizer with %s", s.source, s.Files, float64(s.Bytes)/1e6, s.tokenizer, ids)
}
