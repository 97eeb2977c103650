package model

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// classifier is a network that maps the texts of a batch to one row of scores
// each.
type classifier interface {
	// Classify maps tokens [B*T] to scores [B, C].
	Classify(tokens *G.Node, seq nn.SeqInfo) *G.Node
}

// AttentionTap names the weights [B*T, M] of M heads by which a network pools the
// tokens of each text, for Options.Tapped; a network that does not pool has none.
const AttentionTap = "model.pooling.weights"

// Examples is what a program of a classifier takes: B texts, padded to T tokens.
type Examples struct {
	Tokens  []int     // [B*T]
	Types   []int     // [B*T], 0 or 1: which of two texts a token belongs to; nil: all 0
	Lengths []int     // [B], tokens that count; 0: no text
	Labels  []int     // [B], class, of a regression any; op.Ignored: no target
	Scores  []float64 // [B], of a regression
}

// FeedExamples sets the texts and targets of the next run of a classifier.
func (p *Program) FeedExamples(x Examples) {
	copy(p.tokens, x.Tokens)
	if x.Types == nil {
		clear(p.types)
	}
	copy(p.types, x.Types)
	copy(p.lengths, x.Lengths)
	copy(p.targets, x.Labels)
	if p.truth == nil {
		return
	}
	for i, score := range x.Scores {
		if p.truth.Dtype() == tensor.Float32 {
			p.truth.Float32s()[i] = float32(score)
		} else {
			p.truth.Float64s()[i] = score
		}
	}
}

// Logits is the last run's scores [B, C], row by row, of a classifier's scoring
// program; others do not keep them.
func (p *Program) Logits() []float64 { return p.scores() }

// classify extends a program by a classifier's inputs, scores and loss.
func (s *Session) classify(p *Program, b *nn.Builder, tokens *G.Node, seq nn.SeqInfo) {
	t, n := p.tape, p.Batch*p.SeqLen
	seq.Lengths, p.lengths = intInput(t, "lengths", p.Batch)
	var network classifier
	switch s.cfg.Kind {
	case "encoder":
		var starts []int
		seq.Types, p.types = intInput(t, "types", n)
		seq.Starts, starts = intInput(t, "starts", p.Batch)
		for i := range starts {
			starts[i] = i * p.SeqLen
		}
		network = NewEncoder(b, s.cfg, s.dims)
	case "lama":
		network = NewLAMA(b, *s.cfg.LAMA, s.dims)
	}
	p.logits = network.Classify(tokens, seq)
	b.Tap("logits", p.logits)
	var targets *G.Node
	targets, p.targets = intInput(t, "targets", p.Batch)
	if !s.dims.Regression {
		p.loss = op.CrossEntropy(t, p.logits, targets)
		return
	}
	p.truth = tensor.New(tensor.Of(t.Dtype), tensor.WithShape(p.Batch))
	p.loss = op.SquaredError(t, p.logits, t.Input("truth", p.truth), targets)
}
