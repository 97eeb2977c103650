package vit

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B images of H by W pixels, C channels, cut into N patches; T = N + 1 tokens, D model width.

// Pool implements model.Viewer: the state of the class token, the site features.
func (c Body) Pool(g *model.Graph, p model.Picture) *G.Node {
	return c.pool(g, p, g.Floats("pixels", g.Shape.Rows*p.Height*p.Width, p.Channels))
}

func (c Body) pool(g *model.Graph, p model.Picture, pixels *G.Node) *G.Node {
	v := newNetwork(g, c, p)
	x := v.forward(v.embed(pixels))
	first := make([]int, g.Shape.Rows)
	for i := range first {
		first[i] = i * v.tokens
	}
	x = v.norm.Forward(op.Rows(g.Tape, x, g.Constant("first", first))) // [B, D]
	g.Tap("features", x)
	return x
}

// Head implements model.Viewer.
func (c Body) Head(g *model.Graph, x *G.Node, outputs int) *G.Node {
	return nn.NewHead(g.Sub("classifier"), c.DModel, outputs, true, nn.Normal(c.InitStd)).Forward(x)
}

// network are the layers below the head.
type network struct {
	cfg        Body
	g          *model.Graph
	picture    model.Picture
	tokens     int // of an image
	patches    *nn.Conv2d
	class, pos nn.Weight
	blocks     []*block
	norm       *nn.Norm
}

// block is x + attention(norm(x)), then x + mlp(norm(x)).
type block struct {
	cfg           Body
	b             *nn.Builder
	drop          float64
	before, after *nn.Norm
	attn          attention.Attention
	up, down      nn.Linear
}

// newNetwork names, shapes and initialises the parameters: all weights start from a normal distribution with deviation InitStd, the
// class token too.
func newNetwork(g *model.Graph, cfg Body, p model.Picture) *network {
	init, embed := nn.Normal(cfg.InitStd), g.Sub("vit.embeddings")
	v := &network{cfg: cfg, g: g, picture: p, tokens: cfg.Config.tokens(p.Height)}
	v.patches = nn.NewConv2d(embed.Sub("patch_embeddings.projection"), nn.ConvConfig{In: p.Channels, Out: cfg.DModel, Kernel: cfg.Patch, Stride: cfg.Patch, Bias: true}, init)
	v.class = embed.Weight("cls_token", init, 1, cfg.DModel)
	v.pos = embed.Weight("position_embeddings", init, v.tokens, cfg.DModel)
	for i := range cfg.NLayer {
		// Drop path grows by the same step from block to block, from 0 on.
		drop := cfg.DropPath * float64(i) / float64(max(cfg.NLayer-1, 1))
		v.blocks = append(v.blocks, newBlock(g.Sub(fmt.Sprintf("vit.encoder.layer.%d", i)), cfg, drop))
	}
	v.norm = nn.NewNorm(g.Sub("vit.layernorm"), "layer_norm", cfg.DModel, cfg.NormEps)
	return v
}

func newBlock(b *nn.Builder, cfg Body, drop float64) *block {
	init, d := nn.Normal(cfg.InitStd), cfg.DModel
	return &block{
		cfg: cfg, b: b, drop: drop,
		before: nn.NewNorm(b.Sub("layernorm_before"), "layer_norm", d, cfg.NormEps),
		attn:   attention.New(b.Sub("attention"), attention.LayerConfig{Config: cfg.Attention, DModel: d, Eps: cfg.NormEps, Init: init, OutInit: init}),
		after:  nn.NewNorm(b.Sub("layernorm_after"), "layer_norm", d, cfg.NormEps),
		up:     nn.NewLinear(b.Sub("intermediate.dense"), d, cfg.HiddenWidth(), true, init),
		down:   nn.NewLinear(b.Sub("output.dense"), cfg.HiddenWidth(), d, true, init),
	}
}

// embed maps pixels [B*H*W, C] to tokens [B*T, D]: of each image the class token, then its patches, row by row, each plus the vector
// of its place (Dosovitskiy et al. 2021, equation 1).
func (v *network) embed(pixels *G.Node) *G.Node {
	t, batch := v.g.Tape, v.g.Shape.Rows
	x, _ := v.patches.Forward(pixels, op.Map{Batch: batch, Height: v.picture.Height, Width: v.picture.Width}) // [B*N, D]
	class := op.Embedding(v.g.Constant("class", make([]int, batch)), v.class.Use())                           // [B, D]
	first, rest, places := make([]int32, v.tokens), make([]int32, v.tokens), make([]int, batch*v.tokens)
	for i := range v.tokens { // a negative entry is a row of zeros
		first[i], rest[i] = -int32(min(i, 1)), int32(i)-1
	}
	for i := range places {
		places[i] = i % v.tokens
	}
	x = op.Add(t, op.Gather(t, x, batch, rest), op.Gather(t, class, batch, first)) // [B*T, D]
	x = op.Add(t, x, op.Embedding(v.g.Constant("places", places), v.pos.Use()))
	return v.g.Sub("vit.embeddings").Dropout(x, "embed", v.cfg.Dropout)
}

// forward maps tokens [B*T, D] through the blocks.
func (v *network) forward(x *G.Node) *G.Node {
	seq := nn.SeqInfo{Batch: v.g.Shape.Rows, SeqLen: v.tokens}
	recompute := v.cfg.CheckpointActivations && v.g.Mode != model.Calibrate
	for i, l := range v.blocks {
		forward := func(x *G.Node) *G.Node { return l.forward(x, seq, i) }
		if recompute {
			x = op.Checkpoint(v.g.Tape, x, forward)
		} else {
			x = forward(x)
		}
		x = l.b.Site("output", x)
	}
	return x
}

func (l *block) forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	t := l.b.Tape
	branch := func(x, y *G.Node, name string) *G.Node {
		return op.Add(t, x, l.b.DropPath(l.b.Dropout(y, name, l.cfg.Dropout), name, seq.Batch, l.drop))
	}
	x = branch(x, l.attn.Forward(l.before.Forward(x), seq, layer), "attention")
	y := op.Activation(t, l.cfg.MLP, l.up.Forward(l.after.Forward(x))) // [B*T, DFF]
	return branch(x, l.down.Forward(y), "mlp")
}
