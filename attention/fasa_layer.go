package attention

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/op"
)

// Shapes are those of FaSA.

// fasa is the layer.
type fasa struct {
	cfg factorized
	b   *nn.Builder

	q, kv, point, out nn.Linear
	reduce            *nn.Conv2d
	norm              *nn.Norm
	globalValues      *nn.DepthwiseConv
	depth             *nn.DepthwiseConv
	local             []localLayers
}

// localLayers are the layers of one local group.
type localLayers struct {
	localGroup
	fc, kv nn.Linear
	values *nn.DepthwiseConv
}

// keyNormEps is added to the variance in the norm of the global keys.
const keyNormEps = 1e-5

// New implements Map. Linear layers start from l.Init, convolutions from nn.ConvInit.
func (k FaSA) New(b *nn.Builder, layer MapLayer, _, _ int) MapAttention {
	cfg := factorized{k, layer}
	global, groups := cfg.channels()
	rest := cfg.DModel - global
	l := &fasa{
		cfg: cfg, b: b,
		q:     nn.NewLinear(b.Sub("q"), cfg.DModel, cfg.DModel, cfg.Bias, cfg.Init),
		depth: nn.NewDepthwiseConv(b.Sub("kv_l.depth_conv"), rest, false),
		point: nn.NewLinear(b.Sub("kv_l.point_conv"), rest, rest, true, nn.ConvInit(1, rest, 1)),
	}
	if global > 0 {
		l.kv = nn.NewLinear(b.Sub("kv_g"), global, 2*global, cfg.Bias, cfg.Init)
		l.reduce = nn.NewConv2d(b.Sub("sr"), nn.ConvConfig{In: global, Out: global, Kernel: cfg.Reduction, Stride: cfg.Reduction, Bias: true}, nn.ConvInit(cfg.Reduction, global, 1))
		l.norm = nn.NewNorm(b.Sub("norm"), "layer_norm", global, keyNormEps)
		l.globalValues = nn.NewDepthwiseConv(b.Sub("local_conv_g"), global, true)
	}
	for i, g := range groups {
		a := g.channels / cfg.NHead
		l.local = append(l.local, localLayers{
			localGroup: g,
			fc:         nn.NewLinear(b.Sub(fmt.Sprintf("fcs.%d", i)), a, a, cfg.Bias, cfg.Init),
			kv:         nn.NewLinear(b.Sub(fmt.Sprintf("single_heads.%d", i)), a, 2*a, cfg.Bias, cfg.Init),
			values:     nn.NewDepthwiseConv(b.Sub(fmt.Sprintf("local_convs.%d", i)), g.channels, true),
		})
	}
	l.out = nn.NewLinear(b.Sub("proj"), cfg.DModel, cfg.DModel, true, cfg.Init)
	return l
}

// Forward maps x [B*H*W, C] to [B*H*W, C].
func (l *fasa) Forward(x *G.Node, m op.Map) *G.Node {
	t, c := l.b.Tape, l.cfg.DModel
	global, _ := l.cfg.channels()
	q := l.q.Forward(x)
	var kv []*G.Node
	keys, rest := 0, x
	if global > 0 {
		var k, v *G.Node
		k, v, keys = l.globalKeys(op.Columns(t, x, 0, global), m)
		kv = []*G.Node{k, v}
		rest = op.Columns(t, x, global, c)
	}
	local := l.point.Forward(l.depth.Forward(rest, m)) // [B*H*W, C_l]
	at := 0
	for _, g := range l.local {
		k, v := l.localKeys(g, local, at, m)
		kv = append(kv, k, v)
		at += g.channels
	}
	sets := l.cfg.keySets(keys)
	l.b.Tap("q", q)
	for i := range sets {
		l.b.Tap(fmt.Sprintf("k.%d", i), kv[2*i])
	}
	return l.out.Forward(op.SetAttention(t, q, m.Batch, sets, kv...))
}

// globalKeys maps x [B*H*W, C_g] to keys and values [B*HW/r², C_g], and tells
// their number for an image.
func (l *fasa) globalKeys(x *G.Node, m op.Map) (k, v *G.Node, keys int) {
	t, width := l.b.Tape, x.Shape()[1]
	x, small := l.reduce.Forward(x, m)
	kv := l.kv.Forward(l.norm.Forward(x)) // [B*HW/r², 2 C_g]
	v = l.globalValues.Forward(op.Columns(t, kv, width, 2*width), small)
	return op.Columns(t, kv, 0, width), v, small.Pixels()
}

// localKeys maps the C_i columns of x [B*H*W, C_l] from the given one on to keys
// and values [B*M², C_i].
func (l *fasa) localKeys(g localLayers, x *G.Node, from int, m op.Map) (k, v *G.Node) {
	t, window := l.b.Tape, op.Map{Batch: m.Batch, Height: l.cfg.Window, Width: l.cfg.Window}
	table, err := l.cfg.windows(g.localGroup, m.Height, m.Width)
	if err != nil {
		panic(&op.ShapeError{Op: "fasa", What: l.b.Name("x"), Got: x.Shape(), Want: "maps that Check accepts: " + err.Error()})
	}
	x = op.FuseWindows(t, x, op.FuseShape{Batch: m.Batch, Fusion: l.cfg.Fusion, Taps: window.Pixels(), Heads: l.cfg.NHead, From: from, To: from + g.channels, Table: table})
	a := g.channels / l.cfg.NHead
	heads := window.Rows() * l.cfg.NHead
	kv := g.kv.Forward(g.fc.Forward(op.Reshape(t, x, heads, a))) // [B*M²*n, 2 a]
	k = op.Reshape(t, op.Columns(t, kv, 0, a), window.Rows(), g.channels)
	v = op.Reshape(t, op.Columns(t, kv, a, 2*a), window.Rows(), g.channels)
	return k, g.values.Forward(v, window)
}
