package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
)

// SingleHead is the word attention of Yang et al. (2016, equations 5 to 7):
// a_t = softmax over t of cᵀ u_t, s = sum over t of a_t h_t.
//
// Parameters: annotation.weight [D, D], annotation.bias [D], context.weight [1, D].
type SingleHead struct {
	Temperature float64 `toml:"temperature" doc:"divides the scores before the softmax"`
}

// Validate implements Pool.
func (k SingleHead) Validate(r *configs.Report) { validateTemperature(r, k.Temperature) }

// New implements Pool.
func (k SingleHead) New(b *nn.Builder, width int) Pooling {
	return &singleHead{b: b, k: k, width: width, annotation: newAnnotation(b, width),
		context: nn.NewLinear(b.Sub("context"), width, 1, false, nn.Normal(contextStd))}
}

type singleHead struct {
	b          *nn.Builder
	k          SingleHead
	width      int
	annotation annotation
	context    nn.Linear
}

func (l *singleHead) Width() int { return l.width }

func (l *singleHead) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	scores := l.context.Forward(l.annotation.forward(states)) // [B*T, 1]
	return pooled(l.b, weights(l.b, l.k.Temperature, scores, seq), states, seq)
}
