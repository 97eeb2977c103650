package cubes

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/internal/rng"
)

// Source is the source of pictures to learn noise from: cubes, photographs, or both.
type Source struct {
	Paths       []string `toml:"paths" doc:"cubes: MAT files of version 5, arrays of numpy, ENVI headers; patterns as in cubes/*.mat, or synthetic"`
	Photographs []string `toml:"photographs" doc:"folders of PNG and JPEG files, of which each channel is a picture"`
	Validation  []string `toml:"validation" doc:"cubes that are measured and not learned from; empty: the lowest quarter of each picture, and at least a crop's height"`
	View        string   `toml:"view" doc:"pictures of a cube: images of its components, or its bands" choices:"eigenimages|bands"`
	Components  int      `toml:"components" doc:"pictures of a cube; of bands as many at equal distances"`
	Patch       int      `toml:"patch" doc:"side of the crops that training sees" unit:"pixels"`
	Shuffle     bool     `toml:"shuffle" doc:"put the pixels of each picture in random order: a control, which leaves nothing to learn but their distribution"`
}

// DefaultSource returns the values of keys that a config leaves out.
func DefaultSource() Source { return Source{View: "eigenimages", Components: 10, Patch: 32} }

// Name implements data.Source.
func (Source) Name() string { return "cubes" }

// MaxPatch bounds the crops: beyond, a batch of one fills memory.
const MaxPatch = 512

// Start implements configs.Starter.
func (Source) Start() []string { return []string{`data.paths=["synthetic"]`} }

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s Source) Validate(r *configs.Report) {
	if len(s.Paths)+len(s.Photographs) == 0 {
		r.Errorf("paths", `is empty, and so is photographs; source = "cubes" needs files of one, or paths = ["synthetic"] for a first run`)
	}
	r.OneOf("view")
	r.AtLeast("components", 1)
	if s.Patch < 1 || s.Patch > MaxPatch {
		r.Errorf("patch", "is out of range; want 1 to %d pixels", MaxPatch)
	}
}

// Sources are those that come with this package.
func Sources() []configs.Choice[data.Source] {
	return []configs.Choice[data.Source]{{Name: "cubes", New: func() data.Source { return DefaultSource() }}}
}

// Picture is one channel with values of about -1 to 1, row by row.
type Picture struct {
	Height, Width int
	Values        []float32
}

// Pictures are what a denoiser learns from.
type Pictures struct {
	Train, Validation []Picture
	SHA256            string // of all values
	From              string // says what they are of
}

// Describe says in a line what there is.
func (p *Pictures) Describe() string {
	pixels := 0
	for _, x := range p.Train {
		pixels += len(x.Values)
	}
	return fmt.Sprintf("%s: %d pictures of %d pixels in all, %d for validation", p.From, len(p.Train), pixels, len(p.Validation))
}

// Read reads all files; patterns that match none are an error.
func (s Source) Read(ctx context.Context) (*Pictures, error) {
	held, err := expand(s.Validation)
	if err != nil {
		return nil, err
	}
	paths, err := expand(s.Paths)
	if err != nil {
		return nil, err
	}
	p := &Pictures{From: fmt.Sprintf("%d cubes", len(paths))}
	read := func(path string) ([]Picture, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return s.picturesOf(ctx, path)
	}
	for _, path := range paths {
		if slices.Contains(held, path) {
			continue
		}
		own, err := read(path)
		if err != nil {
			return nil, err
		}
		p.Train = append(p.Train, own...)
	}
	if len(s.Photographs) > 0 {
		photographs, files, err := readPhotographs(ctx, s.Photographs)
		if err != nil {
			return nil, err
		}
		p.Train = append(p.Train, photographs...)
		p.From += fmt.Sprintf(", %d photographs", files)
	}
	for _, path := range held {
		own, err := read(path)
		if err != nil {
			return nil, err
		}
		p.Validation = append(p.Validation, own...)
	}
	return p, p.Prepare(s.Patch, s.Shuffle)
}

// Prepare holds pictures out where none are, brings small ones to the size of a crop, and hashes all.
func (p *Pictures) Prepare(patch int, shuffle bool) error {
	if len(p.Validation) == 0 {
		for i, x := range p.Train {
			if low := max(x.Height/4, patch); x.Height-low >= patch {
				cut := (x.Height - low) * x.Width
				p.Validation = append(p.Validation, Picture{low, x.Width, x.Values[cut:]})
				p.Train[i] = Picture{x.Height - low, x.Width, x.Values[:cut]}
			}
		}
	}
	if len(p.Validation) == 0 { // too small to be cut: every eighth
		var rest []Picture
		for i, x := range p.Train {
			if i%8 == 7 {
				p.Validation = append(p.Validation, x)
			} else {
				rest = append(rest, x)
			}
		}
		p.Train = rest
	}
	if len(p.Train) == 0 || len(p.Validation) == 0 {
		return fmt.Errorf("cubes: %d pictures to learn from and %d to measure; want one of each at least: name validation = [...], or more files", len(p.Train), len(p.Validation))
	}
	sum := sha256.New()
	var b [4]byte
	for k, all := range [][]Picture{p.Train, p.Validation} {
		for i := range all {
			if shuffle && k == 0 {
				all[i].shuffle(uint64(i))
			}
			all[i] = all[i].grown(patch)
			for _, v := range all[i].Values {
				binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
				sum.Write(b[:])
			}
		}
	}
	p.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// expand lists the files of patterns in order, each once.
func expand(patterns []string) ([]string, error) {
	var paths []string
	for _, pattern := range patterns {
		found := []string{pattern}
		if len(pattern) < len(SyntheticName) || pattern[:len(SyntheticName)] != SyntheticName {
			var err error
			if found, err = filepath.Glob(pattern); err != nil || len(found) == 0 {
				return nil, fmt.Errorf("cubes: %q matches no file; want %s", pattern, Formats)
			}
		}
		for _, f := range found {
			if !slices.Contains(paths, f) {
				paths = append(paths, f)
			}
		}
	}
	return paths, nil
}

// picturesOf are the pictures of one cube.
func (s Source) picturesOf(ctx context.Context, path string) ([]Picture, error) {
	c, err := Open(path, Options{})
	if err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("cubes: %s: %w", path, err)
	}
	if dead := c.Constant(); len(dead) > 0 {
		var live []int
		for b := range c.Bands {
			if !slices.Contains(dead, b) {
				live = append(live, b)
			}
		}
		if len(live) == 0 {
			return nil, fmt.Errorf("cubes: %s: all %d bands are constant; want one that varies", path, c.Bands)
		}
		c = c.Select(live)
	}
	n := min(s.Components, c.Bands)
	var all []Picture
	if s.View == "bands" {
		for i := range n {
			all = append(all, pictureOf(c.Height, c.Width, c.Band((2*i+1)*c.Bands/(2*n))))
		}
		return all, nil
	}
	sigma, err := Noise(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("cubes: %s: %w", path, err)
	}
	e, err := Decompose(ctx, c, sigma, n)
	if err != nil {
		return nil, fmt.Errorf("cubes: %s: %w", path, err)
	}
	for k := range n {
		plane := make([]float64, c.Pixels())
		for i := range plane {
			plane[i] = e.Scores.Row(i)[k]
		}
		all = append(all, pictureOf(c.Height, c.Width, plane))
	}
	return all, nil
}

// tails is the share of a picture that lies beyond -1 and 1.
const tails = 0.005

// Span is the range of a picture that becomes -1 to 1: from its 0.5 to its 99.5 percentile.
func Span(plane []float64) Range {
	sorted := slices.Clone(plane)
	slices.Sort(sorted)
	r := Range{Quantile(sorted, tails), Quantile(sorted, 1-tails)}
	if !(r.High > r.Low) {
		r = Range{r.Low - 1, r.Low + 1}
	}
	return r
}

// outermost is how far outliers may lie from 0 in training.
const outermost = 2

// pictureOf scales a plane.
func pictureOf(height, width int, plane []float64) Picture {
	r := Span(plane)
	p := Picture{height, width, make([]float32, len(plane))}
	for i, v := range plane {
		p.Values[i] = float32(min(max(2*(v-r.Low)/(r.High-r.Low)-1, -outermost), outermost))
	}
	return p
}

// shuffle puts pixels in random order (Fisher and Yates).
func (p Picture) shuffle(index uint64) {
	r := rng.New(1, "cubes/shuffle", index<<32)
	for i := len(p.Values) - 1; i > 0; i-- {
		k := r.Intn(i + 1)
		p.Values[i], p.Values[k] = p.Values[k], p.Values[i]
	}
}

// grown is the picture, mirrored beyond its lower and right ends where it is smaller than a crop.
func (p Picture) grown(side int) Picture {
	h, w := max(p.Height, side), max(p.Width, side)
	if h == p.Height && w == p.Width {
		return p
	}
	q := Picture{h, w, make([]float32, h*w)}
	for y := range h {
		for x := range w {
			q.Values[y*w+x] = p.Values[Mirrored(y, p.Height)*p.Width+Mirrored(x, p.Width)]
		}
	}
	return q
}

// Mirrored is the place in 0 to n-1 that a line of n shows at i, beyond its ends too, where it is mirrored with its last pixel
// repeated.
func Mirrored(i, n int) int {
	for i < 0 || i >= n {
		if i < 0 {
			i = -i - 1
		} else {
			i = 2*n - 1 - i
		}
	}
	return i
}
