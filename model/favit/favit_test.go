package favit_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/favit"
	"sparrow/nn"
	"sparrow/op"
)

// imagenet are the sizes of the published networks.
var imagenet = model.Dims{Classes: 1000, ImageSize: 224, Channels: 3}

// The published networks have the published numbers of parameters, by building
// and by formula, and of multiply-adds.
func TestFaViTSizes(t *testing.T) {
	for _, tc := range []struct {
		variant    string
		parameters int     // thousands
		gmacs      float64 // 10⁹, as published, to two digits
	}{{"b0", 3428, 0.63}, {"b1", 12959, 2.34}, {"b2", 24920, 4.45}, {"b3", 48746, 8.51}} {
		cfg := favit.Default()
		cfg.Variant = tc.variant
		if err := cfg.Check(imagenet); err != nil {
			t.Fatal(err)
		}
		store := nn.NewStore(tensor.Float32)
		n := model.Images{Body: favit.Body{Config: cfg}, Picture: model.Picture{Channels: 3, Height: 224, Width: 224}, Classes: imagenet.Classes}
		if err := model.Declare(n, store, model.Options{}); err != nil {
			t.Fatal(err)
		}
		parameters := store.Parameters()
		if got := int(math.Round(float64(parameters) / 1000)); got != tc.parameters {
			t.Errorf("%s has %dk parameters, want %dk", tc.variant, got, tc.parameters)
		}
		if got := cfg.Parameters(imagenet); got != parameters {
			t.Errorf("%s has %d parameters, by the formula %d", tc.variant, parameters, got)
		}
		if got := float64(cfg.MACs(imagenet)) / 1e9; math.Abs(got-tc.gmacs) > 0.01 {
			t.Errorf("%s takes %.3f G multiply-adds, want %.2f", tc.variant, got, tc.gmacs)
		}
	}
}

// smallFaViT is that of testdata/make_favit_golden.py.
func smallFaViT() (favit.Config, model.Dims) {
	cfg := favit.Default()
	cfg.Widths, cfg.Depths, cfg.Heads, cfg.MLPRatios, cfg.Reductions = []int{16, 24}, []int{2, 1}, []int{1, 3}, []int{2, 3}, []int{2, 1}
	cfg.StemKernel, cfg.StemStride, cfg.Window = 3, 2, 3
	return cfg, model.Dims{Classes: 5, ImageSize: 15, Channels: 2}
}

// hardImages are images whose training has one label each.
type hardImages struct{ model.Images }

// Build implements model.Network.
func (n hardImages) Build(g *model.Graph) error {
	model.Classify(g, n.Body.Head(g, n.Body.Pool(g, n.Picture), n.Classes), false)
	return nil
}

// images is a FaViT in training.
type images struct {
	*model.Program
	store *nn.Store
	grads *nn.Gradients
}

func newImages(t *testing.T, dtype tensor.Dtype, cfg favit.Config, dims model.Dims, labels []int, recompute bool) *images {
	t.Helper()
	m := &images{store: nn.NewStore(dtype)}
	m.grads = nn.NewGradients(m.store)
	n := hardImages{model.Images{
		Body:    favit.Body{Config: cfg, CheckpointActivations: recompute},
		Picture: model.Picture{Channels: dims.Channels, Height: dims.ImageSize, Width: dims.ImageSize}, Classes: dims.Classes,
	}}
	s, err := model.NewSession(n, m.store, model.Options{
		Seed: 1, Sink: m.grads, Sites: []string{"features", "norm1.output", "logits"}, Poison: dtype == tensor.Float64,
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.Program, err = s.Program(model.Train, model.Shape{Rows: len(labels), Height: dims.ImageSize, Width: dims.ImageSize}); err != nil {
		t.Fatal(err)
	}
	m.Feed(map[string][]int{"targets": labels})
	m.SetStep(1)
	return m
}

// draw fills the images by a formula.
func (m *images) draw() {
	pixels := m.Floats("pixels")
	for i := range pixels.Count * pixels.Width {
		pixels.Put(i/pixels.Width, i%pixels.Width, math.Sin(float64(i*i%1013)/7))
	}
}

// bytes are the loss and all gradients of one run in float32.
func (m *images) bytes(t *testing.T) []float32 {
	t.Helper()
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	all := []float32{float32(m.Loss())}
	for _, name := range m.store.Names() {
		all = append(all, m.grads.Get(name).Float32s()...)
	}
	return all
}

// TestFaViTGolden compares scores and all gradients with PyTorch.
func TestFaViTGolden(t *testing.T) {
	f, err := npz.Open(filepath.Join("testdata", "favit.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := func(key string, dst any) {
		t.Helper()
		if err := f.Read(key+".npy", dst); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	for _, fusion := range op.Fusions {
		for _, recompute := range []bool{false, true} {
			cfg, dims := smallFaViT()
			cfg.Attention = attention.OfMap(attention.FaSA{Fusion: fusion, Groups: "all", Pad: "reflect"})
			m := newImages(t, tensor.Float64, cfg, dims, []int{4, 0, 2}, recompute)
			for _, name := range append([]string{"pixels"}, m.store.Names()...) {
				var values []float32
				read(fusion+"/"+name, &values)
				if name == "pixels" {
					m.Floats("pixels").Set(values)
					continue
				}
				dst := m.store.Get(name)
				if dst.Size() != len(values) {
					t.Fatalf("%s has %d values, PyTorch %d", name, dst.Size(), len(values))
				}
				for i, x := range values {
					dst.Float64s()[i] = float64(x)
				}
			}
			if err := m.Run(); err != nil {
				t.Fatal(err)
			}
			var logits []float64
			read(fusion+"/logits", &logits)
			nearly(t, "logits", m.Site("logits").Float64s(), logits, 1e-10)
			for _, name := range m.store.Names() {
				var want []float32
				read(fusion+"/d "+name, &want)
				wide := make([]float64, len(want))
				for i, x := range want {
					wide[i] = float64(x)
				}
				nearly(t, "gradient of "+name, m.grads.Get(name).Float64s(), wide, 1e-6) // rounded to float32
			}
		}
	}
}

func nearly(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tolerance*(1+math.Abs(want[i]))) {
			t.Fatalf("%s[%d] = %.12g, want %.12g", what, i, got[i], want[i])
		}
	}
}

// tinyFaViT is the variant for small images, as shipped.
func tinyFaViT(kind attention.Map) (favit.Config, model.Dims) {
	cfg := favit.Default()
	cfg.Variant, cfg.Attention, cfg.DropPath = "tiny", attention.OfMap(kind), 0.3
	return cfg, model.Dims{Classes: 10, ImageSize: 28, Channels: 1}
}

// Every attention gives the same bytes on any number of threads, from run to run,
// and with recomputed activations.
func TestFaViTBytes(t *testing.T) {
	t.Cleanup(func() { kernel.SetThreads(0) })
	labels := []int{3, 9, 0}
	for _, kind := range attention.Maps() {
		t.Run(kind.Name, func(t *testing.T) {
			cfg, dims := tinyFaViT(kind.New())
			if err := cfg.Check(dims); err != nil {
				t.Fatal(err)
			}
			m := newImages(t, tensor.Float32, cfg, dims, labels, false)
			if got, want := m.store.Parameters(), cfg.Parameters(dims); got != want {
				t.Errorf("%d parameters, by the formula %d", got, want)
			}
			m.draw()
			kernel.SetThreads(1)
			want := m.bytes(t)
			if loss := float64(want[0]) / float64(len(labels)); math.Abs(loss-math.Log(10)) > 0.5 {
				t.Errorf("loss %g at the start, want about log 10 = %.3f", loss, math.Log(10))
			}
			kernel.SetThreads(2)
			if !slices.Equal(m.bytes(t), want) {
				t.Error("two threads give other bytes than one")
			}
			recomputed := newImages(t, tensor.Float32, cfg, dims, labels, true)
			recomputed.draw()
			if !slices.Equal(recomputed.bytes(t), want) {
				t.Error("recomputed activations give other bytes")
			}
			m.SetStep(2)
			if slices.Equal(m.bytes(t), want) {
				t.Error("the next step drops the same paths")
			}
			if got := m.Site("norm1.output"); got.Count != 3*14*14 || got.Width != 32 {
				t.Errorf("the first stage has %d features at %d places", got.Width, got.Count)
			}
			if got := m.Site("features"); got.Count != 3 || got.Width != 128 {
				t.Errorf("%d features of %d images", got.Width, got.Count)
			}
		})
	}
}

var underRace bool // see race_test.go

// The second step allocates no tensor.
func TestFaViTAllocatesNoTensor(t *testing.T) {
	if underRace {
		t.Skip("the race detector makes pools forget")
	}
	cfg, dims := tinyFaViT(attention.DefaultFaSA())
	m := newImages(t, tensor.Float32, cfg, dims, make([]int, 8), false)
	m.draw()
	least := uint64(math.MaxUint64)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := m.Run(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	const activation = 4 * 8 * 196 * 32 // bytes of the first stage's maps
	if least > activation/2 {
		t.Errorf("a step allocates %d bytes; one map of the first stage is %d", least, activation)
	}
}

func TestFaViTCheck(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *favit.Config, d *model.Dims)
		want   string // of the error; "": none
	}{
		{"published", func(*favit.Config, *model.Dims) {}, ""},
		{"32 pixels", func(_ *favit.Config, d *model.Dims) { d.ImageSize = 32 }, "stage 1, maps of 8x8: fasa: windows of 7 pixels, dilation 8, extend over 49: a map of 8x8 pixels cannot be mirrored to 49x49"},
		{"32 pixels replicated", func(c *favit.Config, d *model.Dims) {
			d.ImageSize, c.Attention = 32, attention.OfMap(attention.FaSA{Fusion: "mean", Groups: "all", Pad: "replicate"})
		}, ""},
		{"tiny, 28 pixels", func(c *favit.Config, d *model.Dims) { d.ImageSize, c.Variant = 28, "tiny" }, ""},
		{"tiny, 32 pixels", func(c *favit.Config, d *model.Dims) { d.ImageSize, c.Variant = 32, "tiny" }, ""},
		{"tiny, 64 pixels", func(c *favit.Config, d *model.Dims) { d.ImageSize, c.Variant = 64, "tiny" }, ""},
		{"tiny, 30 pixels", func(c *favit.Config, d *model.Dims) { d.ImageSize, c.Variant = 30, "tiny" }, "stage 1, maps of 15x15: fasa: reduction 2 for a map of 15x15 pixels; want a divisor"},
		{"heads of windows", func(c *favit.Config, _ *model.Dims) {
			c.Attention, c.Heads = attention.OfMap(attention.Window{}), []int{3, 2, 4, 8}
		}, "stage 1, maps of 56x56: window: 3 heads for 32 channels; want a divisor"},
		{"no classes", func(_ *favit.Config, d *model.Dims) { d.Classes = 0 }, "in 0 classes; want at least 1"},
	} {
		cfg, dims := favit.Default(), imagenet
		tc.change(&cfg, &dims)
		err := cfg.Check(dims)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestFaViTValidate(t *testing.T) {
	for _, tc := range []struct{ name, toml, want string }{
		{"variant", `variant = "b9"`, `variant = "b9" is unknown; want one of b0, b1, b2, b3, tiny`},
		{"attention", `attention = "local"`, "is unknown; want one of fasa, global, window"},
		{"fusion", `fusion = "max"`, "is unknown; want one of mean, reference"},
		{"groups", `groups = "global"`, "is unknown; want one of all, local"},
		{"pad", `pad = "zeros"`, "is unknown; want one of reflect, replicate"},
		{"a key of another attention", "attention = \"global\"\npad = \"replicate\"", `x.toml:3: unknown key "pad" in [favit] of attention = "global"; it is a key of fasa`},
		{"a key of the attention that follows", "groups = \"local\"\nattention = \"fasa\"", ""},
		{"stages", `depths = [1, 2]`, "has 2 stages; want 4, as widths"},
		{"a stage without heads", `heads = [1, 0, 1, 1]`, "has an entry that is too small; want at least 1"},
		{"stem", "stem_kernel = 4", "is even; want an odd side"},
		{"stem stride", "stem_stride = -1", "is out of range; want 0 (the variant's) to 1024"},
		{"window", "window = 0", "is out of range; want 1 to 1024"},
		{"an entry beyond all networks", "widths = [32, 64, 70000, 80]", "has an entry that is too large; want at most 65536"},
		{"drop path", "drop_path = 1.0", "is out of range; want 0 or more and less than 1"},
		{"valid", "variant = \"tiny\"\nwidths = [16, 32]\ndepths = [1, 1]\nheads = [1, 2]\nmlp_ratios = [2, 2]\nreductions = [2, 1]", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := struct {
				FaViT favit.Config `toml:"favit"`
			}{favit.Default()}
			err := configs.Decode("x.toml", []byte("[favit]\n"+tc.toml+"\n"), &config, configs.Options{Lists: configs.With(configs.Lists{}, attention.Maps()...)})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !errors.Is(err, configs.ErrConfig) || !strings.Contains(fmt.Sprint(err), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
