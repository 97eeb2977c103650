package model

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B texts, T tokens each, D model width, H heads, K head width, C classes.

// tokenTypes is how many texts one example may consist of.
const tokenTypes = 2

// Encoder is BERT (Devlin et al. 2018): embeddings of token, position and token
// type, then blocks of bidirectional attention and MLP, each followed by a layer
// norm (post-norm, Vaswani et al. 2017, section 3.1); then a pooler over the first
// token and a linear classifier or, without labels, the head of a masked language
// model. Names are those of Hugging Face's BertForSequenceClassification and
// BertForMaskedLM.
//
// Unlike BERT's, its dropout leaves the attention's probabilities alone.
type Encoder struct {
	cfg                     Config
	b                       *nn.Builder
	words, positions, types *nn.Embedding
	norm                    *nn.Norm
	layers                  []*encoderLayer
	pooler, classifier      nn.Linear   // nil: a masked language model
	masked                  *maskedHead // nil: a classifier
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

// NewEncoder names, shapes and initialises the parameters. All weights start
// from a normal distribution with deviation InitStd (Devlin et al. 2018: 0.02).
func NewEncoder(b *nn.Builder, cfg Config, dims Dims) *Encoder {
	init, d := nn.Normal(cfg.InitStd), cfg.DModel
	root := b.Sub("bert")
	embed := root.Sub("embeddings")
	e := &Encoder{
		cfg: cfg, b: b,
		words:     nn.NewEmbedding(embed.Sub("word_embeddings"), dims.VocabSize, d, init),
		positions: nn.NewEmbedding(embed.Sub("position_embeddings"), dims.Context, d, init),
		types:     nn.NewEmbedding(embed.Sub("token_type_embeddings"), tokenTypes, d, init),
		norm:      nn.NewNorm(embed.Sub("LayerNorm"), cfg.Norm, d, cfg.NormEps),
	}
	for i := range cfg.NLayer {
		e.layers = append(e.layers, newEncoderLayer(root.Sub(fmt.Sprintf("encoder.layer.%d", i)), cfg))
	}
	if dims.Outputs() == 0 {
		e.masked = newMaskedHead(b, cfg, dims)
		return e
	}
	e.pooler = nn.NewLinear(root.Sub("pooler.dense"), d, d, cfg.Bias, init)
	e.classifier = nn.NewLinear(b.Sub("classifier"), d, dims.Outputs(), cfg.Bias, init)
	return e
}

func newEncoderLayer(b *nn.Builder, cfg Config) *encoderLayer {
	init, d := nn.Normal(cfg.InitStd), cfg.DModel
	heads := cfg.Attention.NHead * cfg.Attention.Dim(d)
	self, bias := b.Sub("attention.self"), cfg.Attention.Bias
	return &encoderLayer{
		cfg: cfg, b: b,
		query:         nn.NewLinear(self.Sub("query"), d, heads, bias, init),
		key:           nn.NewLinear(self.Sub("key"), d, heads, bias, init),
		value:         nn.NewLinear(self.Sub("value"), d, heads, bias, init),
		to:            nn.NewLinear(b.Sub("attention.output.dense"), heads, d, bias, init),
		attentionNorm: nn.NewNorm(b.Sub("attention.output.LayerNorm"), cfg.Norm, d, cfg.NormEps),
		up:            nn.NewLinear(b.Sub("intermediate.dense"), d, cfg.HiddenWidth(), cfg.Bias, init),
		down:          nn.NewLinear(b.Sub("output.dense"), cfg.HiddenWidth(), d, cfg.Bias, init),
		outputNorm:    nn.NewNorm(b.Sub("output.LayerNorm"), cfg.Norm, d, cfg.NormEps),
	}
}

// Hidden maps tokens [B*T] to activations [B*T, D].
func (e *Encoder) Hidden(tokens *G.Node, seq nn.SeqInfo) *G.Node {
	t := e.b.Tape
	x := op.Add(t, e.words.Forward(tokens), e.positions.Forward(seq.Positions))
	x = e.norm.Forward(op.Add(t, x, e.types.Forward(seq.Types))) // [B*T, D]
	x = e.b.Dropout(x, "embed", e.cfg.Dropout)
	for _, l := range e.layers {
		forward := func(x *G.Node) *G.Node { return l.forward(x, seq) }
		if e.cfg.CheckpointActivations {
			x = op.Checkpoint(t, x, forward)
		} else {
			x = forward(x)
		}
		l.b.Tap("output", x)
	}
	return x
}

// Classify maps tokens [B*T] to scores [B, C]: tanh(W h + b) of each text's first
// token, then the classifier.
func (e *Encoder) Classify(tokens *G.Node, seq nn.SeqInfo) *G.Node {
	first := op.Rows(e.b.Tape, e.Hidden(tokens, seq), seq.Starts) // [B, D]
	pooled := op.Activation(e.b.Tape, "tanh", e.pooler.Forward(first))
	return e.classifier.Forward(e.b.Dropout(pooled, "pooled", e.cfg.Dropout)) // [B, C]
}

func (l *encoderLayer) forward(x *G.Node, seq nn.SeqInfo) *G.Node {
	t, a := l.b.Tape, l.cfg.Attention
	q, k, v := l.query.Forward(x), l.key.Forward(x), l.value.Forward(x) // [B*T, H*K]
	y := l.to.Forward(op.Attention(t, q, k, v, seq.Lengths, op.AttentionShape{
		Batch: seq.Batch, SeqLen: seq.SeqLen, Heads: a.NHead, KVHeads: a.NHead, HeadDim: a.Dim(l.cfg.DModel),
	}))
	x = l.attentionNorm.Forward(op.Add(t, x, l.b.Dropout(y, "attention", l.cfg.Dropout)))
	y = l.down.Forward(op.Activation(t, l.cfg.MLP, l.up.Forward(x))) // [B*T, DFF] inside
	return l.outputNorm.Forward(op.Add(t, x, l.b.Dropout(y, "mlp", l.cfg.Dropout)))
}
