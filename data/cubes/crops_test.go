package cubes

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func pictures(t *testing.T, s Source) *Pictures {
	t.Helper()
	p, err := s.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Pictures of components and bands, with a part held out, from -1 to 1 but for their tails.
func TestSource(t *testing.T) {
	s := DefaultSource()
	s.Paths, s.Components, s.Patch = []string{"synthetic:40x30x20"}, 4, 16
	p := pictures(t, s)
	if len(p.Train) != 4 || len(p.Validation) != 4 || p.Train[0].Height != 24 || p.Validation[0].Height != 16 || p.Train[0].Width != 30 {
		t.Fatalf("%s: %d and %d", p.Describe(), p.Train[0].Height, p.Validation[0].Height)
	}
	inside := 0
	for _, v := range p.Train[0].Values {
		if v >= -1 && v <= 1 {
			inside++
		}
	}
	if share := float64(inside) / float64(len(p.Train[0].Values)); share < 0.97 {
		t.Errorf("%.3f of the values are from -1 to 1", share)
	}
	again := pictures(t, s)
	s.Shuffle = true
	mixed := pictures(t, s)
	a, b := slices.Clone(p.Train[1].Values), slices.Clone(mixed.Train[1].Values)
	if again.SHA256 != p.SHA256 || mixed.SHA256 == p.SHA256 || slices.Equal(a, b) {
		t.Error("equal sources differ, or shuffled ones do not")
	}
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) || !slices.Equal(p.Validation[0].Values, mixed.Validation[0].Values) {
		t.Error("shuffling changes values, or those that are measured")
	}
	s.View, s.Shuffle = "bands", false
	if p := pictures(t, s); len(p.Train) != 4 {
		t.Errorf("%d bands", len(p.Train))
	}
	for _, bad := range []Source{{Paths: []string{"nothing*.mat"}}, {Photographs: []string{t.TempDir()}}} {
		bad.Patch, bad.Components, bad.View = 16, 2, "bands"
		if _, err := bad.Read(context.Background()); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

// A photograph has a picture for each channel, a grey one a single one; small ones are mirrored to a crop's size.
func TestPhotographs(t *testing.T) {
	dir := t.TempDir()
	save := func(name string, grey bool) {
		m := image.NewRGBA(image.Rect(0, 0, 20, 10))
		for i := range 200 {
			c := color.RGBA{uint8(i), 255, 0, 255}
			if grey {
				c = color.RGBA{uint8(i), uint8(i), uint8(i), 255}
			}
			m.SetRGBA(i%20, i/20, c)
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := png.Encode(f, m); err != nil {
			t.Fatal(err)
		}
	}
	save("a.png", false)
	save("b.png", true)
	s := DefaultSource()
	s.Photographs, s.Patch, s.Validation = []string{dir}, 16, []string{"synthetic:20x20x24"}
	p := pictures(t, s)
	if len(p.Train) != 4 || p.Train[0].Height != 16 || p.Train[0].Width != 20 {
		t.Fatalf("%s, %d x %d", p.Describe(), p.Train[0].Height, p.Train[0].Width)
	}
	if v := p.Train[1].Values; slices.Min(v) != 1 || p.Train[2].Values[5] != -1 {
		t.Errorf("green is %v, blue %v; want 1 and -1", slices.Min(v), p.Train[2].Values[5])
	}
	if v := p.Train[3].Values; math.Abs(float64(v[7])-(7/127.5-1)) > 1e-6 || v[11*20+3] != v[8*20+3] {
		t.Errorf("grey 7 is %v; row 12 is not row 9 mirrored: %v, %v", v[7], v[11*20+3], v[8*20+3])
	}
}

// Pieces follow from the seed and the place alone, so that a run resumes.
func TestCrops(t *testing.T) {
	s := DefaultSource()
	s.Paths, s.Components, s.Patch = []string{"synthetic:40x48x30"}, 3, 8
	p := pictures(t, s)
	cfg := CropConfig{Rows: 5, Side: 8, Seed: 9, Sigma: [2]float64{0.01, 2}}
	next := func(c *Crops) ([]float32, []float32, []float64) {
		clean, noise, sigma := make([]float32, 5*64), make([]float32, 5*64), make([]float64, 5)
		c.Next(clean, noise, sigma)
		return clean, noise, sigma
	}
	a := NewCrops(p.Train, cfg)
	for range a.Batches() + 2 {
		next(a)
	}
	if a.Cursor().Epoch != 1 || a.Cursor().Position != 2 {
		t.Fatalf("cursor %+v", a.Cursor())
	}
	b := NewCrops(p.Train, cfg)
	if err := b.Seek(a.Cursor()); err != nil {
		t.Fatal(err)
	}
	c1, n1, s1 := next(a)
	c2, n2, s2 := next(b)
	if !slices.Equal(c1, c2) || !slices.Equal(n1, n2) || !slices.Equal(s1, s2) {
		t.Error("a sought place gives other pieces")
	}
	if c3, _, _ := next(a); slices.Equal(c1, c3) {
		t.Error("two batches are equal")
	}
	for _, s := range s1 {
		if s < 0.01 || s > 2 {
			t.Errorf("deviation %v", s)
		}
	}
	at := b.Cursor()
	at.Position = b.Batches() + 1
	if b.Seek(at) == nil {
		t.Error("a place beyond the end is no error")
	}
}
