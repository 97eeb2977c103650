package interchange_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"sparrow/data/images"
	"sparrow/interchange"
	"sparrow/model"
)

// pixels are those of the images beside a model, as it takes them.
func pixels(t *testing.T, dir string, m *interchange.Model) []float32 {
	t.Helper()
	var f struct {
		Side     int `json:"image_size"`
		Channels int `json:"channels"`
		images.Normalisation
		images.Scaling
	}
	if err := json.Unmarshal(m.Files["images.json"], &f); err != nil {
		t.Fatal(err)
	}
	var all []float32
	for _, name := range []string{"same.png", "other.png"} {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		x, err := images.Decode(file, f.Side, f.Channels, f.Scaling)
		if err != nil {
			t.Fatal(err)
		}
		one := make([]float32, len(x))
		f.Put(one, x)
		all = append(all, one...)
	}
	return all
}

// checkImages: an image of the model's size gives what transformers gives, and so does one that is scaled, whose bytes may differ by
// one from Pillow's.
func checkImages(t *testing.T, dir string, m *interchange.Model, s *model.Session, want golden) {
	t.Helper()
	p, err := s.Program(model.Score, model.Shape{Rows: 2, Height: m.Dims.ImageSize, Width: m.Dims.ImageSize})
	if err != nil {
		t.Fatal(err)
	}
	p.Floats("pixels").Set(pixels(t, dir, m))
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	for i, got := range p.Output("logits").Float64s() {
		tolerance := 1e-4
		if i >= want.Shape[1] {
			tolerance = 0.05
		}
		if !(math.Abs(got-want.Values[i]) <= tolerance) {
			t.Errorf("score %d is %v, transformers has %v", i, got, want.Values[i])
		}
	}
}
