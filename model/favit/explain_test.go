package favit_test

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/model/favit"
	"sparrow/nn"
	"sparrow/op"
)

// imageConfig is the small network of the golden values, and the sizes of its images.
func imageConfig() (favit.Config, model.Dims) {
	cfg, dims := smallFaViT()
	return cfg, model.ImageDims(dims.Classes, dims.ImageSize, dims.Channels)
}

func noise(n int) []float32 {
	x := make([]float32, n)
	rng.FillNormal(rng.New(2, "test/noise", 0), x, 0, 1)
	return x
}

func imageSession(t *testing.T, cfg favit.Config, dims model.Dims, opts func(*nn.Store) model.Options) *model.Session {
	t.Helper()
	store := nn.NewStore(tensor.Float64)
	n := model.Images{Body: favit.Body{Config: cfg}, Picture: model.Picture{Channels: dims.Channels, Height: dims.ImageSize, Width: dims.ImageSize}, Classes: dims.Classes}
	s, err := model.NewSession(n, store, opts(store))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// explain looks at an image as a session's network does.
func explain(s *model.Session, pixels []float32) (*favit.Explanation, error) {
	return favit.Explain(s.Network().(model.Images), s.Store(), model.Options{}, pixels)
}

// TestImageTargets: with one-hot targets the loss of training is that of scoring; a mixture's is the mixture of the losses;
// empty rows count in neither.
func TestImageTargets(t *testing.T) {
	cfg, dims := imageConfig()
	s := imageSession(t, cfg, dims, func(store *nn.Store) model.Options {
		return model.Options{Seed: 3, Sink: nn.NewGradients(store)}
	})
	const batch = 3
	pixels := noise(batch * dims.Context * dims.Channels)
	run := func(p *model.Program, err error, feed func(*model.Program)) float64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		p.Floats("pixels").Set(pixels)
		feed(p)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Loss()
	}
	score := func(labels ...int) float64 {
		p, err := s.Program(model.Score, dims.Shape(batch, 0))
		return run(p, err, func(p *model.Program) { copy(p.Ints("targets"), labels) })
	}
	train := func(targets []float32) float64 {
		p, err := s.Program(model.Train, dims.Shape(batch, 0))
		return run(p, err, func(p *model.Program) { p.Floats("distribution").Set(targets) })
	}
	hot := func(labels ...int) []float32 {
		x := make([]float32, batch*dims.Classes)
		for i, label := range labels {
			if label >= 0 {
				x[i*dims.Classes+label] = 1
			}
		}
		return x
	}
	a, b := score(0, 2, op.Ignored), score(1, 1, op.Ignored)
	if got := train(hot(0, 2, -1)); math.Abs(got-a) > 1e-9 {
		t.Errorf("one-hot targets: loss %v, want %v as scored", got, a)
	}
	mixed := hot(0, 2, -1)
	for i, v := range hot(1, 1, -1) {
		mixed[i] = 0.25*mixed[i] + 0.75*v
	}
	if got, want := train(mixed), 0.25*a+0.75*b; math.Abs(got-want) > 1e-9 {
		t.Errorf("mixed targets: loss %v, want %v", got, want)
	}
	if a == b {
		t.Error("two sets of labels have one loss")
	}
}

// TestExplain: the gradient is that of the loss by finite differences, the field is local where the whole is not, and each
// group's attention is a distribution over its keys.
func TestExplain(t *testing.T) {
	cfg, dims := imageConfig()
	s := imageSession(t, cfg, dims, func(*nn.Store) model.Options { return model.Options{Seed: 3} })
	pixels := noise(dims.Context * dims.Channels)
	x, err := explain(s, pixels)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Program(model.Score, dims.Shape(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	loss := func() float64 {
		p.Floats("pixels").Set(pixels)
		p.Ints("targets")[0] = x.Class
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Loss()
	}
	loss()
	if got := p.Output("logits").Float64s(); !slices.Equal(got, x.Logits) || got[x.Class] != slices.Max(got) {
		t.Errorf("scores %v of class %d, scored %v", x.Logits, x.Class, got)
	}
	const h = 1.0 / 1024 // exact in float32
	for i := 0; i < len(pixels); i += 37 {
		v := pixels[i]
		pixels[i] = v + h
		up, above := loss(), float64(pixels[i])
		pixels[i] = v - h
		down, below := loss(), float64(pixels[i])
		pixels[i] = v
		want := (up - down) / (above - below)
		if got := x.Gradient[i]; math.Abs(got-want) > 1e-6+1e-4*math.Abs(want) {
			t.Errorf("gradient of value %d: %v, by differences %v", i, got, want)
		}
	}
	if len(x.Field) != len(pixels) || slices.Equal(x.Field, x.Gradient) || slices.Max(x.Field) == 0 {
		t.Errorf("the field has %d values, %v at most; want %d, others than the gradient's", len(x.Field), slices.Max(x.Field), len(pixels))
	}
	var groups []string
	for _, a := range x.Attention {
		groups = append(groups, a.Group)
		var sum float64
		for _, w := range a.Weights {
			sum += w
		}
		if len(a.Weights) != a.Height*a.Width || math.Abs(sum-1) > 1e-9 || slices.Min(a.Weights) <= 0 {
			t.Errorf("stage %d, %s: %d weights of %dx%d keys, sum %v", a.Stage, a.Group, len(a.Weights), a.Height, a.Width, sum)
		}
	}
	if want := []string{"global", "local", "dilated", "global", "local"}; !slices.Equal(groups, want) {
		t.Errorf("groups %v, want %v", groups, want)
	}
	again, err := explain(s, pixels)
	if err != nil || !slices.Equal(again.Gradient, x.Gradient) || !slices.Equal(again.Field, x.Field) {
		t.Errorf("explained again: other gradients, or %v", err)
	}
	if _, err := explain(s, pixels[1:]); err == nil {
		t.Error("too few pixels: no error")
	}
}

// TestExplainLocalGroups: without the global group, the others keep their names and sizes.
func TestExplainLocalGroups(t *testing.T) {
	cfg, dims := imageConfig()
	cfg.Attention = attention.OfMap(attention.FaSA{Fusion: "mean", Groups: "local", Pad: "replicate"})
	cfg.Window = 2 // fewer keys than patches: nobody may take the one for the other
	s := imageSession(t, cfg, dims, func(*nn.Store) model.Options { return model.Options{Seed: 3} })
	x, err := explain(s, noise(dims.Context*dims.Channels))
	if err != nil {
		t.Fatal(err)
	}
	var groups []string
	for _, a := range x.Attention {
		groups = append(groups, a.Group)
		if a.Height != 2 || a.Width != 2 || len(a.Weights) != 4 {
			t.Errorf("stage %d, %s: %d weights of %dx%d keys, want 2x2", a.Stage, a.Group, len(a.Weights), a.Height, a.Width)
		}
	}
	if want := []string{"local", "dilated", "local"}; !slices.Equal(groups, want) {
		t.Errorf("groups %v, want %v", groups, want)
	}
}
