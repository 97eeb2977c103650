package optim

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
)

// smallConfig is of a small decoder.
func smallConfig() recipe.Config {
	c := recipe.Default()
	configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
	return c
}

// TestAdamWEquation: three steps equal the equation of Loshchilov and Hutter,
// algorithm 2, written out in float64; vectors are not decayed, frozen
// parameters do not move.
func TestAdamWEquation(t *testing.T) {
	const rate, beta1, beta2, eps, decay, scale = 0.01, 0.9, 0.95, 1e-8, 0.1, 0.5
	cfg := smallConfig()
	cfg.Train.Beta1, cfg.Train.Beta2, cfg.Train.Eps, cfg.Train.WeightDecay = beta1, beta2, eps, decay
	cfg.Train.Freeze = []recipe.Freeze{{Match: "lm_head.*"}}
	store := nn.NewStore(tensor.Float64)
	if _, err := cfg.Model.NewSession(model.Dims{VocabSize: 256, Context: 16}, store, model.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	grads := nn.NewGradients(store)
	const matrix, vector, frozen = "model.layers.0.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight"
	want := map[string][]float64{}
	for _, name := range store.Names() {
		want[name] = append([]float64(nil), store.Get(name).Float64s()...)
		g, _ := grads.Gradient(name)
		for i := range g.Float64s() {
			g.Float64s()[i] = math.Sin(float64(3*i + len(name)))
		}
	}
	o := NewAdamW(cfg.Train, store)
	mean, square := map[string][]float64{}, map[string][]float64{}
	for step := 1; step <= 3; step++ {
		UpdateAll(o, grads, step, rate, scale)
		for _, name := range []string{matrix, vector} {
			if mean[name] == nil {
				mean[name], square[name] = make([]float64, len(want[name])), make([]float64, len(want[name]))
			}
			for i, g := range grads.Get(name).Float64s() {
				g *= scale
				m, v := &mean[name][i], &square[name][i]
				*m, *v = beta1**m+(1-beta1)*g, beta2**v+(1-beta2)*g*g
				if name == matrix {
					want[name][i] *= 1 - rate*decay
				}
				mHat, vHat := *m/(1-math.Pow(beta1, float64(step))), *v/(1-math.Pow(beta2, float64(step)))
				want[name][i] -= rate * mHat / (math.Sqrt(vHat) + eps)
			}
		}
	}
	for _, name := range []string{matrix, vector, frozen} {
		for i, got := range store.Get(name).Float64s() {
			if !(math.Abs(got-want[name][i]) <= 1e-13) {
				t.Errorf("%s[%d] = %v after three steps, want %v", name, i, got, want[name][i])
				break
			}
		}
	}
	if want := 2 * 8 * (store.Parameters() - 256*16); o.Bytes() != want {
		t.Errorf("Bytes() = %d, want %d: two means of all that trains", o.Bytes(), want)
	}
}

// TestGradNorm: the norm over all parameters, and a NaN anywhere shows.
func TestGradNorm(t *testing.T) {
	cfg := smallConfig()
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.Model.NewSession(model.Dims{VocabSize: 256, Context: 16}, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	grads := nn.NewGradients(store)
	var sum float64
	for k, name := range store.Names() {
		g, _ := grads.Gradient(name)
		for i := range g.Float32s() {
			x := float32(i%7) - 3 + float32(k)
			g.Float32s()[i] = x
			sum += float64(x) * float64(x)
		}
	}
	if got, want := GradNorm(grads), math.Sqrt(sum); !(math.Abs(got/want-1) <= 1e-7) {
		t.Errorf("GradNorm = %v, want %v", got, want)
	}
	last := grads.Get(store.Names()[len(store.Names())-1]).Float32s()
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		last[len(last)-1] = bad
		if got := GradNorm(grads); !math.IsNaN(got) && !math.IsInf(got, 0) {
			t.Errorf("GradNorm with %v in it = %v", bad, got)
		}
	}
}
