package nn_test

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// TestConvLayers compares the convolution layers with loops over their taps, and
// their gradients with central differences.
func TestConvLayers(t *testing.T) {
	m := op.Map{Batch: 2, Height: 4, Width: 3}
	const in, out = 2, 3
	for name, c := range map[string]struct {
		cfg       nn.ConvConfig // of a depthwise layer: Kernel 0
		residual  bool
		wantShape op.Map
	}{
		"strided":            {cfg: nn.ConvConfig{In: in, Out: out, Kernel: 3, Stride: 2, Padding: 1, Bias: true}, wantShape: op.Map{Batch: 2, Height: 2, Width: 2}},
		"without bias":       {cfg: nn.ConvConfig{In: in, Out: out, Kernel: 2, Dilation: 2}, wantShape: op.Map{Batch: 2, Height: 2, Width: 1}},
		"depthwise":          {wantShape: m},
		"depthwise residual": {residual: true, wantShape: m},
	} {
		t.Run(name, func(t *testing.T) {
			nntest.Check(t, nntest.Layer{
				Build: func(b *nn.Builder) *G.Node {
					x := nntest.Input(b, "x", m.Rows(), in)
					y, shape := x, m
					if c.cfg.Kernel > 0 {
						y, shape = nn.NewConv2d(b, c.cfg, nn.Normal(1)).Forward(x, m)
					} else {
						y = nn.NewDepthwiseConv(b, in, c.residual).Forward(x, m)
					}
					if shape != c.wantShape {
						t.Errorf("shape %v, want %v", shape, c.wantShape)
					}
					return y
				},
				Naive: func(v numbersOf) []float64 { return convolved(v, c.cfg, m, c.wantShape, c.residual) },
			})
		})
	}
}

// convolved sums over the taps of each output pixel; without a kernel, of a 3x3
// depthwise convolution.
func convolved(v numbersOf, c nn.ConvConfig, m, shape op.Map, residual bool) []float64 {
	x, w, b := v["x"], v["weight"], v["bias"]
	depthwise := c.Kernel == 0
	if depthwise {
		c.In, c.Out, c.Kernel, c.Padding = 1, len(b), 3, 1
	}
	channels, stride, dilation := len(x)/m.Rows(), max(c.Stride, 1), max(c.Dilation, 1)
	var y []float64
	for p := range shape.Rows() {
		for o := range c.Out {
			var sum float64
			if b != nil {
				sum = b[o]
			}
			for i := range c.In {
				for k := range c.Kernel * c.Kernel {
					row := p%shape.Pixels()/shape.Width*stride + k/c.Kernel*dilation - c.Padding
					col := p%shape.Width*stride + k%c.Kernel*dilation - c.Padding
					if row < 0 || row >= m.Height || col < 0 || col >= m.Width {
						continue
					}
					from := i
					if depthwise {
						from = o
					}
					sum += w[(o*c.In+i)*c.Kernel*c.Kernel+k] * x[(p/shape.Pixels()*m.Pixels()+row*m.Width+col)*channels+from]
				}
			}
			if residual {
				sum += x[p*channels+o]
			}
			y = append(y, sum)
		}
	}
	return y
}

// Convolutions start with variance 2 / fan_out.
func TestConvInit(t *testing.T) {
	store := nn.NewStore(tensor.Float64)
	b := nn.NewBuilder(op.NewTape(tensor.Float64, false), store, nn.Options{Seed: 1})
	nn.NewDepthwiseConv(b.Sub("depthwise"), 4000, false)
	nn.NewConv2d(b.Sub("conv"), nn.ConvConfig{In: 20, Out: 50, Kernel: 7}, nn.ConvInit(7, 50, 1))
	for name, want := range map[string]float64{"depthwise.weight": 2.0 / 9, "conv.weight": 2.0 / (49 * 50)} {
		var squares float64
		for _, x := range store.Get(name).Float64s() {
			squares += x * x
		}
		if got := squares / float64(store.Get(name).Size()); math.Abs(got/want-1) > 0.05 {
			t.Errorf("%s has variance %.4g, want %.4g", name, got, want)
		}
	}
}

// Each name has random choices of its own: a second drop path drops other samples.
func TestDropPath(t *testing.T) {
	const batch, size = 64, 2
	zeros := func(names ...string) (n int) {
		store := nn.NewStore(tensor.Float64)
		tape := op.NewTape(tensor.Float64, true)
		step := tape.Input("step", tensor.New(tensor.WithShape(1), tensor.WithBacking([]int{7})))
		b := nn.NewBuilder(tape, store, nn.Options{Seed: 1, Step: step})
		x := op.Value(b.Weight("x", nn.Constant(1), batch, size).Use())
		for _, name := range names {
			x = b.DropPath(x, name, batch, 0.5)
		}
		runner(t, tape, x)()
		for _, v := range x.Value().(*tensor.Dense).Float64s() {
			if v == 0 {
				n++
			}
		}
		return n / size
	}
	if one, two := zeros("a"), zeros("a", "b"); one < 16 || one > 48 || two < one+8 || two == batch {
		t.Errorf("one drop path drops %d of %d samples, two of them %d; want about 32 and 48", one, batch, two)
	}
	if n := zeros(); n != 0 {
		t.Errorf("without drop path %d samples are dropped", n)
	}
}
