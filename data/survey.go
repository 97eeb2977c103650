package data

import (
	"context"
	"fmt"
	"path/filepath"
)

// Survey is what a config says of its corpus before the corpus is read.
type Survey struct {
	Files int
	Bytes int64 // of text, files that are not UTF-8 included; or of pixels

	// Tokenizer is nil for those that are made from the text: "char", "word", "bpe" and "wordpiece".
	Tokenizer Tokenizer

	// VocabSize is the number of ids, for "word", "bpe" and "wordpiece" the one asked for, of which a small text may yield
	// fewer; 0 for "char", whose ids are the characters of the text.
	VocabSize int

	// Of labelled sources, as in [Labelled]:
	Labels []string
	Pairs  bool

	// VectorDim is the width of the word vectors that the config names; 0: none.
	VectorDim int

	// Of images, as in [Images]; VocabSize is then 0.
	Channels, Height, Width int

	source, tokenizer string
}

// Look finds the files of cfg's corpus without reading them, and the size of its vocabulary if that is known. Files of
// source "tsv" are read, for their labels. It fails as [Open] and [OpenLabelled] do when cfg is wrong or a file is missing.
func Look(ctx context.Context, cfg Config) (*Survey, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Survey{source: cfg.Source, tokenizer: cfg.Tokenizer}
	if cfg.IsImages() {
		return s, s.lookImages(ctx, cfg)
	}
	switch cfg.Source {
	case "goroot":
		root, err := findGoroot(ctx)
		if err != nil {
			return nil, err
		}
		train, validation, err := findGoFiles(ctx, filepath.Join(root, "src"), cfg)
		if err != nil {
			return nil, err
		}
		s.Files, s.Bytes = len(train)+len(validation), int64(totalSize(train)+totalSize(validation))
	case "text":
		files, limit, err := findText(cfg)
		if err != nil {
			return nil, err
		}
		if s.Files, s.Bytes = len(files), int64(totalSize(files)); limit >= 0 {
			s.Bytes = min(s.Bytes, limit)
		}
	case "imdb", "tsv":
		if err := s.lookLabelled(ctx, cfg); err != nil {
			return nil, err
		}
	}
	switch cfg.Tokenizer {
	case "char":
	case "word", "bpe", "wordpiece":
		s.VocabSize = cfg.VocabSize
	default:
		t, err := newTokenizer(ctx, cfg, nil)
		if err != nil {
			return nil, err
		}
		s.Tokenizer, s.VocabSize, s.tokenizer = t, t.VocabSize(), t.Kind()
	}
	return s, nil
}

// lookLabelled is Look for labelled sources.
func (s *Survey) lookLabelled(ctx context.Context, cfg Config) error {
	switch cfg.Source {
	case "imdb":
		root, err := findIMDB(ctx, cfg)
		if err != nil {
			return err
		}
		for _, half := range []string{"train", "test"} {
			files, _, err := findReviews(filepath.Join(root, half), cfg)
			if err != nil {
				return err
			}
			s.Files, s.Bytes = s.Files+len(files), s.Bytes+int64(totalSize(files))
		}
		s.Labels = imdbLabels
	case "tsv":
		c, err := openTSV(ctx, cfg, nil)
		if err != nil {
			return err
		}
		s.Files, s.Labels, s.Pairs = c.files, c.labels, c.train.pairs
		for _, l := range []*labelledTexts{c.train, c.validation, c.test} {
			if l != nil {
				s.Bytes += int64(len(l.text) - len(l.documents))
			}
		}
	}
	if cfg.Vectors == "" {
		return nil
	}
	var err error
	s.VectorDim, err = vectorDim(cfg.Vectors)
	return err
}

// lookImages is Look for images. Digits are read, which is quick; of a folder the first file is.
func (s *Survey) lookImages(ctx context.Context, cfg Config) error {
	if cfg.Source == "mnist" {
		d, err := openMNIST(ctx, cfg)
		if err != nil {
			return err
		}
		s.Files, s.Labels, s.Bytes = d.files, d.Labels, int64(len(d.Train.pixels)+len(d.Test.pixels))
		s.Channels, s.Height, s.Width = d.Train.Channels, d.Train.Height, d.Train.Width
		return nil
	}
	folders, err := imageSplits(cfg.Root)
	if err != nil {
		return fmt.Errorf("data: source \"image_folder\": %w", err)
	}
	s.Channels, s.Height, s.Width = imageChannels, cfg.ImageSize, cfg.ImageSize
	for _, folder := range []string{folders.train, folders.validation, folders.test} {
		if folder == "" {
			continue
		}
		files, labels, err := findImages(folder, s.Labels, cfg.MaxExamples)
		if err == nil && s.Height == 0 {
			var size imageSize
			size, err = sizeOfImage(files[0].path)
			s.Height, s.Width = size.height, size.width
		}
		if err != nil {
			return fmt.Errorf("data: source \"image_folder\": %w", err)
		}
		if s.Labels == nil {
			s.Labels = labels
		}
		s.Files += len(files)
	}
	s.Bytes = int64(s.Files) * int64(s.Channels*s.Height*s.Width)
	return nil
}

// Describe returns one line for logs, as [Dataset.Describe] does: source, files, bytes and the vocabulary.
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

// TextBytes is the size of the text of both splits.
func (d *Dataset) TextBytes() int { return d.textBytes }
