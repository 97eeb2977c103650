package attention

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B documents, T tokens, D width of a state, M heads.

// Pool is a way to turn the states of a document into one vector: a struct of the keys that its [model.lama.pooling] table has.
// Time and memory are linear in the number of tokens, whatever the kind.
type Pool interface {
	// Validate reports what no pooling of the kind can have.
	Validate(r *configs.Report)
	// New makes the pooling b.Name("") of states of the given width.
	New(b *nn.Builder, width int) Pooling
}

// Pooling turns the states of each document into one vector.
type Pooling interface {
	// Forward maps states [B*T, D] to [B, Width()]. Tokens from a document's length
	// on do not count. All but the mean tap their weights [B*T, M] as "weights".
	Forward(states *G.Node, seq nn.SeqInfo) *G.Node
	// Width is that of a document's vector.
	Width() int
}

// Pools are the poolings that come with this package, in the order in which messages name them.
func Pools() []configs.Choice[Pool] {
	return []configs.Choice[Pool]{
		{Name: "lama", New: func() Pool { return DefaultLAMA() }},
		{Name: "single", New: func() Pool { return SingleHead{Temperature: 1} }},
		{Name: "structured", New: func() Pool { return Structured{Heads: 10, Temperature: 1, Width: 64} }},
		{Name: "mean", New: func() Pool { return Mean{} }},
	}
}

// DefaultPool is LAMA with ten heads of rank one.
func DefaultPool() configs.OneOf[Pool] {
	first := Pools()[0]
	return configs.OneOf[Pool]{Name: first.Name, Of: first.New()}
}

func validateTemperature(r *configs.Report, t float64) {
	if !(t > 0) {
		r.Errorf("temperature", "is too small; want more than 0")
	}
}

// contextStd is the deviation of a learned context's first values. Not zero: all
// scores would be zero, and their norm would have no gradient.
const contextStd = 0.1

// xavier is the uniform distribution of Glorot and Bengio (2010, equation 16).
func xavier(in, out int) nn.Init { return nn.Uniform(math.Sqrt(6 / float64(in+out))) }

// annotation is u_t = tanh(W_w h_t + b_w), what words are scored by (Yang et al.
// 2016, equation 5).
type annotation struct {
	b    *nn.Builder
	proj nn.Linear
}

func newAnnotation(b *nn.Builder, width int) annotation {
	return annotation{b, nn.NewLinear(b.Sub("annotation"), width, width, true, xavier(width, width))}
}

func (a annotation) forward(states *G.Node) *G.Node {
	return op.Activation(a.b.Tape, "tanh", a.proj.Forward(states))
}

// weights are A [B*T, M] of scores [B*T, M].
func weights(b *nn.Builder, temperature float64, scores *G.Node, seq nn.SeqInfo) *G.Node {
	a := op.TimeSoftmax(b.Tape, scores, seq.Lengths, seq.Batch, seq.SeqLen, temperature)
	b.Tap("weights", a)
	return a
}

// pooled is S = A H of each document, [B, M*D].
func pooled(b *nn.Builder, a, states *G.Node, seq nn.SeqInfo) *G.Node {
	return op.TimePool(b.Tape, a, states, seq.Batch, seq.SeqLen)
}
