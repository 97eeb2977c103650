package nn

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// Shapes: maps are [B*H*W, C], see op.Map.

// ConvConfig describes a convolution with square kernels.
type ConvConfig struct {
	In, Out  int // channels
	Kernel   int // side, pixels
	Stride   int // pixels; 0: 1
	Padding  int // lines of zeros around a map
	Dilation int // pixels from a tap to the next; 0: 1
	Bias     bool
}

// Conv2d is a convolution of maps; see op.Conv2d.
//
// Parameters: weight [Out, In, Kernel, Kernel], as in PyTorch, and bias [Out].
type Conv2d struct {
	cfg    ConvConfig
	weight Weight
	bias   *Weight
}

// NewConv2d names, shapes and initialises the parameters; the bias starts at zero.
func NewConv2d(b *Builder, cfg ConvConfig, init Init) *Conv2d {
	l := &Conv2d{cfg: cfg, weight: b.Weight("weight", init, cfg.Out, cfg.In, cfg.Kernel, cfg.Kernel)}
	if cfg.Bias {
		bias := b.Steady("bias", Constant(0), cfg.Out)
		l.bias = &bias
	}
	return l
}

// ConvInit is the normal distribution with variance 2 / fan_out, where
// fan_out = kernel² * out / groups (He et al. 2015, section 2.2, backward case).
func ConvInit(kernel, out, groups int) Init {
	return Normal(math.Sqrt(2 / (float64(kernel*kernel) * float64(out) / float64(groups))))
}

// Forward maps x of shape m to the convolution and its shape.
func (l *Conv2d) Forward(x *G.Node, m op.Map) (*G.Node, op.Map) {
	s := op.ConvShape{Map: m, Kernel: l.cfg.Kernel, Stride: l.cfg.Stride, Padding: l.cfg.Padding, Dilation: l.cfg.Dilation}
	return op.Conv2d(x, l.weight.Use(), l.bias.use(), s), s.Out()
}

// DepthwiseConv convolves each channel with a 3x3 kernel of its own, with zeros
// around the map; see op.DepthwiseConv.
//
// Parameters: weight [C, 1, 3, 3], as in PyTorch, and bias [C]: 10 C values.
type DepthwiseConv struct {
	weight, bias Weight
	residual     bool
}

// NewDepthwiseConv makes the convolution of maps with the given number of
// channels; with residual, the layer is x plus it. Weights start from ConvInit,
// the bias at zero.
func NewDepthwiseConv(b *Builder, channels int, residual bool) *DepthwiseConv {
	return &DepthwiseConv{b.Weight("weight", ConvInit(3, channels, channels), channels, 1, 3, 3), b.Steady("bias", Constant(0), channels), residual}
}

// Forward maps x of shape m to the same shape.
func (l *DepthwiseConv) Forward(x *G.Node, m op.Map) *G.Node {
	return op.DepthwiseConv(x, l.weight.Use(), l.bias.Use(), op.DepthwiseShape{Map: m, Residual: l.residual})
}

// Activated is Forward, then an activation of op.Activation: in one operator where
// no gradient asks for what is between them.
func (l *DepthwiseConv) Activated(t *op.Tape, x *G.Node, m op.Map, kind string) *G.Node {
	if t.Training() {
		return op.Activation(t, kind, l.Forward(x, m))
	}
	return op.DepthwiseConv(x, l.weight.Use(), l.bias.Use(), op.DepthwiseShape{Map: m, Residual: l.residual, Activation: kind})
}
