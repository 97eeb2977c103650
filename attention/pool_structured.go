package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Structured is the self-attention of Lin et al. (2017, equations 6 to 8):
// A = softmax over t of W2 tanh(W1 Hᵀ), S = A H, with the penalty |A Aᵀ - I|² if
// there is a factor for it.
//
// Parameters: w1.weight [A, D], w2.weight [M, A].
type Structured struct {
	Heads       int     `toml:"heads" doc:"M, heads"`
	Temperature float64 `toml:"temperature" doc:"divides the scores before the softmax"`
	Width       int     `toml:"width" doc:"A, width inside the attention" unit:"neurons"`
	Penalty     float64 `toml:"penalty" doc:"factor of the squared norm of A Aᵀ - I, which keeps heads apart; 0: none"`
}

// Validate implements Pool.
func (k Structured) Validate(r *configs.Report) {
	r.AtLeast("heads", 1)
	r.AtLeast("width", 1)
	validateTemperature(r, k.Temperature)
	if !(k.Penalty >= 0) {
		r.Errorf("penalty", "is negative; want 0 (none) or more")
	}
}

// New implements Pool.
func (k Structured) New(b *nn.Builder, width int) Pooling {
	return &structured{b: b, k: k, width: width,
		down: nn.NewLinear(b.Sub("w1"), width, k.Width, false, xavier(width, k.Width)),
		up:   nn.NewLinear(b.Sub("w2"), k.Width, k.Heads, false, xavier(k.Width, k.Heads))}
}

type structured struct {
	b        *nn.Builder
	k        Structured
	width    int
	down, up nn.Linear
}

func (l *structured) Width() int { return l.k.Heads * l.width }

func (l *structured) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	t := l.b.Tape
	scores := l.up.Forward(op.Activation(t, "tanh", l.down.Forward(states))) // [B*T, M], [B*T, A] inside
	a := weights(l.b, l.k.Temperature, scores, seq)
	if l.k.Penalty > 0 {
		a = op.HeadPenalty(t, a, seq.Batch, seq.SeqLen, l.k.Penalty)
	}
	return pooled(l.b, a, states, seq)
}
