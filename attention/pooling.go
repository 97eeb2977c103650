package attention

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B documents, T tokens, D width of a state, M heads.

// Pooling turns the states of each document into one vector.
type Pooling interface {
	// Forward maps states [B*T, D] to [B, Width()]. Tokens from a document's length
	// on do not count. All but the mean tap their weights [B*T, M] as "weights".
	Forward(states *G.Node, seq nn.SeqInfo) *G.Node
	// Width is that of a document's vector.
	Width() int
}

// NewPooling makes the pooling of states of the given width.
func NewPooling(b *nn.Builder, cfg PoolingConfig, width int) Pooling {
	switch cfg.Kind {
	case "lama":
		return newLAMA(b, cfg, width)
	case "single":
		return &singleHead{b: b, cfg: cfg, width: width, annotation: newAnnotation(b, width),
			context: nn.NewLinear(b.Sub("context"), width, 1, false, nn.Normal(contextStd))}
	case "structured":
		return &structured{b: b, cfg: cfg, width: width,
			down: nn.NewLinear(b.Sub("w1"), width, cfg.Width, false, xavier(width, cfg.Width)),
			up:   nn.NewLinear(b.Sub("w2"), cfg.Width, cfg.Heads, false, xavier(cfg.Width, cfg.Heads))}
	case "mean":
		return &mean{b, width}
	}
	panic(fmt.Sprintf("attention: no pooling %q", cfg.Kind))
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

// lama is low-rank multi-head attention against one context (Mehta, Rangwala and
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
type lama struct {
	b           *nn.Builder
	cfg         PoolingConfig
	width       int
	annotation  annotation
	context     nn.Weight // of a learned context
	contextProj nn.Linear
	wordProj    nn.Linear
}

func newLAMA(b *nn.Builder, cfg PoolingConfig, width int) *lama {
	l := &lama{b: b, cfg: cfg, width: width, annotation: newAnnotation(b, width)}
	bound := 1 / math.Sqrt(float64(width))
	if cfg.Init == "heads" {
		bound = 1 / math.Sqrt(float64(cfg.Heads*cfg.Rank))
	}
	if cfg.Context == "learned" {
		l.context = b.Weight("context", nn.Normal(contextStd), 1, width)
	}
	l.contextProj = nn.NewLinear(b.Sub("context_proj"), width, cfg.Heads*cfg.Rank, false, nn.Uniform(bound))
	l.wordProj = nn.NewLinear(b.Sub("word_proj"), width, cfg.Heads*cfg.Rank, false, nn.Uniform(bound))
	return l
}

func (l *lama) Width() int { return l.cfg.Heads * l.width }

func (l *lama) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	t := l.b.Tape
	u := l.annotation.forward(states) // [B*T, D]
	var c *G.Node
	switch l.cfg.Context {
	case "learned":
		c = op.Value(l.context.Use()) // [1, D]
	case "annotations":
		c = op.TimeMean(t, u, seq.Lengths, seq.Batch, seq.SeqLen) // [B, D]
	case "states":
		c = op.TimeMean(t, states, seq.Lengths, seq.Batch, seq.SeqLen) // [B, D]
	}
	f := op.HeadScores(t, l.contextProj.Forward(c), l.wordProj.Forward(u), op.HeadScoresShape{
		Batch: seq.Batch, SeqLen: seq.SeqLen, Heads: l.cfg.Heads, Rank: l.cfg.Rank,
		Tanh: l.cfg.Activation == "tanh", L2Norm: l.cfg.L2Norm,
	}) // [B*T, M]
	return pooled(l.b, weights(l.b, l.cfg, f, seq), states, seq) // [B, M*D]
}

// weights are A [B*T, M] of scores [B*T, M].
func weights(b *nn.Builder, cfg PoolingConfig, scores *G.Node, seq nn.SeqInfo) *G.Node {
	a := op.TimeSoftmax(b.Tape, scores, seq.Lengths, seq.Batch, seq.SeqLen, cfg.Temperature)
	b.Tap("weights", a)
	return a
}

// pooled is S = A H of each document, [B, M*D].
func pooled(b *nn.Builder, a, states *G.Node, seq nn.SeqInfo) *G.Node {
	return op.TimePool(b.Tape, a, states, seq.Batch, seq.SeqLen)
}

// singleHead is the word attention of Yang et al. (2016, equations 5 to 7):
// a_t = softmax over t of cᵀ u_t, s = sum over t of a_t h_t.
//
// Parameters: annotation.weight [D, D], annotation.bias [D], context.weight [1, D].
type singleHead struct {
	b          *nn.Builder
	cfg        PoolingConfig
	width      int
	annotation annotation
	context    nn.Linear
}

func (l *singleHead) Width() int { return l.width }

func (l *singleHead) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	scores := l.context.Forward(l.annotation.forward(states)) // [B*T, 1]
	return pooled(l.b, weights(l.b, l.cfg, scores, seq), states, seq)
}

// structured is the self-attention of Lin et al. (2017, equations 6 to 8):
// A = softmax over t of W2 tanh(W1 Hᵀ), S = A H, with the penalty |A Aᵀ - I|² if
// there is a factor for it.
//
// Parameters: w1.weight [A, D], w2.weight [M, A].
type structured struct {
	b        *nn.Builder
	cfg      PoolingConfig
	width    int
	down, up nn.Linear
}

func (l *structured) Width() int { return l.cfg.Heads * l.width }

func (l *structured) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	t := l.b.Tape
	scores := l.up.Forward(op.Activation(t, "tanh", l.down.Forward(states))) // [B*T, M], [B*T, A] inside
	a := weights(l.b, l.cfg, scores, seq)
	if l.cfg.Penalty > 0 {
		a = op.HeadPenalty(t, a, seq.Batch, seq.SeqLen, l.cfg.Penalty)
	}
	return pooled(l.b, a, states, seq)
}

// mean is the average of a document's states.
type mean struct {
	b     *nn.Builder
	width int
}

func (l *mean) Width() int { return l.width }

func (l *mean) Forward(states *G.Node, seq nn.SeqInfo) *G.Node {
	return op.TimeMean(l.b.Tape, states, seq.Lengths, seq.Batch, seq.SeqLen) // [B, D]
}
