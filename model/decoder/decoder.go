package decoder

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B sequences, T tokens each, D model width, V vocabulary.

// decoder is a causal body: pre-norm blocks of attention and MLP around a residual
// stream (Touvron et al. 2023; Radford et al. 2019). Names are those of Hugging
// Face's LLaMA.
type decoder struct {
	cfg       Config
	b         *nn.Builder
	embed     *nn.Embedding
	positions *nn.Embedding // nil: rotary
	blocks    []*block
	norm      *nn.Norm
	head      nn.Linear // nil: tied to embed
	recompute bool      // keep only each block's input for the backward pass
}

// block is x + attention(norm(x)), then x + mlp(norm(x)).
type block struct {
	b                   *nn.Builder
	layer               int
	dropout             float64
	inputNorm, postNorm *nn.Norm
	attn                attention.Attention
	mlp                 *nn.MLP
}

// Causal implements model.Sequence.
func (Config) Causal() bool { return true }

// States implements model.Sequence. In Infer its leaves are also slots, past and fresh [B]:
// which of the caches' sequences a row goes on with, how many tokens of that are in
// the caches, and how many of the row count.
func (c Config) States(g *model.Graph, text model.Text) (x *G.Node, scores func(x *G.Node) *G.Node) {
	length := g.Shape.Length // of the positions that are needed, however long the context is
	seq := nn.SeqInfo{Batch: g.Shape.Rows, SeqLen: g.Shape.Length}
	if g.Mode == model.Infer {
		if length = g.Capacity(); c.Positions == "learned" && length > text.Length {
			g.Refuse("%d tokens; learned positions end at %d: ask for fewer tokens or shorten the prompt", length, text.Length)
		}
		seq.Cache = &nn.SeqCache{
			Layers: c.caches(g), Slots: g.Ints("slots", seq.Batch), Past: g.Ints("past", seq.Batch), Fresh: g.Ints("fresh", seq.Batch),
		}
	}
	d := newDecoder(g.Builder, c, text, c.rotary(length, g.Tape.Dtype))
	d.recompute = c.CheckpointActivations && g.Mode != model.Calibrate
	tokens := g.Ints("tokens", seq.Batch*seq.SeqLen)
	seq.Positions = g.Positions()
	return d.Hidden(tokens, seq), d.Logits
}

// Block implements model.Opened.
func (c Config) Block(i int) model.Block {
	name := fmt.Sprintf("model.layers.%d", i)
	up, down := []string{name + ".mlp.fc1"}, ".mlp.fc2"
	if c.MLP == "swiglu" {
		up, down = []string{name + ".mlp.gate_proj", name + ".mlp.up_proj"}, ".mlp.down_proj"
	}
	return model.Block{Up: up, Down: name + down, MLP: name + ".mlp", Output: name + ".output"}
}

// Widths implements model.Narrowed.
func (c Config) Widths() []int { return c.Narrower.All(c.NLayer, c.HiddenWidth()) }

// Narrow implements model.Narrowed.
func (c Config) Narrow(widths []int) model.Body {
	w, alike := model.WidthsOf(widths)
	if c.Narrower = w; w == nil {
		c.DFF = alike
	}
	return c
}

// From implements model.Resumed. It does not run over caches.
func (c Config) From(block int) model.Sequence { return upper{c, block} }

// upper are the blocks of a decoder from one on.
type upper struct {
	cfg  Config
	from int
}

// Causal implements model.Sequence.
func (upper) Causal() bool { return true }

// States implements model.Sequence.
func (u upper) States(g *model.Graph, text model.Text) (x *G.Node, scores func(x *G.Node) *G.Node) {
	if g.Mode == model.Infer {
		g.Refuse("the upper part of a decoder has no caches")
	}
	seq := nn.SeqInfo{Batch: g.Shape.Rows, SeqLen: g.Shape.Length, Positions: g.Positions()}
	d := newDecoder(g.Builder, u.cfg, text, u.cfg.rotary(g.Shape.Length, g.Tape.Dtype))
	states := g.Floats("states", seq.Batch*seq.SeqLen, u.cfg.DModel)
	return d.finish(states, u.from, seq), d.Logits
}

// caches are those of all layers.
func (c Config) caches(g *model.Graph) []*op.KVCache {
	layout := c.cacheLayout(g.Capacity(), g.Tape.Dtype)
	var all []*op.KVCache
	for i := range c.NLayer {
		all = append(all, g.Cache(fmt.Sprintf("layers.%d", i), layout))
	}
	return all
}

// cacheLayout is what a layer's cache holds.
func (c Config) cacheLayout(capacity int, dtype tensor.Dtype) op.CacheLayout {
	layout := c.Attention.CacheLayout(c.DModel)
	if c.Positions == "rotary" {
		layout.Rotary = c.Attention.CacheRotary(c.DModel, capacity, dtype)
	}
	return layout
}

// newDecoder names, shapes and initialises the parameters. Weights start from a
// normal distribution with deviation InitStd; those that write to the residual
// stream from InitStd / sqrt(2 NLayer), so that its variance does not grow with
// depth (Radford et al. 2019, section 2.3). (Hu et al. 2024 divide by sqrt(2 l) in
// layer l, and in the MLP alone. Here all kinds of attention start alike.)
func newDecoder(b *nn.Builder, cfg Config, text model.Text, rotary *op.RotaryTable) *decoder {
	init, outInit := nn.Normal(cfg.InitStd), nn.Normal(cfg.InitStd/math.Sqrt(2*float64(cfg.NLayer)))
	root := b.Sub("model")
	d := &decoder{cfg: cfg, b: b, embed: nn.NewWords(root.Sub("embed_tokens"), text.Vocab, cfg.DModel, init)}
	if cfg.Positions == "learned" {
		d.positions = nn.NewEmbedding(root.Sub("embed_positions"), text.Length, cfg.DModel, init)
	}
	for i := range cfg.NLayer {
		sub := root.Sub(fmt.Sprintf("layers.%d", i))
		d.blocks = append(d.blocks, &block{
			b: sub, layer: i, dropout: cfg.Dropout,
			inputNorm: nn.NewNorm(sub.Sub("input_layernorm"), cfg.Norm, cfg.DModel, cfg.NormEps),
			attn: attention.New(sub.Sub("self_attn"), attention.LayerConfig{
				Config: cfg.Attention, DModel: cfg.DModel, Causal: true, Rotary: rotary, Eps: cfg.NormEps, Init: init, OutInit: outInit,
			}),
			postNorm: nn.NewNorm(sub.Sub("post_attention_layernorm"), cfg.Norm, cfg.DModel, cfg.NormEps),
			mlp: nn.NewMLP(sub.Sub("mlp"), nn.MLPConfig{
				Kind: cfg.MLP, DModel: cfg.DModel, DFF: cfg.Narrower.Of(i, cfg.HiddenWidth()), Bias: cfg.Bias, Init: init, OutInit: outInit,
			}),
		})
	}
	d.norm = nn.NewNorm(root.Sub("norm"), cfg.Norm, cfg.DModel, cfg.NormEps)
	if !cfg.Tied {
		d.head = nn.NewHead(b.Sub("lm_head"), cfg.DModel, text.Vocab, false, init)
	}
	return d
}

// rotary is the table of a decoder's rotary positions; nil: it has others.
func (c Config) rotary(positions int, dtype tensor.Dtype) *op.RotaryTable {
	if c.Positions == "learned" {
		return nil
	}
	return c.Attention.RotaryTable(c.DModel, positions, dtype)
}

// Hidden maps tokens [B*T] to the normalised residual stream [B*T, D].
func (d *decoder) Hidden(tokens *G.Node, seq nn.SeqInfo) *G.Node {
	return d.finish(d.input(tokens, seq), 0, seq)
}

// finish maps the residual stream before a block to its normalised end [B*T, D].
func (d *decoder) finish(x *G.Node, block int, seq nn.SeqInfo) *G.Node {
	for _, l := range d.blocks[block:] {
		forward := func(x *G.Node) *G.Node { return l.forward(x, seq) }
		if d.recompute {
			x = op.Checkpoint(d.b.Tape, x, forward)
		} else {
			x = forward(x)
		}
		x = l.b.Site("output", x)
	}
	return d.norm.Forward(x)
}

// input maps tokens [B*T] to the start of the residual stream [B*T, D].
func (d *decoder) input(tokens *G.Node, seq nn.SeqInfo) *G.Node {
	x := d.embed.Forward(tokens)
	if d.positions != nil {
		x = op.Add(d.b.Tape, x, d.positions.Forward(seq.Positions))
	}
	return d.b.Dropout(x, "embed", d.cfg.Dropout)
}

// Logits maps hidden rows [N, D] to scores of the next token [N, V].
func (d *decoder) Logits(x *G.Node) *G.Node {
	if d.head == nil {
		return d.embed.Logits(x)
	}
	return d.head.Forward(x)
}

func (l *block) forward(x *G.Node, seq nn.SeqInfo) *G.Node {
	x = l.attend(x, seq)
	m := l.b.Site("mlp", l.mlp.Forward(l.postNorm.Forward(x)))
	return op.Add(l.b.Tape, x, l.b.Dropout(m, "mlp", l.dropout))
}

// attend is the first half of the block.
func (l *block) attend(x *G.Node, seq nn.SeqInfo) *G.Node {
	n := l.inputNorm.Forward(x)
	l.b.Tap("input_layernorm", n)
	a := l.b.Site("self_attn", l.attn.Forward(n, seq, l.layer))
	return op.Add(l.b.Tape, x, l.b.Dropout(a, "self_attn", l.dropout))
}
