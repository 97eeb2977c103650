package cubes

import (
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // for image.Decode
	_ "image/png"  // for image.Decode
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/data"
)

// Limits of photographs: of one, and of all of a run, 4 bytes a pixel and channel.
const (
	maxPixels    = 1 << 26
	maxAllPixels = 1 << 28
)

// readPhotographs reads the PNG and JPEG files of folders, at any depth, in the order of their names. Each channel is a picture; of
// grey ones there is one.
func readPhotographs(ctx context.Context, folders []string) (pictures []Picture, files int, err error) {
	total := 0
	for _, folder := range folders {
		var paths []string
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && slices.Contains([]string{".png", ".jpg", ".jpeg"}, strings.ToLower(filepath.Ext(path))) {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			return nil, 0, fmt.Errorf("cubes: photographs: %w", err)
		}
		if len(paths) == 0 {
			return nil, 0, fmt.Errorf("cubes: photographs: %s holds no PNG or JPEG file", folder)
		}
		slices.Sort(paths)
		for _, path := range paths {
			if err := ctx.Err(); err != nil {
				return nil, 0, err
			}
			own, err := readPhotograph(path)
			if err != nil {
				return nil, 0, fmt.Errorf("cubes: photographs: %s: %w", path, err)
			}
			for _, p := range own {
				total += len(p.Values)
			}
			if total > maxAllPixels {
				return nil, 0, fmt.Errorf("cubes: photographs: more than %d values at %s; want fewer or smaller files", maxAllPixels, path)
			}
			pictures, files = append(pictures, own...), files+1
		}
	}
	return pictures, files, nil
}

// readPhotograph reads one file; black is -1, white 1.
func readPhotograph(path string) ([]Picture, error) {
	f, err := data.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	if err != nil {
		return nil, err
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height {
		return nil, fmt.Errorf("%d x %d pixels; want 1 to %d", c.Height, c.Width, maxPixels)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	m, _, err := image.Decode(f)
	if err != nil {
		return nil, err
	}
	b := m.Bounds()
	channels := make([]Picture, 3)
	for i := range channels {
		channels[i] = Picture{b.Dy(), b.Dx(), make([]float32, b.Dx()*b.Dy())}
	}
	grey := true
	for y := range b.Dy() {
		for x := range b.Dx() {
			red, green, blue, _ := m.At(b.Min.X+x, b.Min.Y+y).RGBA()
			grey = grey && red == green && green == blue
			for i, v := range [3]uint32{red, green, blue} {
				channels[i].Values[y*b.Dx()+x] = float32(v)/32767.5 - 1
			}
		}
	}
	if grey {
		channels = channels[:1]
	}
	return channels, nil
}
