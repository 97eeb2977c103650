package tests

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/train/optim"
)

// golden is one run of testdata/make_golden.py.
type golden struct {
	t    *testing.T
	file *npz.Reader
}

func openGolden(t *testing.T, name string) golden {
	t.Helper()
	f, err := npz.Open("testdata/" + name + ".npz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return golden{t, f}
}

func read[T any](g golden, key string) []T {
	g.t.Helper()
	var out []T
	if err := g.file.Read(key+".npy", &out); err != nil {
		g.t.Fatalf("%s: %v", key, err)
	}
	return out
}

// config is the network of the golden file.
func (g golden) config(name string) (cfg recipe.Model, dims model.Dims, batch, seqLen int) {
	c := read[int32](g, "config")
	body := decoder.Default()
	body.DModel, body.NLayer, body.DFF = int(c[1]), int(c[2]), int(c[5])
	body.Attention.NHead = int(c[3])
	if c[4] != c[3] {
		body.Attention.OneOf, body.Attention.NKVHead = attention.As(attention.GQA{}), int(c[4])
	}
	batch, seqLen = int(c[7]), int(c[8])
	dims = model.Dims{VocabSize: int(c[0]), Context: seqLen}
	if name == "gpt2" {
		body.Norm, body.MLP, body.Positions = "layer_norm", "gelu_tanh", "learned"
		body.Bias, body.Tied, body.Attention.Of = true, true, attention.MHA{Projections: attention.Projections{Bias: true}}
		dims.Context = int(c[6])
	}
	return recipe.ModelOf(body), dims, batch, seqLen
}

// Tolerances: the golden losses and gradients are float64; PyTorch's own float32
// run is within 5e-7 and 1.1e-6 of them.
const (
	lossTolerance     = 2e-6 // float32, absolute over 20 steps, in nats
	gradTolerance     = 1e-5 // float32, of a tensor's largest value
	gradTolerance64   = 2e-7 // float64 against goldens that were rounded to float32
	lossTolerance64   = 1e-10
	zeroGradTolerance = 1e-7 // of gradients that are zero in exact arithmetic
)

// TestParity: from the same weights and batches as PyTorch, every gradient at
// step 0 and the losses of 20 AdamW steps are equal, also when every value that
// the plan of memory calls dead is overwritten by NaN (poison).
func TestParity(t *testing.T) {
	for _, name := range []string{"llama", "gpt2"} {
		for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			for _, recompute := range []bool{false, true} {
				for _, poison := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%v/recompute=%v/poison=%v", name, dtype, recompute, poison), func(t *testing.T) {
						parity(t, name, dtype, recompute, poison)
					})
				}
			}
		}
	}
}

func parity(t *testing.T, name string, dtype tensor.Dtype, recompute, poison bool) {
	g := openGolden(t, name)
	cfg, dims, batch, seqLen := g.config(name)
	configs.Edit(&cfg.OneOf, func(b *decoder.Config) { b.CheckpointActivations = recompute })
	store := nn.NewStore(dtype)
	grads := nn.NewGradients(store)
	session, err := cfg.NewSession(dims, store, model.Options{Sink: grads, Poison: poison})
	if err != nil {
		t.Fatal(err)
	}
	g.load(store)
	program, err := session.Program(model.Train, model.Shape{Rows: batch, Length: seqLen})
	if err != nil {
		t.Fatal(err)
	}
	optimizer := optim.NewAdamW(recipe.Train{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}, store)
	inputs, targets := read[int32](g, "inputs"), read[int32](g, "targets")
	losses, norms := read[float64](g, "loss64"), read[float64](g, "grad_norm64")
	tolerance := lossTolerance
	if dtype == tensor.Float64 {
		tolerance = lossTolerance64
	}
	n := batch * seqLen
	for step := range losses {
		in, want := widen(inputs[step*n:(step+1)*n]), widen(targets[step*n:(step+1)*n])
		program.Feed(map[string][]int{"tokens": in, "targets": want})
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, w := range want {
			if w >= 0 {
				count++
			}
		}
		scale := 1 / float64(count)
		if got := program.Loss() * scale; !(math.Abs(got-losses[step]) <= tolerance) {
			t.Errorf("step %d: loss %.9f, want %.9f", step, got, losses[step])
		}
		if step == 0 {
			g.compareGradients(grads, scale, dtype)
		}
		norm := optim.GradNorm(grads) * scale
		if !(math.Abs(norm/norms[step]-1) <= 1e-4) {
			t.Errorf("step %d: gradient norm %.7f, want %.7f", step, norm, norms[step])
		}
		optim.UpdateAll(optimizer, grads, step+1, 3e-3, scale*min(1, 1/(norm+1e-6)))
	}
}

// load sets the store's parameters to the golden initial weights.
func (g golden) load(store *nn.Store) {
	g.t.Helper()
	var unused []string
	for _, key := range g.file.Keys() {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(key, ".npy"), "weight."); ok && store.Get(name) == nil {
			unused = append(unused, name)
		}
	}
	if len(unused) > 0 {
		g.t.Fatalf("golden weights without a parameter: %v", unused)
	}
	for _, name := range store.Names() {
		w := read[float32](g, "weight."+name)
		if d := store.Get(name); store.Dtype == tensor.Float32 {
			copy(d.Float32s(), w)
		} else {
			for i, x := range w {
				d.Float64s()[i] = float64(x)
			}
		}
	}
}

func (g golden) compareGradients(grads *nn.Gradients, scale float64, dtype tensor.Dtype) {
	g.t.Helper()
	tolerance := gradTolerance
	if dtype == tensor.Float64 {
		tolerance = gradTolerance64
	}
	names := 0
	for _, name := range grads.Names() {
		want := read[float32](g, "grad."+name)
		var got []float64
		if d := grads.Get(name); dtype == tensor.Float32 {
			for _, x := range d.Float32s() {
				got = append(got, float64(x))
			}
		} else {
			got = d.Float64s()
		}
		var largest, worst float64
		for i := range want {
			largest = max(largest, math.Abs(float64(want[i])))
			worst = max(worst, math.Abs(got[i]*scale-float64(want[i])))
		}
		if limit := max(tolerance*largest, zeroGradTolerance); !(worst <= limit) {
			g.t.Errorf("gradient of %s: off by %.3g, largest value %.3g", name, worst, largest)
		}
		names++
	}
	if want := len(slices.DeleteFunc(g.file.Keys(), func(k string) bool { return !strings.HasPrefix(k, "grad.") })); names != want {
		g.t.Errorf("%d gradients, want %d", names, want)
	}
}

func widen(x []int32) []int {
	out := make([]int, len(x))
	for i, v := range x {
		out[i] = int(v)
	}
	return out
}
