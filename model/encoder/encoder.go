package encoder

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B texts, T tokens each, D model width, H heads, K head width, C classes.

// Causal implements model.Sequence.
func (Config) Causal() bool { return false }

// Block implements model.Opened.
func (Config) Block(i int) model.Block {
	name := fmt.Sprintf("bert.encoder.layer.%d", i)
	return model.Block{Up: []string{name + ".intermediate.dense"}, Down: name + ".output.dense", MLP: name + ".mlp", Output: name + ".output"}
}

// States implements model.Sequence, with the leaves lengths [B] and types [B*T]. The
// scores are those of BERT's masked language model: norm(f(W h + b)) against the
// word embeddings, plus a bias for each word.
func (c Config) States(g *model.Graph, text model.Text) (x *G.Node, scores func(x *G.Node) *G.Node) {
	e, seq := newEncoder(g, c, text)
	return e.Hidden(g.Ints("tokens", seq.Batch*seq.SeqLen), seq, nil), func(x *G.Node) *G.Node {
		sub := g.Sub("cls.predictions")
		dense := nn.NewLinear(sub.Sub("transform.dense"), c.DModel, c.DModel, c.Bias, nn.Normal(c.InitStd))
		norm := nn.NewNorm(sub.Sub("transform.LayerNorm"), c.Norm, c.DModel, c.NormEps)
		bias := sub.Steady("bias", nn.Constant(0), text.Vocab)
		x = norm.Forward(op.Activation(g.Tape, c.MLP, dense.Forward(x)))
		return e.words.BiasedLogits(x, bias) // [M, V]
	}
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

// Pool implements model.Reader: tanh(W h + b), or another activation, of each text's first token.
func (c Config) Pool(g *model.Graph, text model.Text) *G.Node {
	e, seq := newEncoder(g, c, text)
	pooler := nn.NewLinear(g.Sub("bert.pooler.dense"), c.DModel, c.DModel, c.Bias, nn.Normal(c.InitStd))
	starts := make([]int, seq.Batch)
	for i := range starts {
		starts[i] = i * seq.SeqLen
	}
	tokens := g.Ints("tokens", seq.Batch*seq.SeqLen)
	var first *G.Node // [B, D]
	if g.Tape.Precision == kernel.BFloat16 {
		first = e.Hidden(tokens, seq, g.Constant("starts", starts))
	} else { // products of fewer rows would add up in another order, and float32 keeps its bits
		x := e.Hidden(tokens, seq, nil)
		first = op.Rows(g.Tape, x, g.Constant("starts", starts))
	}
	activation := "tanh"
	if c.Pooler != nil {
		activation = *c.Pooler
	}
	return op.Activation(g.Tape, activation, pooler.Forward(first)) // [B, D]
}

// Head implements model.Reader.
func (c Config) Head(g *model.Graph, x *G.Node, outputs int) *G.Node {
	classifier := nn.NewHead(g.Sub("classifier"), c.DModel, outputs, c.Bias, nn.Normal(c.InitStd))
	return classifier.Forward(g.Dropout(x, "pooled", c.Dropout)) // [B, C]
}

// encoder are the layers below the heads.
type encoder struct {
	cfg                     Config
	b                       *nn.Builder
	words, positions, types *nn.Embedding // types are nil where there are none
	norm                    *nn.Norm
	layers                  []*encoderLayer
	recompute               bool // keep only each block's input for the backward pass
}

// encoderLayer is norm(x + attention(x)), then norm(x + mlp(x)).
type encoderLayer struct {
	cfg                   Config
	b                     *nn.Builder
	query, key, value, to nn.Linear
	attentionNorm         *nn.Norm
	up, down              nn.Linear
	outputNorm            *nn.Norm
}

// newEncoder names, shapes and initialises the parameters, and the leaves. All
// weights start from a normal distribution with deviation InitStd (Devlin et al.
// 2018: 0.02).
func newEncoder(g *model.Graph, cfg Config, text model.Text) (*encoder, nn.SeqInfo) {
	init, d := nn.Normal(cfg.InitStd), cfg.DModel
	embed := g.Sub("bert.embeddings")
	e := &encoder{
		cfg: cfg, b: g.Builder,
		words:     nn.NewWords(embed.Sub("word_embeddings"), text.Vocab, d, init),
		positions: nn.NewEmbedding(embed.Sub("position_embeddings"), text.Length, d, init),
		recompute: cfg.CheckpointActivations && g.Mode != model.Calibrate,
	}
	if n := cfg.Types(); n > 0 {
		e.types = nn.NewEmbedding(embed.Sub("token_type_embeddings"), n, d, init)
	}
	e.norm = nn.NewNorm(embed.Sub("LayerNorm"), cfg.Norm, d, cfg.NormEps)
	for i := range cfg.NLayer {
		e.layers = append(e.layers, newEncoderLayer(g.Sub(fmt.Sprintf("bert.encoder.layer.%d", i)), cfg, cfg.Narrower.Of(i, cfg.HiddenWidth())))
	}
	seq := nn.SeqInfo{Batch: g.Shape.Rows, SeqLen: g.Shape.Length, Positions: g.Positions()}
	seq.Lengths, seq.Types = g.Ints("lengths", seq.Batch), g.Ints("types", seq.Batch*seq.SeqLen)
	return e, seq
}

func newEncoderLayer(b *nn.Builder, cfg Config, hidden int) *encoderLayer {
	init, d := nn.Normal(cfg.InitStd), cfg.DModel
	heads := cfg.Attention.NHead * cfg.Attention.Dim(d)
	self, bias := b.Sub("attention.self"), cfg.Attention.Of.(attention.MHA).Bias
	return &encoderLayer{
		cfg: cfg, b: b,
		query:         nn.NewLinear(self.Sub("query"), d, heads, bias, init),
		key:           nn.NewLinear(self.Sub("key"), d, heads, bias, init),
		value:         nn.NewLinear(self.Sub("value"), d, heads, bias, init),
		to:            nn.NewLinear(b.Sub("attention.output.dense"), heads, d, bias, init),
		attentionNorm: nn.NewNorm(b.Sub("attention.output.LayerNorm"), cfg.Norm, d, cfg.NormEps),
		up:            nn.NewLinear(b.Sub("intermediate.dense"), d, hidden, cfg.Bias, init),
		down:          nn.NewLinear(b.Sub("output.dense"), hidden, d, cfg.Bias, init),
		outputNorm:    nn.NewNorm(b.Sub("output.LayerNorm"), cfg.Norm, d, cfg.NormEps),
	}
}

// Hidden maps tokens [B*T] to activations [B*T, D], or where only some of them are read, [M], to [M, D]: the last layer then
// computes no others after its attention.
func (e *encoder) Hidden(tokens *G.Node, seq nn.SeqInfo, read *G.Node) *G.Node {
	t := e.b.Tape
	x := op.Add(t, e.words.Forward(tokens), e.positions.Forward(seq.Positions))
	if e.types != nil {
		x = op.Add(t, x, e.types.Forward(seq.Types))
	}
	x = e.norm.Forward(x) // [B*T, D]
	x = e.b.Dropout(x, "embed", e.cfg.Dropout)
	for i, l := range e.layers {
		forward := func(x *G.Node) *G.Node { return l.forward(x, seq, nil) }
		if i == len(e.layers)-1 {
			forward = func(x *G.Node) *G.Node { return l.forward(x, seq, read) }
		}
		if e.recompute {
			x = op.Checkpoint(t, x, forward)
		} else {
			x = forward(x)
		}
		x = l.b.Site("output", x)
	}
	return x
}

// forward is the layer's value, of all tokens or only of the rows that are read.
func (l *encoderLayer) forward(x *G.Node, seq nn.SeqInfo, read *G.Node) *G.Node {
	t, a := l.b.Tape, l.cfg.Attention
	q, k, v := l.query.Forward(x), l.key.Forward(x), l.value.Forward(x) // [B*T, H*K]
	y := op.Attention(t, q, k, v, seq.Lengths, op.AttentionShape{
		Batch: seq.Batch, SeqLen: seq.SeqLen, Heads: a.NHead, KVHeads: a.NHead, HeadDim: a.Dim(l.cfg.DModel),
	})
	if read != nil {
		x, y = op.Rows(t, x, read), op.Rows(t, y, read) // [M, ...]
	}
	y = l.to.Forward(y)
	x = l.attentionNorm.Forward(op.Add(t, x, l.b.Dropout(y, "attention", l.cfg.Dropout)))
	y = l.b.Site("mlp", l.down.Forward(op.Activation(t, l.cfg.MLP, l.up.Forward(x)))) // [B*T, DFF] inside
	return l.outputNorm.Forward(op.Add(t, x, l.b.Dropout(y, "mlp", l.cfg.Dropout)))
}
