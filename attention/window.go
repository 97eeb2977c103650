package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Window is multi-head attention within the windows of a map (Liu et al., "Swin
// Transformer", 2021, section 3.2): M by M pixels that do not overlap, by turns
// from one layer to the next shifted by M/2. A shifted window that reaches over
// the border takes the pixels of the opposite one, hidden from each other by a
// mask. Along a side no longer than a window nothing is shifted.
//
// Maps that are no multiple of the windows are filled up below and right with
// pixels that nobody sees; in Swin they are seen as zeros. There is no relative
// position bias, so that the layer differs from [FaSA] in its keys alone.
//
// Parameters: q, k, v and proj [C, C] with biases: 4 C² + 4 C.
type Window struct{}

// Validate implements Map.
func (Window) Validate(*configs.Report) {}

// Check implements Map.
func (Window) Check(l MapLayer, _, _ int) error { return l.checkHeads("window") }

// Shape implements Map.
func (Window) Shape(l MapLayer, height, width int) MapShape {
	n := windows{l}.products(height, width)
	return MapShape{
		Parameters: l.projections(),
		MACs:       n + n/(2*l.Window*l.Window)*4*l.DModel, // the projections see the filled-up map
		Products:   n,
	}
}

// New implements Map.
func (Window) New(b *nn.Builder, l MapLayer, _, _ int) MapAttention {
	linear := func(name string, bias bool) nn.Linear {
		return nn.NewLinear(b.Sub(name), l.DModel, l.DModel, bias, l.Init)
	}
	return &window{cfg: windows{l}, b: b, q: linear("q", l.Bias), k: linear("k", l.Bias), v: linear("v", l.Bias), proj: linear("proj", true)}
}

// windows are the windows of a layer.
type windows struct{ MapLayer }

// shifted reports whether they start M/2 pixels further down and right.
func (c windows) shifted() bool { return c.Block%2 == 1 }

// window is the layer.
type window struct {
	cfg           windows
	b             *nn.Builder
	q, k, v, proj nn.Linear
}

// Forward maps x [B*H*W, C] to [B*H*W, C].
func (l *window) Forward(x *G.Node, m op.Map) *G.Node {
	t := l.b.Tape
	p := l.cfg.partition(m.Height, m.Width)
	x = op.Gather(t, x, m.Batch, p.table) // [B*windows*M², C]
	q, k, v := l.q.Forward(x), l.k.Forward(x), l.v.Forward(x)
	pixels := l.cfg.Window * l.cfg.Window
	set := op.KeySet{Keys: pixels, Heads: l.cfg.NHead, HeadDim: l.cfg.DModel / l.cfg.NHead, Regions: p.regions}
	y := op.SetAttention(t, q, m.Batch*len(p.table)/pixels, []op.KeySet{set}, k, v)
	return op.Gather(t, l.proj.Forward(y), m.Batch, p.back) // [B*H*W, C]
}

// partition says how a map is cut into windows.
type partition struct {
	table   []int32 // the pixel of each place of each window; -1: none
	regions []int32 // of each place, where not all see one another; else nil
	back    []int32 // the place of each pixel
}

func (c windows) partition(height, width int) partition {
	up := func(n int) int { return (n + c.Window - 1) / c.Window * c.Window }
	tall, wide, down, right := up(height), up(width), 0, 0
	if c.shifted() && tall > c.Window {
		down = c.Window / 2
	}
	if c.shifted() && wide > c.Window {
		right = c.Window / 2
	}
	p := partition{back: make([]int32, height*width)}
	masked := false
	for top := 0; top < tall; top += c.Window {
		for left := 0; left < wide; left += c.Window {
			for i := range c.Window * c.Window {
				y, x := top+i/c.Window+down, left+i%c.Window+right
				var region int32 // which borders the pixel lies beyond
				if y >= tall {
					y, region = y-tall, 2
				}
				if x >= wide {
					x, region = x-wide, region+1
				}
				at := int32(-1)
				if y < height && x < width {
					at = int32(y*width + x)
					p.back[at] = int32(len(p.table))
				} else {
					region = -1
				}
				masked = masked || region != 0
				p.table, p.regions = append(p.table, at), append(p.regions, region)
			}
		}
	}
	if !masked {
		p.regions = nil
	}
	return p
}

// products is the number of multiply-adds of the products of queries with
// keys and of probabilities with values, for one image: 2 N M² C.
func (c windows) products(height, width int) int {
	return 2 * len(c.partition(height, width).table) * c.Window * c.Window * c.DModel
}
