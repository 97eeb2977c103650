package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Mean is the average of a document's states.
type Mean struct{}

// Validate implements Pool.
func (Mean) Validate(*configs.Report) {}

// New implements Pool.
func (Mean) New(b *nn.Builder, width int) Pooling { return &mean{b, width} }

type mean struct {
	b     *nn.Builder
	width int
}

func (l *mean) Width() int { return l.width }

func (l *mean) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	return op.TimeMean(l.b.Tape, states, seq.Lengths, seq.Batch, seq.SeqLen) // [B, D]
}
