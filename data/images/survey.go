package images

import (
	"context"
	"fmt"

	"sparrow/data"
)

// Look is the survey of images. Digits are read, which is quick; of a folder the first file is.
func Look(ctx context.Context, cfg Config) (s data.Survey, err error) {
	if err := cfg.check(); err != nil {
		return s, err
	}
	if cfg.Source == "mnist" {
		d, err := openMNIST(ctx, cfg)
		if err != nil {
			return s, err
		}
		s.Files, s.Labels, s.Bytes = d.files, d.Labels, int64(len(d.Train.pixels)+len(d.Test.pixels))
		s.Channels, s.Height, s.Width = d.Train.Channels, d.Train.Height, d.Train.Width
		return s, nil
	}
	folders, err := imageSplits(cfg.Root)
	if err != nil {
		return s, fmt.Errorf("data: source \"image_folder\": %w", err)
	}
	s.Channels, s.Height, s.Width = imageChannels, cfg.ImageSize, cfg.ImageSize
	for _, folder := range []string{folders.train, folders.validation, folders.test} {
		if folder == "" {
			continue
		}
		files, labels, err := findImages(folder, s.Labels, cfg.MaxExamples)
		if err == nil && s.Height == 0 {
			var size imageSize
			size, err = sizeOfImage(files[0].Path)
			s.Height, s.Width = size.height, size.width
		}
		if err != nil {
			return s, fmt.Errorf("data: source \"image_folder\": %w", err)
		}
		if s.Labels == nil {
			s.Labels = labels
		}
		s.Files += len(files)
	}
	s.Bytes = int64(s.Files) * int64(s.Channels*s.Height*s.Width)
	return s, nil
}
