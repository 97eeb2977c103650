package attention

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/op"
)

// Shapes: maps of B images, H by W pixels, C channels, [B*H*W, C]; n heads; r
// reduction; M window; channels C_g of the global group, C_1 and C_2 of the local
// groups, C_l = C_1 + C_2; a = C_i/n, the width of a local head.

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
// shared by the heads. With r = 1 there is no second local group. Groups = "local"
// leaves the global group out, whose cost alone grows faster than the map; the local
// ones share its channels. C is a multiple of 16, or of 8 if r = 1; n divides C_1.
//
// Names are those of the authors' code, so that its checkpoints would fit, but
// that kv_l.point_conv.weight is a matrix here; see Shape for the count.
type FaSA struct {
	Fusion string `toml:"fusion" doc:"how windows are averaged: as the paper says, or as its code does" choices:"mean|reference"`
	Groups string `toml:"groups" doc:"channels that attend: all, or without the global group, to see what it gives and takes" choices:"all|local"`
	Pad    string `toml:"pad" doc:"how maps that are not a multiple of the windows are filled up: as the code does, or by the edge" choices:"reflect|replicate"`
}

// pads are the ways to fill up a map that is no multiple of the windows.
var pads = []string{"reflect", "replicate"}

// DefaultFaSA is the paper's, with maps filled up as its code does.
func DefaultFaSA() FaSA { return FaSA{Fusion: "mean", Groups: "all", Pad: "reflect"} }

// Validate implements Map.
func (FaSA) Validate(r *configs.Report) {
	r.OneOf("fusion", op.Fusions...)
	r.OneOf("groups")
	r.OneOf("pad", pads...)
}

// Check implements Map.
func (k FaSA) Check(l MapLayer, height, width int) error {
	return factorized{k, l}.check(height, width)
}

// Shape implements Map: C² + C for the queries and the output; 2 C_g² + 2 C_g, r² C_g² + C_g, 2 C_g and 10 C_g for the
// global group; 10 C_l + C_l² + C_l; and 3 a² + 3 a + 10 C_i for a local group.
func (k FaSA) Shape(l MapLayer, height, width int) MapShape {
	f := factorized{k, l}
	return MapShape{Parameters: f.parameters(), MACs: f.macs(height, width), Products: f.products(height, width)}
}

// KeyGroups implements Grouped.
func (k FaSA) KeyGroups(l MapLayer, height, width int) []KeyGroup {
	height, width = height/l.Reduction, width/l.Reduction
	names := []string{"global", "local", "dilated"}
	if k.Groups == "local" {
		names = names[1:]
	}
	var groups []KeyGroup
	for i, set := range (factorized{k, l}).keySets(height * width) {
		g := KeyGroup{Name: names[i], Set: set, Height: l.Window, Width: l.Window}
		if k.Groups == "all" && i == 0 {
			g.Height, g.Width, g.Whole = height, width, true
		}
		groups = append(groups, g)
	}
	return groups
}

// factorized is FaSA in a layer.
type factorized struct {
	FaSA
	MapLayer
}

// split is the parts of C: of the global group and of each local one, in units of
// C over their sum.
func (c factorized) split() (global, local, whole int) {
	switch {
	case c.Groups == "local" && c.Reduction == 1:
		return 0, 1, 1
	case c.Groups == "local":
		return 0, 1, 2
	case c.Reduction == 1:
		return 1, 7, 8
	}
	return 2, 7, 16
}

// channels is the split of C: the global group, then the local groups with their
// dilations.
func (c factorized) channels() (global int, local []localGroup) {
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

// check reports why maps of height by width pixels cannot be attended to, or
// channels not be split.
func (c factorized) check(height, width int) error {
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
	case !slices.Contains(pads, c.Pad):
		return fmt.Errorf("fasa: pad %q; want one of %s", c.Pad, strings.Join(pads, ", "))
	}
	for _, g := range local {
		if _, err := c.windows(g, height, width); err != nil {
			return err
		}
	}
	return nil
}

// windows is the table of a local group's windows over a padded map.
func (c factorized) windows(g localGroup, height, width int) ([]int32, error) {
	stride := g.stride(c.Window)
	up := func(n int) int { return (n + stride - 1) / stride * stride }
	table, err := op.PadTable(c.Pad, height, width, up(height), up(width))
	if err != nil {
		return nil, fmt.Errorf("fasa: windows of %d pixels, dilation %d, extend over %d: %w; want pad = \"replicate\", a smaller window or a smaller reduction", c.Window, g.dilation, stride, err)
	}
	return op.Compose(table, op.UnfoldTable(up(height), up(width), c.Window, stride, g.dilation)), nil
}

// keySets are the groups: the global one, which has that many keys, then the local
// ones.
func (c factorized) keySets(globalKeys int) []op.KeySet {
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

// parameters is the number of values of a layer with biases.
func (c factorized) parameters() int {
	g, local := c.channels()
	l := c.DModel - g
	n := 2*(c.DModel*c.DModel+c.DModel) + 2*g*g + 2*g + c.Reduction*c.Reduction*g*g + g + 2*g + 10*g + 10*l + l*l + l // those of g are 0 without it
	for _, group := range local {
		a := group.channels / c.NHead
		n += 3*a*a + 3*a + 10*group.channels
	}
	return n
}

// products is the number of multiply-adds of the products of queries with
// keys and of probabilities with values, for one image.
func (c factorized) products(height, width int) int {
	g, local := c.channels()
	n := height * width
	macs := 2 * n * (n / (c.Reduction * c.Reduction)) * g
	for _, group := range local {
		macs += 2 * n * c.Window * c.Window * group.channels
	}
	return macs
}

// macs is the number of multiply-adds of the whole layer for one image.
func (c factorized) macs(height, width int) int {
	g, local := c.channels()
	l, n := c.DModel-g, height*width
	keys := n / (c.Reduction * c.Reduction)
	macs := 2*n*c.DModel*c.DModel + n*(9*l+l*l) + n*g*g + keys*(2*g*g+9*g) // queries and output, separable convolution, patches, global keys
	for _, group := range local {
		a := group.channels / c.NHead
		macs += c.Window * c.Window * (c.NHead*3*a*a + 9*group.channels)
	}
	return macs + c.products(height, width)
}
