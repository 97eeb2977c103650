package labelled

import (
	"context"
	"path/filepath"

	"sparrow/data"
)

// Look finds the files of cfg's texts without reading them; those of source "tsv" are read, for their labels. It
// fails as [Open] does when cfg is wrong or a file is missing.
func Look(ctx context.Context, cfg Config) (data.Survey, error) {
	if err := cfg.check(); err != nil {
		return data.Survey{}, err
	}
	var s data.Survey
	switch cfg.Source {
	case "imdb":
		root, err := findIMDB(ctx, cfg)
		if err != nil {
			return data.Survey{}, err
		}
		for _, half := range []string{"train", "test"} {
			files, _, err := findReviews(filepath.Join(root, half), cfg)
			if err != nil {
				return data.Survey{}, err
			}
			s.Files, s.Bytes = s.Files+len(files), s.Bytes+int64(data.TotalSize(files))
		}
		s.Labels = imdbLabels
	case "tsv":
		c, err := openTSV(ctx, cfg, nil)
		if err != nil {
			return data.Survey{}, err
		}
		s.Files, s.Labels, s.Pairs = c.files, c.labels, c.train.pairs
		for _, l := range []*labelledTexts{c.train, c.validation, c.test} {
			if l != nil {
				s.Bytes += int64(len(l.Text) - len(l.List))
			}
		}
	}
	if cfg.Vectors == "" {
		return s, nil
	}
	var err error
	s.VectorDim, err = vectorDim(cfg.Vectors)
	return s, err
}
