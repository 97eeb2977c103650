package optim

import (
	"math"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
)

// storeAndGradients are the parameters of a config's model, the same every time,
// and gradients for them.
func storeAndGradients(t *testing.T, cfg recipe.Config) (*nn.Store, *nn.Gradients) {
	t.Helper()
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.Model.NewSession(model.Dims{VocabSize: 256, Context: 16}, store, model.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	grads := nn.NewGradients(store)
	for _, name := range store.Names() {
		g, _ := grads.Gradient(name)
		for i := range g.Float32s() {
			g.Float32s()[i] = float32(math.Sin(float64(3*i+len(name))) * math.Exp(2*math.Sin(float64(i))))
		}
	}
	return store, grads
}

func config8bit(t *testing.T) recipe.Config {
	cfg := smallConfig()
	cfg.Train.Optimizer, cfg.Train.AdamBlockSize = "adamw8bit", 64
	return cfg
}

// TestAdamW8bitTensors: tensors of fewer than 4,096 elements are updated as by
// AdamW, bit for bit, larger ones nearly; the state is as large as planned.
func TestAdamW8bitTensors(t *testing.T) {
	cfg := config8bit(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DFF = 255 }) // up_proj has 4,080 elements, the embedding 4,096
	want, grads := storeAndGradients(t, cfg)
	got, _ := storeAndGradients(t, cfg)
	o32, o8 := NewAdamW(cfg.Train, want), New(cfg.Train, got)
	for step := 1; step <= 5; step++ {
		UpdateAll(o32, grads, step, 1e-2, 0.5)
		UpdateAll(o8, grads, step, 1e-2, 0.5)
	}
	large := 0
	for _, name := range want.Names() {
		a, b := want.Get(name).Float32s(), got.Get(name).Float32s()
		if len(a) < 4096 {
			if !slices.Equal(a, b) {
				t.Errorf("%s of %d elements: not the same as by AdamW", name, len(a))
			}
			continue
		}
		large++
		if slices.Equal(a, b) {
			t.Errorf("%s of %d elements is as by AdamW: its state is not of 8 bits", name, len(a))
		}
		var sum float64
		for i := range a {
			sum += math.Abs(float64(a[i] - b[i]))
		}
		// Five steps of at most about 1e-2: quantisation may change them by a few per cent.
		if mean := sum / float64(len(a)); !(mean < 2e-3) {
			t.Errorf("%s: differs from AdamW's by %v on average", name, mean)
		}
	}
	if large != 2 {
		t.Fatalf("%d large tensors, want embedding and head", large)
	}
	if n := want.Parameters(); o8.Bytes() != 8*(n-2*4096)+2*(2*4096+8*4096/64) {
		t.Errorf("Bytes() = %d", o8.Bytes())
	}
}

// TestAdamW8bitThreads: pieces of a tensor are updated alike by any thread.
func TestAdamW8bitThreads(t *testing.T) {
	cfg := config8bit(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel = 400 }) // 102,400 elements: several pieces
	threads := kernel.Threads()
	defer kernel.SetThreads(threads)
	var want []float32
	for _, n := range []int{1, 2, 3} {
		kernel.SetThreads(n)
		store, grads := storeAndGradients(t, cfg)
		o := New(cfg.Train, store)
		for step := 1; step <= 3; step++ {
			UpdateAll(o, grads, step, 1e-2, 1)
		}
		got := store.Get("lm_head.weight").Float32s()
		if want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%d threads give other weights than 1", n)
		}
	}
}
