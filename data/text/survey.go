package text

import (
	"context"
	"path/filepath"

	"sparrow/data"
)

// Look finds the files of cfg's corpus without reading them. It fails as [Open] does when cfg is wrong or a file is
// missing.
func Look(ctx context.Context, cfg Config) (data.Survey, error) {
	if err := cfg.check(); err != nil {
		return data.Survey{}, err
	}
	if cfg.Source == "goroot" {
		root, err := findGoroot(ctx)
		if err != nil {
			return data.Survey{}, err
		}
		train, validation, err := findGoFiles(ctx, filepath.Join(root, "src"), cfg)
		if err != nil {
			return data.Survey{}, err
		}
		return data.Survey{Files: len(train) + len(validation), Bytes: int64(data.TotalSize(train) + data.TotalSize(validation))}, nil
	}
	files, limit, err := findText(cfg)
	if err != nil {
		return data.Survey{}, err
	}
	s := data.Survey{Files: len(files), Bytes: int64(data.TotalSize(files))}
	if limit >= 0 {
		s.Bytes = min(s.Bytes, limit)
	}
	return s, nil
}
