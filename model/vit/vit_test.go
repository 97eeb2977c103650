package vit_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/vit"
	"sparrow/nn"
)

func small() vit.Body {
	c := vit.DefaultBody()
	c.Patch, c.DModel, c.NLayer, c.DFF, c.Attention.NHead = 2, 8, 2, 12, 2
	return c
}

// classifier sees images of 4 x 4 pixels.
func classifier(c vit.Body) model.Images {
	return model.Images{Body: c, Picture: model.Picture{Channels: 2, Height: 4, Width: 4}, Classes: 3}
}

// drawn is a session whose arrays are all random, and its program over two images.
func drawn(t *testing.T, c vit.Body, mode model.Mode, sink func(*nn.Store) *nn.Gradients) (*nn.Store, *model.Program) {
	t.Helper()
	store := nn.NewStore(tensor.Float64)
	o := model.Options{Poison: true}
	if sink != nil {
		o.Sink = sink(store)
	}
	s, err := model.NewSession(classifier(c), store, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		rng.FillNormal(rng.New(5, name, 0), store.Get(name).Float64s(), 0.1, 0.3)
	}
	p, err := s.Program(mode, model.Shape{Rows: 2, Height: 4, Width: 4})
	if err != nil {
		t.Fatal(err)
	}
	pixels := p.Floats("pixels")
	for i := range pixels.Count * pixels.Width {
		pixels.Put(i/pixels.Width, i%pixels.Width, math.Sin(float64(i*i%101)))
	}
	return store, p
}

// TestGradient: every array's gradient is that of central differences, whether blocks are computed again or not.
func TestGradient(t *testing.T) {
	for _, again := range []bool{false, true} {
		c := small()
		c.CheckpointActivations = again
		var grads *nn.Gradients
		store, p := drawn(t, c, model.Train, func(s *nn.Store) *nn.Gradients {
			grads = nn.NewGradients(s)
			return grads
		})
		shares := p.Floats("distribution")
		for i := range 6 {
			shares.Put(i/3, i%3, []float64{1, 0, 0, 0.25, 0.25, 0.5}[i])
		}
		loss := func() float64 {
			t.Helper()
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			return p.Loss()
		}
		loss()
		got := map[string][]float64{}
		for _, name := range grads.Names() {
			got[name] = slices.Clone(grads.Get(name).Float64s())
		}
		for _, name := range store.Names() {
			x := store.Get(name).Float64s()
			for _, i := range []int{0, len(x) / 2, len(x) - 1} {
				const step = 1e-5
				was := x[i]
				x[i] = was + step
				up := loss()
				x[i] = was - step
				down := loss()
				x[i] = was
				if want := (up - down) / (2 * step); math.Abs(got[name][i]-want) > 1e-7+1e-6*math.Abs(want) {
					t.Errorf("again %v: gradient of %s[%d] is %g, want %g", again, name, i, got[name][i], want)
				}
			}
		}
	}
}

// TestPlaces: patches in another order give other scores, and the same if their places are moved with them.
func TestPlaces(t *testing.T) {
	store, p := drawn(t, small(), model.Score, nil)
	scores := func() []float64 {
		t.Helper()
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(p.Output("logits").Float64s())
	}
	want := scores()
	pixels := p.Floats("pixels")
	for image := range 2 { // the upper two patches are exchanged
		for y := range 2 {
			for x := range 2 {
				for c := range 2 {
					left, right := image*16+y*4+x, image*16+y*4+x+2
					a, b := pixels.At(left, c), pixels.At(right, c)
					pixels.Put(left, c, b)
					pixels.Put(right, c, a)
				}
			}
		}
	}
	if got := scores(); math.Abs(got[0]-want[0]) < 1e-6 {
		t.Errorf("exchanged patches give the same score %g", got[0])
	}
	places := store.Get("vit.embeddings.position_embeddings").Float64s() // [5, 8], the class token first
	for i := range 8 {
		places[8+i], places[16+i] = places[16+i], places[8+i]
	}
	for i, got := range scores() {
		if math.Abs(got-want[i]) > 1e-12 {
			t.Errorf("score %d is %g with exchanged patches and places, want %g", i, got, want[i])
		}
	}
}

// TestSizes: the published networks have the published numbers of parameters (Touvron et al. 2021, table 1; Dosovitskiy et al. 2021,
// table 1), for 1,000 classes and images of 224 pixels.
func TestSizes(t *testing.T) {
	for _, x := range []struct {
		width, heads, layers int
		millions             float64
	}{{192, 3, 12, 5.72}, {384, 6, 12, 22.05}, {768, 12, 12, 86.57}} {
		c := vit.DefaultBody()
		c.DModel, c.Attention.NHead, c.NLayer = x.width, x.heads, x.layers
		store := nn.NewStore(tensor.Float32)
		store.Virtual = true
		n := model.Images{Body: c, Picture: model.Picture{Channels: 3, Height: 224, Width: 224}, Classes: 1000}
		if err := model.Declare(n, store, model.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := float64(store.Parameters()) / 1e6; math.Abs(got-x.millions) > 0.005 {
			t.Errorf("width %d: %.3f million parameters, want %.2f", x.width, got, x.millions)
		}
		least := c.Least(model.ImageDims(1000, 224, 3), 1, 0, false).Weights
		if all := 4 * float64(store.Parameters()); least > all || least < 0.8*all {
			t.Errorf("width %d: at least %g bytes of weights, but there are %g", x.width, least, all)
		}
	}
}

// TestValidate: what no network can have is said by its key, and what no image fits by Check.
func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*vit.Config){
		"":                     func(*vit.Config) {},
		"patch":                func(c *vit.Config) { c.Patch = 0 },
		"d_model":              func(c *vit.Config) { c.DModel = 0 },
		"n_layer":              func(c *vit.Config) { c.NLayer = model.MaxLayers + 1 },
		"d_ff":                 func(c *vit.Config) { c.DFF = -1 },
		"mlp":                  func(c *vit.Config) { c.MLP = "swiglu" },
		"norm_eps":             func(c *vit.Config) { c.NormEps = 0 },
		"dropout":              func(c *vit.Config) { c.Dropout = 1 },
		"drop_path":            func(c *vit.Config) { c.DropPath = -0.1 },
		"init_std":             func(c *vit.Config) { c.InitStd = 0 },
		"attention.n_head":     func(c *vit.Config) { c.Attention.NHead = 5 },
		"attention.rope_theta": func(c *vit.Config) { c.Attention.Theta = 500 },
	} {
		c := vit.Default()
		change(&c)
		if err := configs.Validate("test", &c); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want[strings.LastIndexByte(want, '.')+1:]+" = ")) {
			t.Errorf("%s: %v", want, err)
		}
		if err := c.Check(model.ImageDims(2, 32, 3)); errors.Is(err, configs.ErrConfig) != (want != "") {
			t.Errorf("%s: Check says %v", want, err)
		}
	}
	for _, dims := range []model.Dims{model.ImageDims(2, 30, 3), model.ImageDims(0, 32, 3), {}} {
		if err := vit.Default().Check(dims); err == nil || errors.Is(err, configs.ErrConfig) {
			t.Errorf("%+v: %v", dims, err)
		}
	}
}
