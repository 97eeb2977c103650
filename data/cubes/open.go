package cubes

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Options say how a file is read.
type Options struct {
	Key string // name of the array in a MAT file; "": the one that looks like a cube
}

// Formats are the files that Open reads, for messages.
const Formats = ".mat (version 5), .npy or .hdr (ENVI)"

// Open reads a cube: a MAT file of version 5, an array of numpy, or an ENVI header with its values beside it; or one that is made up, see
// SyntheticName. Values that are no
// finite numbers are read as they are; Check names them.
func Open(path string, o Options) (*Cube, error) {
	c, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("cubes: %s: %w", path, err)
	}
	return c, nil
}

func open(path string, o Options) (*Cube, error) {
	if size, ok := strings.CutPrefix(path, SyntheticName); ok {
		return openSynthetic(size)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a file; want %s", ErrFile, Formats)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch strings.ToLower(filepath.Ext(path)) {
	case ".mat":
		return readMAT(f, o)
	case ".npy":
		return readNPY(f)
	case ".hdr":
		return openENVI(f, path)
	}
	return nil, fmt.Errorf("%w: the name ends in %q; want %s", ErrFile, filepath.Ext(path), Formats)
}

// SyntheticName is the path of a cube that is made up, for a first run without data: synthetic, or synthetic:48x40x32 with its
// height, width and bands.
const SyntheticName = "synthetic"

// openSynthetic makes the cube of a size such as ":48x40x32".
func openSynthetic(size string) (*Cube, error) {
	s := Scene{Height: 64, Width: 64, Bands: 100, Materials: 5, Seed: 1}
	if size != "" {
		n, err := fmt.Sscanf(size, ":%dx%dx%d", &s.Height, &s.Width, &s.Bands)
		if err != nil || n != 3 || min(s.Height, s.Width, s.Bands) < 1 || max(s.Height, s.Width, s.Bands) > 4096 || s.Height*s.Width > maxValues/s.Bands {
			return nil, fmt.Errorf("%w: %s%s; want synthetic:HEIGHTxWIDTHxBANDS, as in synthetic:48x40x32", ErrFile, SyntheticName, size)
		}
	}
	return Synthetic(s), nil
}

// openENVI reads the values that a header tells of.
func openENVI(header io.Reader, path string) (*Cube, error) {
	h, err := readENVIHeader(header)
	if err != nil {
		return nil, err
	}
	data, err := enviData(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(data)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := h.read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", data, err)
	}
	return c, nil
}
