package model

import (
	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B sequences, T tokens each, M = B MaskedTokens(T) tokens to predict, D
// model width, V vocabulary.

// MaskedTokens is how many tokens of a sequence a masked language model
// predicts: 15% (Devlin et al. 2018, section 3.1), and at least one.
func MaskedTokens(seqLen int) int { return max(1, (15*seqLen+50)/100) }

// maskedHead scores the tokens of a sequence that were hidden, as BERT does:
// norm(f(W h + b)) against the word embeddings, plus a bias for each word.
type maskedHead struct {
	dense nn.Linear
	norm  *nn.Norm
	bias  nn.Weight
}

func newMaskedHead(b *nn.Builder, cfg Config, dims Dims) *maskedHead {
	sub := b.Sub("cls.predictions")
	return &maskedHead{
		dense: nn.NewLinear(sub.Sub("transform.dense"), cfg.DModel, cfg.DModel, cfg.Bias, nn.Normal(cfg.InitStd)),
		norm:  nn.NewNorm(sub.Sub("transform.LayerNorm"), cfg.Norm, cfg.DModel, cfg.NormEps),
		bias:  sub.Weight("bias", nn.Constant(0), dims.VocabSize),
	}
}

// Predict maps tokens [B*T] to scores [M, V] of what stands at the given rows [M].
func (e *Encoder) Predict(tokens, rows *G.Node, seq nn.SeqInfo) *G.Node {
	t, h := e.b.Tape, e.masked
	x := op.Rows(t, e.Hidden(tokens, seq), rows) // [M, D]
	x = h.norm.Forward(op.Activation(t, e.cfg.MLP, h.dense.Forward(x)))
	return e.words.BiasedLogits(x, h.bias) // [M, V]
}

// predictMasked extends a program by an encoder's scores of masked tokens and its
// loss.
func (s *Session) predictMasked(p *Program, b *nn.Builder, tokens *G.Node, seq nn.SeqInfo) {
	t, n := p.tape, p.Batch*MaskedTokens(p.SeqLen)
	seq.Lengths, p.lengths = intInput(t, "lengths", p.Batch)
	seq.Types, p.types = intInput(t, "types", p.Batch*p.SeqLen)
	var rows, targets *G.Node
	rows, p.rows = intInput(t, "rows", n)
	targets, p.targets = intInput(t, "targets", n)
	p.logits = NewEncoder(b, s.cfg, s.dims).Predict(tokens, rows, seq)
	b.Tap("logits", p.logits)
	p.loss = op.CrossEntropy(t, p.logits, targets)
}

// Masked is what a program of a masked language model takes.
type Masked struct {
	Tokens  []int // [B*T], some of them hidden
	Lengths []int // [B], tokens that count
	Rows    []int // [M], places of the tokens to predict in Tokens
	Targets []int // [M], what stood there; op.Ignored: nothing to predict
}

// FeedMasked sets the sequences and targets of the next run of a masked language
// model.
func (p *Program) FeedMasked(x Masked) {
	copy(p.tokens, x.Tokens)
	copy(p.lengths, x.Lengths)
	copy(p.rows, x.Rows)
	copy(p.targets, x.Targets)
}
