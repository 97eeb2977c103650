package favit

import (
	"fmt"
	"math"

	"sparrow/attention"
	"sparrow/model"
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

	// Attention of the last block of each stage; empty of a kind that is no attention.Grouped.
	Attention []GroupAttention
}

// GroupAttention is what a group of keys is attended to: the weight of each key, the
// mean over heads and pixels. They sum to one.
type GroupAttention struct {
	Stage         int    // from 1
	Group         string // of fasa "global": keys stand for patches; "local" and "dilated": for places in a window
	Height, Width int    // of the keys' map
	Whole         bool   // which is laid over the whole image, not over a window
	Weights       []float64
}

// Explain looks at one image, [H*W, C], normalised, by the weights of a store, as a
// network n with a body of this package does. The linear layers are represented as o says.
func Explain(n model.Images, store *nn.Store, o model.Options, pixels []float32) (*Explanation, error) {
	body, ok := n.Body.(Body)
	if side := n.Picture; !ok || len(pixels) != side.Height*side.Width*side.Channels {
		return nil, fmt.Errorf("model: %d values to explain; want an image classifier and %d x %d pixels of %d channels", len(pixels), side.Height, side.Width, side.Channels)
	}
	e := explained{n, body, &model.PixelGradient{}}
	s, err := model.NewSession(e, store, model.Options{Seed: o.Seed, Linear: o.Linear, Poison: o.Poison})
	if err != nil {
		return nil, err
	}
	sites := []string{"logits"}
	grouped, _ := body.Config.Attention.Of.(attention.Grouped)
	if grouped != nil {
		sites = append(sites, "block*.attn.q", "block*.attn.k.*")
	}
	p, err := s.Program(model.Calibrate, n.Least(), sites...)
	if err != nil {
		return nil, err
	}
	p.Floats("pixels").Set(pixels)
	places := p.Ints("places")
	whole := func() error {
		for i := range places {
			places[i] = i
		}
		return p.Run()
	}
	x := &Explanation{}
	if err := whole(); err != nil { // the class is not known before
		return nil, err
	}
	x.Logits = p.Site("logits").Float64s()
	for i, v := range x.Logits {
		if v > x.Logits[x.Class] {
			x.Class = i
		}
	}
	p.Ints("targets")[0] = x.Class
	if err := whole(); err != nil {
		return nil, err
	}
	x.Gradient = e.gradient.Values()
	stages := body.stages(dimsOf(n))
	if grouped != nil {
		x.Attention = groupAttention(grouped, stages, p)
	}
	side := stages[len(stages)-1].side
	for i := range places {
		places[i] = side/2*side + side/2
	}
	if err := p.Run(); err != nil {
		return nil, err
	}
	x.Field = e.gradient.Values()
	return x, nil
}

func dimsOf(n model.Images) model.Dims {
	return model.Dims{Classes: n.Classes, ImageSize: n.Picture.Height, Channels: n.Picture.Channels}
}

// explained is a classifier whose gradients are those of the pixels. The rows of the
// last stage's map that it takes the mean of are a leaf, so that it can be all, or one
// as often as there are rows.
type explained struct {
	model.Images
	body     Body
	gradient *model.PixelGradient
}

// Build implements Network.
func (e explained) Build(g *model.Graph) error {
	t := g.Tape
	x := e.body.maps(g, e.gradient.Leaf(g, e.Picture), e.Picture) // [N, C]
	x = op.Rows(t, x, g.Ints("places", x.Shape()[0]))
	logits := e.body.Head(g, op.MeanTokens(t, x, 1), e.Classes)
	g.Output("logits", logits)
	model.Predict(g, logits)
	return nil
}

// groupAttention computes the weights of attention from the queries and keys of
// the program's last run.
func groupAttention(kind attention.Grouped, stages []stage, p *model.Program) []GroupAttention {
	var out []GroupAttention
	for i, stage := range stages {
		name := fmt.Sprintf("block%d.%d.attn.", i+1, stage.depth-1)
		q := p.Site(name + "q")
		for j, g := range kind.KeyGroups(stage.layer, stage.side, stage.side) {
			k := p.Site(fmt.Sprintf("%sk.%d", name, j))
			weights := meanAttention(g.Set, q.Float64s(), q.Count, q.Width, k.Float64s())
			out = append(out, GroupAttention{Stage: i + 1, Group: g.Name, Height: g.Height, Width: g.Width, Whole: g.Whole, Weights: weights})
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
