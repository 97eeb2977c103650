package denoiser

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B pictures of H by W pixels; tokens [B*h*w, C] of patches of P pixels a side; levels [B, L].

// Variance is that of clean pictures, whose values are from -1 to 1.
const Variance = 0.25

// frequencies are those of a level's sine and cosine.
const frequencies = 16

// zero starts what must change nothing at first.
var zero = nn.Constant(0)

// normEps is added to the variance in norms.
const normEps = 1e-6

// Network tells noise from pictures: the leaves are pixels [B*H*W, 1], noisy and scaled by [Scale], and levels [B, 32], see [Levels];
// the output noise [B*H*W, 1] is what the linear guess lacks. Its loss is the squared error to the leaf truth [B*H*W], the sum over
// pixels whose target is not op.Ignored.
type Network struct {
	Body Body
	Side int // of training's pictures
}

// Levels writes what the network is told of a deviation: sines, then cosines, of log(sigma)/4 times 16 frequencies from 1 to 100.
func Levels(dst []float32, sigma float64) {
	x := math.Log(sigma) / 4
	for i := range frequencies {
		f := math.Pow(100, float64(i)/(frequencies-1))
		dst[i], dst[frequencies+i] = float32(math.Sin(f*x)), float32(math.Cos(f*x))
	}
}

// LevelWidth is how many values a level has.
const LevelWidth = 2 * frequencies

// Scale brings a noisy picture to variance 1.
func Scale(sigma float64) float64 { return 1 / math.Sqrt(sigma*sigma+Variance) }

// Linear is the share of a noisy picture that is noise by the best linear guess: sigma/(sigma²+v) in units of the deviation.
func Linear(sigma float64) float64 { return sigma / (sigma*sigma + Variance) }

// Build implements model.Network.
func (n Network) Build(g *model.Graph) error {
	c, s := n.Body.Config, g.Shape
	if s.Height%c.Stride() != 0 || s.Width%c.Stride() != 0 {
		return fmt.Errorf("model: denoiser: pictures of %d x %d pixels; want multiples of %d", s.Height, s.Width, c.Stride())
	}
	m := op.Map{Batch: s.Rows, Height: s.Height / c.Patch, Width: s.Width / c.Patch}
	if err := c.check(m.Height, m.Width); err != nil {
		return err
	}
	t := g.Tape
	pixels := g.Floats("pixels", s.Rows*s.Height*s.Width, 1)
	level := level(g.Builder.Sub("level"), c, g.Floats("levels", s.Rows, LevelWidth)) // [B, C]
	table, back := patches(s.Height, s.Width, c.Patch)
	x := op.Gather(t, pixels, s.Rows, table)        // [B*h*w*P², 1]
	x = op.Reshape(t, x, m.Rows(), c.Patch*c.Patch) // [B*h*w, P²]
	x = nn.NewLinear(g.Sub("embed"), c.Patch*c.Patch, c.DModel, true, nn.Normal(0.5/float64(c.Patch))).Forward(x)
	for i := range c.NLayer {
		x = newBlock(g.Sub(fmt.Sprintf("block.%d", i)), c, i, m).forward(x, level, m)
	}
	x = adaptive(g.Sub("out"), c.DModel, 2, x, level)[0]
	x = nn.NewLinear(g.Sub("out.proj"), c.DModel, c.Patch*c.Patch, true, zero).Forward(x) // [B*h*w, P²]
	x = op.Reshape(t, x, s.Rows*s.Height*s.Width, 1)
	x = op.Gather(t, x, s.Rows, back) // [B*H*W, 1]
	g.Output("noise", x)
	if g.Mode == model.Infer {
		return nil
	}
	rows := x.Shape()[0]
	targets, truth := g.Ints("targets", rows), g.Floats("truth", rows)
	g.Loss(func() *G.Node { return op.SquaredError(t, x, truth, targets) })
	return nil
}

// Least implements model.Network.
func (n Network) Least() model.Shape {
	return model.Shape{Rows: 1, Height: n.Body.Stride(), Width: n.Body.Stride()}
}

// level is the MLP of levels [B, L] -> [B, C], which ends in the activation that all adaptive layers begin with.
func level(b *nn.Builder, c Config, x *G.Node) *G.Node {
	t := b.Tape
	x = op.Activation(t, "silu", nn.NewLinear(b.Sub("fc1"), LevelWidth, c.DModel, true, nn.Normal(1/math.Sqrt(LevelWidth))).Forward(x))
	x = nn.NewLinear(b.Sub("fc2"), c.DModel, c.DModel, true, nn.Normal(1/math.Sqrt(float64(c.DModel)))).Forward(x)
	return op.Activation(t, "silu", x)
}

// patches are the pixel of each place of each patch, patch by patch, and the place of each pixel.
func patches(height, width, side int) (table, back []int32) {
	back = make([]int32, height*width)
	for top := 0; top < height; top += side {
		for left := 0; left < width; left += side {
			for i := range side * side {
				p := (top+i/side)*width + left + i%side
				back[p] = int32(len(table))
				table = append(table, int32(p))
			}
		}
	}
	return table, back
}

// adaptive is the norm of x [N, C] with scale and shift by the level [B, C], and what else the level says, [B, C] each: parts in all.
// All start at zero.
func adaptive(b *nn.Builder, width, parts int, x, level *G.Node) []*G.Node {
	t := b.Tape
	all := nn.NewLinear(b.Sub("level"), width, parts*width, true, zero).Forward(level) // [B, parts*C]
	column := func(i int) *G.Node { return op.Columns(t, all, i*width, (i+1)*width) }
	out := []*G.Node{op.Modulate(t, nn.NewNorm(b.Sub("norm"), "layer_norm", width, normEps).Forward(x), column(0), column(1))}
	for i := 2; i < parts; i++ {
		out = append(out, column(i))
	}
	return out
}

// block is attention and an MLP.
type block struct {
	b        *nn.Builder
	width    int
	attn     attention.MapAttention
	fc1, fc2 nn.Linear
	dwconv   *nn.DepthwiseConv
}

func newBlock(b *nn.Builder, c Config, number int, m op.Map) *block {
	mlp := b.Sub("mlp")
	return &block{
		b: b, width: c.DModel, attn: c.Attention.Of.New(b.Sub("attn"), c.layer(number), m.Height, m.Width),
		fc1: nn.NewLinear(mlp.Sub("fc1"), c.DModel, c.hidden(), true, nn.Normal(1/math.Sqrt(float64(c.DModel)))), dwconv: nn.NewDepthwiseConv(mlp.Sub("dwconv"), c.hidden(), false),
		fc2: nn.NewLinear(mlp.Sub("fc2"), c.hidden(), c.DModel, true, nn.Normal(1/math.Sqrt(float64(c.hidden())))),
	}
}

func (l *block) forward(x, level *G.Node, m op.Map) *G.Node {
	t := l.b.Tape
	a := adaptive(l.b.Sub("adaptive1"), l.width, 3, x, level)
	x = op.Add(t, x, op.GateRows(t, l.attn.Forward(a[0], m), a[1]))
	h := adaptive(l.b.Sub("adaptive2"), l.width, 3, x, level)
	y := l.dwconv.Activated(t, l.fc1.Forward(h[0]), m, "gelu") // [B*h*w, F]
	return op.Add(t, x, op.GateRows(t, l.fc2.Forward(y), h[1]))
}
