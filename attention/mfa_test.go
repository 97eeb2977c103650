package attention_test

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/op"
)

// TestMFA: several wide heads over one key and one value, or over a key that is
// made into a value, with and without what is optional.
func TestMFA(t *testing.T) {
	for name, change := range map[string]func(*layerCase, *attention.Factors){
		"default":         func(*layerCase, *attention.Factors) {},
		"rotary":          func(c *layerCase, _ *attention.Factors) { c.rotary = true },
		"wide query":      func(c *layerCase, f *attention.Factors) { f.QRank, c.rotary = 11, true },
		"no norm":         func(c *layerCase, f *attention.Factors) { f.InterNorm, c.rotary = false, true },
		"shared output":   func(c *layerCase, f *attention.Factors) { f.Output, c.rotary = "shared", true },
		"full output":     func(_ *layerCase, f *attention.Factors) { f.Output = "full" },
		"both directions": func(c *layerCase, _ *attention.Factors) { c.causal, c.lengths = false, []int{5, 2} },
	} {
		c, f := layerCase{causal: true}, attention.Factors{InterNorm: true}
		change(&c, &f)
		for _, kind := range []attention.Kind{attention.MFA{Factors: f}, attention.MFAKR{Factors: f}} {
			c.Config = attention.Of(kind, attention.Heads{NHead: 3, HeadDim: 6, Theta: theta})
			t.Run(c.Name+", "+name, func(t *testing.T) {
				c.check(t, func(v map[string][]float64) []float64 { return c.naiveMFA(v, f) })
			})
		}
	}
}

// naiveMFA is the layer by its equations.
func (c layerCase) naiveMFA(v map[string][]float64, f attention.Factors) []float64 {
	width := c.Dim(dModel)
	rank := c.Shape(dModel).QueryRank
	q := project(v["x"], v["q_proj.weight"], nil, dModel)
	if f.InterNorm {
		q = rmsNormed(q, v["inter_norm.weight"])
	}
	q = project(q, v["wq.weight"], nil, rank)
	k := project(v["x"], v["k_proj.weight"], nil, dModel)
	var val []float64
	if c.Name == "mfa" {
		val = project(v["x"], v["v_proj.weight"], nil, dModel)
	} else {
		for i, x := range project(k, v["n_proj.weight"], nil, width) {
			val = append(val, k[i]+v["v_gate"][i%width]*x)
		}
	}
	y := c.mix(c.heads(q, width, c.rotary), c.heads(k, width, c.rotary), c.heads(val, width, false), 1/math.Sqrt(float64(width)))
	if f.Output == "shared" { // sum over heads of o_c O_c, then one projection
		var sums []float64
		for n := 0; n < len(y); n += c.NHead * width {
			for out := range width {
				var sum float64
				for i, x := range y[n : n+c.NHead*width] {
					sum += x * v["head_proj.weight"][out*c.NHead*width+i]
				}
				sums = append(sums, sum)
			}
		}
		return project(sums, v["o_proj.weight"], nil, width)
	}
	return project(y, v["o_proj.weight"], nil, c.NHead*width)
}

// rmsNormed is the RMS norm of rows as wide as w.
func rmsNormed(x, w []float64) []float64 {
	var y []float64
	for row := 0; row < len(x); row += len(w) {
		var sum float64
		for i := range w {
			sum += x[row+i] * x[row+i]
		}
		for i := range w {
			y = append(y, x[row+i]/math.Sqrt(sum/float64(len(w))+eps)*w[i])
		}
	}
	return y
}

// TestMFAKRStart: values are keys when training starts, and yet the gate gets a
// gradient, because N is not zero.
func TestMFAKRStart(t *testing.T) {
	store := nn.NewStore(tensor.Float64)
	grads := nn.NewGradients(store)
	tape := op.NewTape(tensor.Float64, true)
	b := nn.NewBuilder(tape, store, nn.Options{Seed: 1, Sink: grads})
	cfg := attention.Of(attention.MFAKR{Factors: attention.Factors{InterNorm: true}}, attention.Heads{NHead: 2, HeadDim: 4, Theta: theta})
	layer := attention.New(b, attention.LayerConfig{Config: cfg, DModel: dModel, Causal: true, Eps: eps, Init: nn.Normal(1), OutInit: nn.Normal(1)})
	x := op.Value(b.Weight("x", nn.Normal(1), batch*seqLen, dModel).Use())
	out := layer.Forward(x, nn.SeqInfo{Batch: batch, SeqLen: seqLen}, 0)
	targets := tape.Input("targets", tensor.New(tensor.WithBacking(make([]int, batch*seqLen)), tensor.WithShape(batch*seqLen)))
	loss := op.CrossEntropy(tape, out, targets)
	if err := tape.Backward(loss); err != nil {
		t.Fatal(err)
	}
	run(t, tape, loss)
	bound := math.Sqrt(3.0 / 4)
	for name, want := range map[string]struct {
		value, gradient func(float64) bool
	}{
		"v_gate":        {func(x float64) bool { return x == 0 }, func(x float64) bool { return x != 0 }},
		"n_proj.weight": {func(x float64) bool { return x != 0 && math.Abs(x) <= bound }, func(x float64) bool { return x == 0 }},
	} {
		for i, v := range store.Get(name).Float64s() {
			if g := grads.Get(name).Float64s()[i]; !want.value(v) || !want.gradient(g) {
				t.Errorf("%s[%d] starts at %g with gradient %g", name, i, v, g)
			}
		}
	}
}
