package model

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B sequences, T tokens each, D model width, V vocabulary.

// Decoder is a causal language model: pre-norm blocks of attention and MLP
// around a residual stream (Touvron et al. 2023; Radford et al. 2019). Names are
// those of Hugging Face's LLaMA.
type Decoder struct {
	cfg       Config
	b         *nn.Builder
	embed     *nn.Embedding
	positions *nn.Embedding // nil: rotary
	blocks    []*block
	norm      *nn.Norm
	head      nn.Linear // nil: tied to embed
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

// NewDecoder names, shapes and initialises the parameters. Weights start from a
// normal distribution with deviation InitStd; those that write to the residual
// stream from InitStd / sqrt(2 NLayer), so that its variance does not grow with
// depth (Radford et al. 2019, section 2.3). (Hu et al. 2024 divide by sqrt(2 l) in
// layer l, and in the MLP alone. Here all kinds of attention start alike.)
func NewDecoder(b *nn.Builder, cfg Config, dims Dims) *Decoder {
	return newDecoder(b, cfg, dims, cfg.rotary(dims.Context, b.Tape.Dtype))
}

// rotary is the table of a decoder's rotary positions; nil: it has others.
func (c Config) rotary(positions int, dtype tensor.Dtype) *op.RotaryTable {
	if c.Positions == "learned" {
		return nil
	}
	return op.NewRotaryTable(c.Attention.RotaryDim(c.DModel), positions, c.Attention.Theta, dtype)
}

func newDecoder(b *nn.Builder, cfg Config, dims Dims, rotary *op.RotaryTable) *Decoder {
	init, outInit := nn.Normal(cfg.InitStd), nn.Normal(cfg.InitStd/math.Sqrt(2*float64(cfg.NLayer)))
	root := b.Sub("model")
	d := &Decoder{cfg: cfg, b: b, embed: nn.NewEmbedding(root.Sub("embed_tokens"), dims.VocabSize, cfg.DModel, init)}
	if cfg.Positions == "learned" {
		d.positions = nn.NewEmbedding(root.Sub("embed_positions"), dims.Context, cfg.DModel, init)
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
				Kind: cfg.MLP, DModel: cfg.DModel, DFF: cfg.HiddenWidth(), Bias: cfg.Bias, Init: init, OutInit: outInit,
			}),
		})
	}
	d.norm = nn.NewNorm(root.Sub("norm"), cfg.Norm, cfg.DModel, cfg.NormEps)
	if !cfg.Tied {
		d.head = nn.NewLinear(b.Sub("lm_head"), cfg.DModel, dims.VocabSize, false, init)
	}
	return d
}

// Hidden maps tokens [B*T] to the normalised residual stream [B*T, D].
func (d *Decoder) Hidden(tokens *G.Node, seq nn.SeqInfo) *G.Node {
	x := d.input(tokens, seq)
	for _, l := range d.blocks {
		forward := func(x *G.Node) *G.Node { return l.forward(x, seq) }
		if d.cfg.CheckpointActivations {
			x = op.Checkpoint(d.b.Tape, x, forward)
		} else {
			x = forward(x)
		}
		l.b.Tap("output", x)
	}
	return d.norm.Forward(x)
}

// input maps tokens [B*T] to the start of the residual stream [B*T, D].
func (d *Decoder) input(tokens *G.Node, seq nn.SeqInfo) *G.Node {
	x := d.embed.Forward(tokens)
	if d.positions != nil {
		x = op.Add(d.b.Tape, x, d.positions.Forward(seq.Positions))
	}
	return d.b.Dropout(x, "embed", d.cfg.Dropout)
}

// Logits maps hidden rows [N, D] to scores of the next token [N, V].
func (d *Decoder) Logits(x *G.Node) *G.Node {
	if d.head == nil {
		return d.embed.Logits(x)
	}
	return d.head.Forward(x)
}

func (l *block) forward(x *G.Node, seq nn.SeqInfo) *G.Node {
	x = l.attend(x, seq)
	m := l.mlp.Forward(l.postNorm.Forward(x))
	l.b.Tap("mlp", m)
	return op.Add(l.b.Tape, x, l.b.Dropout(m, "mlp", l.dropout))
}

// attend is the first half of the block.
func (l *block) attend(x *G.Node, seq nn.SeqInfo) *G.Node {
	n := l.inputNorm.Forward(x)
	l.b.Tap("input_layernorm", n)
	a := l.attn.Forward(n, seq, l.layer)
	l.b.Tap("self_attn", a)
	return op.Add(l.b.Tape, x, l.b.Dropout(a, "self_attn", l.dropout))
}
