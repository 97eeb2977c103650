package attention

import (
	"fmt"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/op"
)

// Shapes: maps of B images, H by W pixels, C channels, [B*H*W, C]; n heads; r
// reduction; M window; channels C_g of the global group, C_1 and C_2 of the local
// groups, C_l = C_1 + C_2; a = C_i/n, the width of a local head.

// Pads are the ways to fill up a map that is no multiple of the windows.
var Pads = []string{"reflect", "replicate"}

// FaSAConfig describes a factorization self-attention.
type FaSAConfig struct {
	DModel    int    // C, a multiple of 16, or of 8 if Reduction is 1
	NHead     int    // n, divides C_1
	Reduction int    // r: side of the patches of the global group and dilation of the second local group
	Window    int    // M: side of the windows, so M² local keys
	Fusion    string // of op.Fusions: "mean" as in the paper, "reference" as in its code
	Pad       string // of Pads: of maps that are no multiple of the windows
	LocalOnly bool   // without the global group, whose channels the local ones share; C a multiple of 2n, or of n
	Bias      bool   // of the linear layers but the output's, which has one
	Init      nn.Init
}

// split is the parts of C: of the global group and of each local one, in units of
// C over their sum.
func (c FaSAConfig) split() (global, local, whole int) {
	switch {
	case c.LocalOnly && c.Reduction == 1:
		return 0, 1, 1
	case c.LocalOnly:
		return 0, 1, 2
	case c.Reduction == 1:
		return 1, 7, 8
	}
	return 2, 7, 16
}

// channels is the split of C: the global group, then the local groups with their
// dilations.
func (c FaSAConfig) channels() (global int, local []localGroup) {
	g, l, whole := c.split()
	unit := c.DModel / whole
	local = []localGroup{{channels: l * unit, dilation: 1}}
	if c.Reduction > 1 {
		local = append(local, localGroup{channels: l * unit, dilation: c.Reduction})
	}
	return g * unit, local
}

// localGroup is the shape of a local group.
type localGroup struct{ channels, dilation int }

// stride is the extent of a window, which is also where the next one starts.
func (g localGroup) stride(window int) int { return g.dilation*(window-1) + 1 }

// Check reports why maps of height by width pixels cannot be attended to, or
// channels not be split.
func (c FaSAConfig) Check(height, width int) error {
	_, _, whole := c.split()
	global, local := c.channels()
	switch {
	case c.DModel < whole || c.DModel%whole != 0:
		return fmt.Errorf("fasa: width %d with reduction %d; want a multiple of %d", c.DModel, c.Reduction, whole)
	case c.NHead < 1 || local[0].channels%c.NHead != 0:
		return fmt.Errorf("fasa: %d heads for a local group of %d channels (width %d less %d of the global group); want a divisor", c.NHead, local[0].channels, c.DModel, global)
	case c.Reduction < 1 || height%c.Reduction != 0 || width%c.Reduction != 0:
		return fmt.Errorf("fasa: reduction %d for a map of %dx%d pixels; want a divisor of both sides", c.Reduction, height, width)
	case c.Window < 1:
		return fmt.Errorf("fasa: window of %d pixels; want at least 1", c.Window)
	case !slices.Contains(op.Fusions, c.Fusion):
		return fmt.Errorf("fasa: fusion %q; want one of %s", c.Fusion, strings.Join(op.Fusions, ", "))
	case !slices.Contains(Pads, c.Pad):
		return fmt.Errorf("fasa: pad %q; want one of %s", c.Pad, strings.Join(Pads, ", "))
	}
	for _, g := range local {
		if _, err := c.windows(g, height, width); err != nil {
			return err
		}
	}
	return nil
}

// windows is the table of a local group's windows over a padded map.
func (c FaSAConfig) windows(g localGroup, height, width int) ([]int32, error) {
	stride := g.stride(c.Window)
	up := func(n int) int { return (n + stride - 1) / stride * stride }
	table, err := op.PadTable(c.Pad, height, width, up(height), up(width))
	if err != nil {
		return nil, fmt.Errorf("fasa: windows of %d pixels, dilation %d, extend over %d: %w; want pad = \"replicate\", a smaller window or a smaller reduction", c.Window, g.dilation, stride, err)
	}
	return op.Compose(table, op.UnfoldTable(up(height), up(width), c.Window, stride, g.dilation)), nil
}

// KeySets are the groups: the global one, which has that many keys, then the local
// ones.
func (c FaSAConfig) KeySets(globalKeys int) []op.KeySet {
	global, local := c.channels()
	var sets []op.KeySet
	if global > 0 {
		sets = append(sets, op.KeySet{Keys: globalKeys, Heads: 1, HeadDim: global})
	}
	at, perHead := 0, (c.DModel-global)/c.NHead
	for _, g := range local {
		sets = append(sets, op.KeySet{
			Keys: c.Window * c.Window, Heads: c.NHead, HeadDim: g.channels / c.NHead,
			Query: global + at/c.NHead, QueryStride: perHead, Out: global + at,
		})
		at += g.channels
	}
	return sets
}

// Parameters is the number of values of a layer with biases (C² + C for the
// queries and the output; 2 C_g² + 2 C_g, r² C_g² + C_g, 2 C_g and 10 C_g for the
// global group; 10 C_l + C_l² + C_l; and 3 a² + 3 a + 10 C_i for a local group).
func (c FaSAConfig) Parameters() int {
	g, local := c.channels()
	l := c.DModel - g
	n := 2*(c.DModel*c.DModel+c.DModel) + 2*g*g + 2*g + c.Reduction*c.Reduction*g*g + g + 2*g + 10*g + 10*l + l*l + l // those of g are 0 without it
	for _, group := range local {
		a := group.channels / c.NHead
		n += 3*a*a + 3*a + 10*group.channels
	}
	return n
}

// AttentionMACs is the number of multiply-adds of the products of queries with
// keys and of probabilities with values, for one image.
func (c FaSAConfig) AttentionMACs(height, width int) int {
	g, local := c.channels()
	n := height * width
	macs := 2 * n * (n / (c.Reduction * c.Reduction)) * g
	for _, group := range local {
		macs += 2 * n * c.Window * c.Window * group.channels
	}
	return macs
}

// MACs is the number of multiply-adds of the whole layer for one image.
func (c FaSAConfig) MACs(height, width int) int {
	g, local := c.channels()
	l, n := c.DModel-g, height*width
	keys := n / (c.Reduction * c.Reduction)
	macs := 2*n*c.DModel*c.DModel + n*(9*l+l*l) + n*g*g + keys*(2*g*g+9*g) // queries and output, separable convolution, patches, global keys
	for _, group := range local {
		a := group.channels / c.NHead
		macs += c.Window * c.Window * (c.NHead*3*a*a + 9*group.channels)
	}
	return macs + c.AttentionMACs(height, width)
}

// FaSA is factorization self-attention (Qin et al., "Factorization Vision
// Transformer", arXiv 2312.08614): parts of the channels attend to small sets of
// keys, each of which stands for the whole image at a granularity of its own.
//
//	q = x W_q + b_q
//	global: k, v = split(LN(conv_r(x[:, :C_g])) W_kv + b); v += DW3x3(v)
//	local:  kv = PW1x1(DW3x3(x[:, C_g:]));
//	        kv_i = fusion of the MxM windows of kv's C_i channels, dilation 1 or r
//	        k_i, v_i = split(FC(kv_i) W_i + b_i), by heads of width a; v_i += DW3x3(v_i)
//	y = concat(softmax(q_i k_iᵀ / sqrt(width)) v_i) W_o + b_o
//
// The global group has one head of width C_g and HW/r² keys, a local group n
// heads and M² keys. conv_r has kernel and stride r. The queries' first C_g
// columns are global; the others are n heads, each with its a columns of the
// first local group before those of the second. The layers on local keys are
// shared by the heads. With r = 1 there is no second local group. LocalOnly leaves
// the global group out, whose cost alone grows faster than the map.
//
// Names are those of the authors' code, so that its checkpoints would fit, but
// that kv_l.point_conv.weight is a matrix here; see Parameters for the count.
type FaSA struct {
	cfg FaSAConfig
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

// NewFaSA names, shapes and initialises the parameters. Linear layers start from
// cfg.Init, convolutions from nn.ConvInit. The config is one that Check accepts.
func NewFaSA(b *nn.Builder, cfg FaSAConfig) *FaSA {
	global, groups := cfg.channels()
	rest := cfg.DModel - global
	l := &FaSA{
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
func (l *FaSA) Forward(x *G.Node, m op.Map) *G.Node {
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
	sets := l.cfg.KeySets(keys)
	l.b.Tap("q", q)
	for i := range sets {
		l.b.Tap(fmt.Sprintf("k.%d", i), kv[2*i])
	}
	return l.out.Forward(op.SetAttention(t, q, m.Batch, sets, kv...))
}

// globalKeys maps x [B*H*W, C_g] to keys and values [B*HW/r², C_g], and tells
// their number for an image.
func (l *FaSA) globalKeys(x *G.Node, m op.Map) (k, v *G.Node, keys int) {
	t, width := l.b.Tape, x.Shape()[1]
	x, small := l.reduce.Forward(x, m)
	kv := l.kv.Forward(l.norm.Forward(x)) // [B*HW/r², 2 C_g]
	v = l.globalValues.Forward(op.Columns(t, kv, width, 2*width), small)
	return op.Columns(t, kv, 0, width), v, small.Pixels()
}

// localKeys maps the C_i columns of x [B*H*W, C_l] from the given one on to keys
// and values [B*M², C_i].
func (l *FaSA) localKeys(g localLayers, x *G.Node, from int, m op.Map) (k, v *G.Node) {
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
