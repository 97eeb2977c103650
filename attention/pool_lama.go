package attention

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// LAMA is low-rank multi-head attention against one context (Mehta, Rangwala and
// Ramakrishnan 2019). With u_t the annotation of word t and head j's bilinear form
// W_j factored as P_j Q_jᵀ of rank R,
//
//	g_{t,j} = tanh(sum over R of (P_jᵀ c * Q_jᵀ u_t))
//	f_t = g_t / |g_t|, the norm over heads
//	A_{j,t} = exp(f_{t,j}) / sum over t' of exp(f_{t',j}),  S = A H
//
// The context c is learned and shared by all documents or, as LAMA+ctx, the mean
// of a document's annotations or states. Each f lies in [-1, 1], so the weights of
// a head differ by no more than a factor of e²; a smaller temperature sharpens them.
//
// Parameters: annotation.weight [D, D] and .bias [D], context_proj.weight Pᵀ [M*R, D],
// word_proj.weight Qᵀ [M*R, D], rows of one head together, and a learned context [1, D]. Their
// first values: W_w after Glorot and Bengio; c normal with deviation 0.1; P and Q
// within 1/sqrt(D) or, with init = "heads", within 1/sqrt(M R) as Kaiming's rule gives for a tensor
// [D, M R], whatever D is. Time: B T (D² + D M R + D M) multiply-adds.
type LAMA struct {
	Heads       int     `toml:"heads" doc:"M, heads"`
	Rank        int     `toml:"rank" doc:"R of a head's bilinear form"`
	Context     string  `toml:"context" doc:"what words are scored against: a learned vector, or the text's own mean (LAMA+ctx)" choices:"learned|annotations|states"`
	Activation  string  `toml:"activation" doc:"activation of a head's score" choices:"tanh|identity"`
	L2Norm      bool    `toml:"l2_norm" doc:"divide a word's scores by their norm over the heads"`
	Init        string  `toml:"init" doc:"bound of the first P and Q: 1/sqrt(D), or 1/sqrt(M R)" choices:"width|heads"`
	Temperature float64 `toml:"temperature" doc:"divides the scores before the softmax"`
}

// DefaultLAMA has ten heads of rank one.
func DefaultLAMA() LAMA {
	return LAMA{Heads: 10, Rank: 1, Context: "learned", Activation: "tanh", L2Norm: true, Init: "width", Temperature: 1}
}

// Validate implements Pool.
func (k LAMA) Validate(r *configs.Report) {
	r.AtLeast("heads", 1)
	r.AtLeast("rank", 1)
	r.OneOf("context")
	r.OneOf("activation")
	r.OneOf("init")
	validateTemperature(r, k.Temperature)
}

type lama struct {
	b           *nn.Builder
	k           LAMA
	width       int
	annotation  annotation
	context     nn.Weight // of a learned context
	contextProj nn.Linear
	wordProj    nn.Linear
}

// New implements Pool.
func (k LAMA) New(b *nn.Builder, width int) Pooling {
	l := &lama{b: b, k: k, width: width, annotation: newAnnotation(b, width)}
	bound := 1 / math.Sqrt(float64(width))
	if k.Init == "heads" {
		bound = 1 / math.Sqrt(float64(k.Heads*k.Rank))
	}
	if k.Context == "learned" {
		l.context = b.Weight("context", nn.Normal(contextStd), 1, width)
	}
	l.contextProj = nn.NewLinear(b.Sub("context_proj"), width, k.Heads*k.Rank, false, nn.Uniform(bound))
	l.wordProj = nn.NewLinear(b.Sub("word_proj"), width, k.Heads*k.Rank, false, nn.Uniform(bound))
	return l
}

func (l *lama) Width() int { return l.k.Heads * l.width }

func (l *lama) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	t := l.b.Tape
	u := l.annotation.forward(states) // [B*T, D]
	var c *G.Node
	switch l.k.Context {
	case "learned":
		c = op.Value(l.context.Use()) // [1, D]
	case "annotations":
		c = op.TimeMean(t, u, seq.Lengths, seq.Batch, seq.SeqLen) // [B, D]
	case "states":
		c = op.TimeMean(t, states, seq.Lengths, seq.Batch, seq.SeqLen) // [B, D]
	}
	f := op.HeadScores(t, l.contextProj.Forward(c), l.wordProj.Forward(u), op.HeadScoresShape{
		Batch: seq.Batch, SeqLen: seq.SeqLen, Heads: l.k.Heads, Rank: l.k.Rank,
		Tanh: l.k.Activation == "tanh", L2Norm: l.k.L2Norm,
	}) // [B*T, M]
	return pooled(l.b, weights(l.b, l.k.Temperature, f, seq), states, seq) // [B, M*D]
}
