package favit

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B images of H by W pixels, C channels; maps are [B*H*W, C].

// Pool implements model.Viewer: the mean over the last stage's map, the site features.
func (c Body) Pool(g *model.Graph, p model.Picture) *G.Node {
	pixels := g.Floats("pixels", g.Shape.Rows*p.Height*p.Width, p.Channels)
	x := op.MeanTokens(g.Tape, c.maps(g, pixels, p), g.Shape.Rows) // [B, C]
	g.Tap("features", x)
	return x
}

// Head implements model.Viewer.
func (c Body) Head(g *model.Graph, x *G.Node, outputs int) *G.Node {
	return nn.NewHead(g.Sub("head"), x.Shape()[1], outputs, true, linearInit).Forward(x)
}

// maps are the last stage's, [B*H*W, C], of pixels.
func (c Body) maps(g *model.Graph, pixels *G.Node, p model.Picture) *G.Node {
	v := newNetwork(g.Builder, c.Config, model.Dims{ImageSize: p.Height, Channels: p.Channels})
	v.recompute = c.CheckpointActivations && g.Mode != model.Calibrate
	return v.tokens(pixels, g.Shape.Rows)
}

// network are the layers below the head.
type network struct {
	b         *nn.Builder
	dims      model.Dims
	stages    []layers
	recompute bool
}

// Stages implements model.Staged.
func (c Config) Stages() []model.Stage {
	var names []model.Stage
	for i, depth := range c.Resolved().Depths {
		names = append(names, model.Stage{
			Parameters: []string{fmt.Sprintf("patch_embed%d.", i+1), fmt.Sprintf("block%d.", i+1), fmt.Sprintf("norm%d.", i+1)},
			Output:     fmt.Sprintf("block%d.%d.output", i+1, depth-1),
		})
	}
	return names
}

// layers are the layers of one stage.
type layers struct {
	b      *nn.Builder // of the stage's norm
	embed  *nn.Conv2d
	first  *nn.Norm // of the embedding
	blocks []*block
	norm   *nn.Norm
}

// block is x + attention(norm(x)), then x + mlp(norm(x)).
type block struct {
	b            *nn.Builder
	dropPath     float64
	norm1, norm2 *nn.Norm
	attn         attention.MapAttention
	fc1, fc2     nn.Linear
	dwconv       *nn.DepthwiseConv
}

// What is added to the variance in norms: of blocks and stages, of patch embeddings.
const (
	normEps  = 1e-6
	patchEps = 1e-5
)

// newNetwork names, shapes and initialises the parameters: linear weights from a
// normal distribution with deviation 0.02, convolutions from nn.ConvInit. The
// config is one that Check accepts.
func newNetwork(b *nn.Builder, cfg Config, dims model.Dims) *network {
	v := &network{b: b, dims: dims}
	stages := cfg.stages(dims)
	last := stages[len(stages)-1]
	blocks := last.blockNo + last.depth
	for i, s := range stages {
		embed, block, norm := b.Sub(fmt.Sprintf("patch_embed%d", i+1)), b.Sub(fmt.Sprintf("block%d", i+1)), b.Sub(fmt.Sprintf("norm%d", i+1))
		l := layers{
			b: norm,
			embed: nn.NewConv2d(embed.Sub("proj"), nn.ConvConfig{In: s.in, Out: s.width, Kernel: s.kernel, Stride: s.stride, Padding: s.kernel / 2, Bias: true},
				nn.ConvInit(s.kernel, s.width, 1)),
			first: nn.NewNorm(embed.Sub("norm"), "layer_norm", s.width, patchEps),
		}
		for j := range s.depth {
			// Drop path grows by the same step from block to block, from 0 on.
			drop := cfg.DropPath * float64(s.blockNo+j) / float64(max(blocks-1, 1))
			l.blocks = append(l.blocks, newBlock(block.Sub(fmt.Sprint(j)), cfg, s, j, drop))
		}
		l.norm = nn.NewNorm(norm, "layer_norm", s.width, normEps)
		v.stages = append(v.stages, l)
	}
	return v
}

func newBlock(b *nn.Builder, cfg Config, s stage, number int, dropPath float64) *block {
	l := &block{b: b, dropPath: dropPath, norm1: nn.NewNorm(b.Sub("norm1"), "layer_norm", s.width, normEps)}
	l.attn = newAttention(b.Sub("attn"), cfg, s, number)
	l.norm2 = nn.NewNorm(b.Sub("norm2"), "layer_norm", s.width, normEps)
	mlp := b.Sub("mlp")
	l.fc1 = nn.NewLinear(mlp.Sub("fc1"), s.width, s.hidden, true, linearInit)
	l.dwconv = nn.NewDepthwiseConv(mlp.Sub("dwconv.dwconv"), s.hidden, false)
	l.fc2 = nn.NewLinear(mlp.Sub("fc2"), s.hidden, s.width, true, linearInit)
	return l
}

// newAttention is the attention of a stage's block of that number.
func newAttention(b *nn.Builder, cfg Config, s stage, number int) attention.MapAttention {
	l := s.layer
	l.Block = number
	return cfg.Attention.Of.New(b, l, s.side, s.side)
}

// FirstAttention is the attention of the network's first block alone, to be
// measured: a layer over maps m of that width, [B*H*W, C] to the same. The config
// is one that Check accepts.
func (c Config) FirstAttention(b *nn.Builder, dims model.Dims, batch int) (forward func(x *G.Node, m op.Map) *G.Node, m op.Map, width int) {
	s := c.stages(dims)[0]
	return newAttention(b, c, s, 0).Forward, op.Map{Batch: batch, Height: s.side, Width: s.side}, s.width
}

// tokens maps images [B*H*W, channels] to the last stage's maps.
func (v *network) tokens(x *G.Node, batch int) *G.Node {
	m := op.Map{Batch: batch, Height: v.dims.ImageSize, Width: v.dims.ImageSize}
	for _, s := range v.stages {
		x, m = s.embed.Forward(x, m) // [B*H*W, C]
		x = s.first.Forward(x)
		shape := m // forward may be called once more, after the last stage
		for _, l := range s.blocks {
			forward := func(x *G.Node) *G.Node { return l.forward(x, shape) }
			if v.recompute {
				x = op.Checkpoint(v.b.Tape, x, forward)
			} else {
				x = forward(x)
			}
			x = l.b.Site("output", x)
		}
		x = s.norm.Forward(x)
		s.b.Tap("output", x)
	}
	return x
}

func (l *block) forward(x *G.Node, m op.Map) *G.Node {
	t := l.b.Tape
	a := l.attn.Forward(l.norm1.Forward(x), m)
	a = l.b.Site("attn", a)
	x = op.Add(t, x, l.b.DropPath(a, "attn", m.Batch, l.dropPath))
	h := l.dwconv.Activated(t, l.fc1.Forward(l.norm2.Forward(x)), m, "gelu") // [B*H*W, ratio C]
	h = l.fc2.Forward(h)
	h = l.b.Site("mlp", h)
	return op.Add(t, x, l.b.DropPath(h, "mlp", m.Batch, l.dropPath))
}
