package model

import (
	"fmt"
	"math"
	"path"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// Shapes: an image of H by W pixels, C channels; the last stage's map of N pixels.

// Explanation is what an image classifier sees in one image.
type Explanation struct {
	Logits []float64 // [classes]
	Class  int       // the likeliest

	// Gradient of the loss -log p(Class) with respect to the pixels, [H*W, C].
	Gradient []float64

	// Field is the gradient of the loss of the classifier when it sees one place of the
	// last stage's map only, the middle one, in place of the mean over all: what that
	// place depends on, its effective receptive field. [H*W, C].
	Field []float64

	// Attention of the last block of each stage; empty without FaSA.
	Attention []GroupAttention
}

// GroupAttention is what a group of FaSA attends to: the weight of each key, the
// mean over heads and pixels. They sum to one.
type GroupAttention struct {
	Stage         int    // from 1
	Group         string // "global": keys stand for patches; "local" and "dilated": for places in a window
	Height, Width int    // of the keys' map
	Weights       []float64
}

// groupNames are those of the groups in the order of attention.FaSAConfig.KeySets,
// which has no global one where the config leaves it out.
var groupNames = []string{"global", "local", "dilated"}

// attentionOperand accepts the names of queries and keys of FaSA.
func attentionOperand(name string) bool {
	ok, _ := path.Match("block*.attn.q", name)
	return ok || strings.Contains(name, ".attn.k.")
}

// Explain looks at one image, [H*W, C], normalised. It is for image classifiers.
func (s *Session) Explain(pixels []float32) (*Explanation, error) {
	if s.dims.ImageSize == 0 || len(pixels) != s.dims.Context*s.dims.Channels {
		return nil, fmt.Errorf("model: %d values to explain by kind = %q; want an image classifier and %d pixels of %d channels", len(pixels), s.cfg.Kind, s.dims.Context, s.dims.Channels)
	}
	p, err := s.program(explaining, 1, s.dims.Context)
	if err != nil {
		return nil, err
	}
	setFloats(p.pixels, pixels)
	whole := func() error {
		for i := range p.rows {
			p.rows[i] = i
		}
		return p.Run()
	}
	x := &Explanation{}
	if err := whole(); err != nil { // the class is not known before
		return nil, err
	}
	x.Logits = p.scores()
	for i, v := range x.Logits {
		if v > x.Logits[x.Class] {
			x.Class = i
		}
	}
	p.targets[0] = x.Class
	if err := whole(); err != nil {
		return nil, err
	}
	x.Gradient = p.pixelGradient.values()
	x.Attention = s.groupAttention(p)
	stages := s.cfg.FaViT.stages(s.dims.favit())
	side := stages[len(stages)-1].side
	for i := range p.rows {
		p.rows[i] = side/2*side + side/2
	}
	if err := p.Run(); err != nil {
		return nil, err
	}
	x.Field = p.pixelGradient.values()
	return x, nil
}

// explain extends a program by a network whose gradients are those of the pixels.
// The rows of the last stage's map that the classifier takes the mean of are an
// input, so that it can be all, or one as often as there are rows.
func (s *Session) explain(p *Program, b *nn.Builder) {
	t, shape := p.tape, tensor.Shape{p.SeqLen, s.dims.Channels}
	p.pixels = tensor.New(tensor.Of(t.Dtype), tensor.WithShape(shape...))
	p.pixelGradient = &inputGradient{tensor.New(tensor.Of(t.Dtype), tensor.WithShape(shape...))}
	// Looked up row by row, as only parameters deliver gradients.
	ids, order := intInput(t, "pixels.order", p.SeqLen)
	for i := range order {
		order[i] = i
	}
	v := s.newFaViT(b)
	x := v.tokens(op.Embedding(ids, t.Param("pixels", shape, p.pixels, p.pixelGradient)), 1) // [N, C]
	rows, places := intInput(t, "places", x.Shape()[0])
	p.rows = places
	p.logits = v.head.Forward(op.MeanTokens(t, op.Rows(t, x, rows), 1))
	targets, values := intInput(t, "targets", 1)
	p.targets = values
	p.loss = op.CrossEntropy(t, p.logits, targets)
}

// inputGradient is an op.Sink of one input.
type inputGradient struct{ d *tensor.Dense }

// Gradient implements op.Sink.
func (g *inputGradient) Gradient(string) (*tensor.Dense, bool) { return g.d, false }

// Ready implements op.Sink.
func (g *inputGradient) Ready(string) error { return nil }

func (g *inputGradient) values() []float64 { return floatsOf(g.d) }

// groupAttention computes the weights of attention from the queries and keys of
// the program's last run.
func (s *Session) groupAttention(p *Program) []GroupAttention {
	if s.cfg.FaViT.Attention != "fasa" {
		return nil
	}
	var out []GroupAttention
	for i, stage := range s.cfg.FaViT.stages(s.dims.favit()) {
		name := fmt.Sprintf("block%d.%d.attn.", i+1, stage.depth-1)
		q, shape := p.Tap(name + "q")
		reduced := stage.side / stage.fasa.Reduction
		names := groupNames
		if stage.fasa.LocalOnly {
			names = names[1:]
		}
		for j, set := range stage.fasa.KeySets(reduced * reduced) {
			side := stage.fasa.Window
			if names[j] == "global" {
				side = reduced
			}
			k, _ := p.Tap(fmt.Sprintf("%sk.%d", name, j))
			out = append(out, GroupAttention{Stage: i + 1, Group: names[j], Height: side, Width: side, Weights: meanAttention(set, q, shape[0], shape[1], k)})
		}
	}
	return out
}

// meanAttention is the mean over heads and n queries of width c of
// softmax(q kᵀ / sqrt(width)).
func meanAttention(set op.KeySet, q []float64, n, c int, k []float64) []float64 {
	weights, scores := make([]float64, set.Keys), make([]float64, set.Keys)
	width := set.Heads * set.HeadDim
	scale := 1 / math.Sqrt(float64(set.HeadDim))
	step := set.QueryStride
	if step == 0 {
		step = set.HeadDim
	}
	for row := range n {
		for h := range set.Heads {
			query := q[row*c+set.Query+h*step:][:set.HeadDim]
			largest := math.Inf(-1)
			for i := range scores {
				scores[i] = 0
				for j, x := range query {
					scores[i] += x * k[i*width+h*set.HeadDim+j] * scale
				}
				largest = max(largest, scores[i])
			}
			var sum float64
			for i := range scores {
				scores[i] = math.Exp(scores[i] - largest)
				sum += scores[i]
			}
			for i, e := range scores {
				weights[i] += e / sum / float64(n*set.Heads)
			}
		}
	}
	return weights
}
