package denoiser

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
)

// small is a network with every part, of either attention.
func small(kind attention.Map) Body {
	c := Default()
	c.DModel, c.NLayer, c.NHead, c.Window, c.Attention = 32, 2, 2, 2, attention.OfMap(kind)
	return Body{Config: c}
}

// program is a network's in a mode, with leaves from a normal distribution.
func program(t *testing.T, b Body, mode model.Mode, height, width int, change func(name string, i int) float64) (*model.Program, *nn.Store) {
	t.Helper()
	store := nn.NewStore(tensor.Float64)
	s, err := model.NewSession(Network{Body: b}, store, model.Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		for _, name := range store.Names() {
			for i, v := range store.Get(name).Float64s() {
				store.Get(name).Float64s()[i] = v + change(name, i)
			}
		}
	}
	p, err := s.Program(mode, model.Shape{Rows: 2, Height: height, Width: width})
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, 2*height*width)
	rng.FillNormal(rng.New(1, "test/pixels", 0), x, 0, 1)
	p.Floats("pixels").Set(x)
	levels := make([]float32, 2*LevelWidth)
	Levels(levels[:LevelWidth], 0.3)
	Levels(levels[LevelWidth:], 1.1)
	p.Floats("levels").Set(levels)
	return p, store
}

// At first the network adds nothing: the guess is the linear one.
func TestStartsFromTheLinearGuess(t *testing.T) {
	for _, kind := range []attention.Map{attention.Window{}, attention.DefaultFaSA()} {
		p, _ := program(t, small(kind), model.Infer, 16, 24, nil)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		for i, v := range p.Output("noise").Float64s() {
			if v != 0 {
				t.Fatalf("output %d is %v, want 0", i, v)
			}
		}
	}
	// The linear guess is the least squares of noise n from y = x + sigma n, with x of variance v: E[n y] / E[y²].
	for _, sigma := range []float64{0.1, 1, 30} {
		if got, want := Linear(sigma), sigma*1/(Variance+sigma*sigma); got != want {
			t.Errorf("sigma %v: %v, want %v", sigma, got, want)
		}
		if got := Scale(sigma) * Scale(sigma) * (Variance + sigma*sigma); math.Abs(got-1) > 1e-12 {
			t.Errorf("sigma %v: scaled variance %v, want 1", sigma, got)
		}
	}
}

// Moving a picture by two windows, which keeps the turns of the shift, moves the noise, away from the border.
func TestMovesWithThePicture(t *testing.T) {
	b := small(attention.Window{})
	const side, step, reach = 64, 8, 24 // pixels: windows of 4, and what blocks and convolutions can see
	noise := func(shift int) []float64 {
		p, _ := program(t, b, model.Infer, side, side, func(name string, i int) float64 {
			return 0.05 * math.Sin(float64(i)+float64(len(name)))
		})
		x := make([]float32, 2*side*side)
		r := make([]float32, 3*side*side)
		rng.FillNormal(rng.New(5, "test/wide", 0), r, 0, 1)
		for i := range x {
			y, k := i%(side*side)/side, i%side
			x[i] = r[(y+shift)*side+k]
		}
		p.Floats("pixels").Set(x)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Output("noise").Float64s()[:side*side]
	}
	here, there := noise(0), noise(step)
	moved := 0.0
	for y := reach; y < side-reach-step; y++ {
		for x := reach; x < side-reach; x++ {
			a, b := here[(y+step)*side+x], there[y*side+x]
			moved = max(moved, math.Abs(a))
			if math.Abs(a-b) > 1e-9 {
				t.Fatalf("row %d, column %d: %v, moved %v", y, x, a, b)
			}
		}
	}
	if moved == 0 {
		t.Error("the noise is 0")
	}
}

// The adaptive layers learn: a level's weights have the gradients of central differences.
func TestLevelGradients(t *testing.T) {
	b := small(attention.Window{})
	bend := func(name string, i int) float64 { return 0.1 * math.Cos(float64(3*i+len(name))) }
	truth := make([]float32, 2*16*16)
	rng.FillNormal(rng.New(2, "test/truth", 0), truth, 0, 1)
	loss := func(name string, at int, by float64) float64 {
		p, _ := program(t, b, model.Score, 16, 16, func(n string, i int) float64 {
			if n == name && i == at {
				return bend(n, i) + by
			}
			return bend(n, i)
		})
		p.Floats("truth").Set(truth)
		if err := p.Run(); err != nil {
			t.Fatal(err)
		}
		return p.Loss()
	}
	gradients := map[string]*tensor.Dense{}
	store := nn.NewStore(tensor.Float64)
	sink := nn.NewGradients(store)
	s, err := model.NewSession(Network{Body: b}, store, model.Options{Seed: 3, Sink: sink})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		for i := range store.Get(name).Float64s() {
			store.Get(name).Float64s()[i] += bend(name, i)
		}
	}
	p, err := s.Program(model.Train, model.Shape{Rows: 2, Height: 16, Width: 16})
	if err != nil {
		t.Fatal(err)
	}
	q, _ := program(t, b, model.Infer, 16, 16, nil) // the same leaves
	x := q.Floats("pixels").Float64s()
	levels := q.Floats("levels").Float64s()
	p.Floats("pixels").Set(narrow(x))
	p.Floats("levels").Set(narrow(levels))
	p.Floats("truth").Set(truth)
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"level.fc1.weight", "block.0.adaptive1.level.weight", "block.1.adaptive2.level.bias", "out.level.weight", "block.0.attn.q.weight", "embed.weight"} {
		d, ok := sink.Gradient(name)
		if d == nil {
			t.Fatalf("%s has no gradient (%v)", name, ok)
		}
		gradients[name] = d
		for _, at := range []int{0, 7, d.Shape().TotalSize() - 1} {
			const h = 1e-4
			want := (loss(name, at, h) - loss(name, at, -h)) / (2 * h)
			if got := d.Float64s()[at]; math.Abs(got-want) > 1e-5*max(1, math.Abs(want)) {
				t.Errorf("%s[%d]: gradient %v, by differences %v", name, at, got, want)
			}
		}
	}
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"width": func(c *Config) { c.DModel = 0 }, "sigma": func(c *Config) { c.Sigma = []float64{2, 1} }, "patch": func(c *Config) { c.Patch = 0 },
		"window": func(c *Config) { c.Window = 0 }, "layers": func(c *Config) { c.NLayer = 0 },
	} {
		c := Default()
		change(&c)
		if configs.Validate("test", &c) == nil {
			t.Errorf("%s: no error", name)
		}
	}
	b := small(attention.Window{})
	for name, d := range map[string]model.Dims{"text": {VocabSize: 5, Context: 4}, "colour": model.ImageDims(1, 32, 3), "size": model.ImageDims(1, 30, 1)} {
		if _, err := b.Network(d); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
