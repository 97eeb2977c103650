package vit

import (
	"fmt"
	"math"

	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
)

// Shapes: an image of H by W pixels, C channels, cut into N patches; T = N + 1 tokens, the class token first; L blocks.

// Explanation is what a vision transformer sees in one image.
type Explanation struct {
	Logits []float64 // [classes]
	Class  int       // the likeliest

	// Gradient of the loss -log p(Class) with respect to the pixels, [H*W, C].
	Gradient []float64

	// Attention of each block: how much the class token reads of each patch, the mean over heads [L][N]. What it reads of itself is
	// left out, so that they sum to less than one.
	Attention [][]float64

	// Rollout is how much of each patch reaches the class token through all blocks if what a block adds and what goes past it
	// count alike (Abnar & Zuidema 2020, section 3): the first row of the product of (A_l + I) / 2 over the blocks, without the
	// class token's own part [N].
	Rollout []float64
}

// Explain looks at one image, [H*W, C], normalised, by the weights of a store, as a network n with a body of this package does. The
// linear layers are represented as o says.
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
	sites := []string{"vit.encoder.layer.*.attention.query", "vit.encoder.layer.*.attention.key"}
	p, err := s.Program(model.Calibrate, n.Least(), append(sites, "logits")...)
	if err != nil {
		return nil, err
	}
	p.Floats("pixels").Set(pixels)
	x := &Explanation{}
	if err := p.Run(); err != nil { // the class is not known before
		return nil, err
	}
	x.Logits = p.Site("logits").Float64s()
	for i, v := range x.Logits {
		if v > x.Logits[x.Class] {
			x.Class = i
		}
	}
	p.Ints("targets")[0] = x.Class
	if err := p.Run(); err != nil {
		return nil, err
	}
	x.Gradient = e.gradient.Values()
	x.look(p, body)
	return x, nil
}

// look computes the weights of attention from the queries and keys of the program's last run.
func (x *Explanation) look(p *model.Program, body Body) {
	var reach []float64 // of each token, what reaches the class token from the blocks so far
	for l := body.NLayer - 1; l >= 0; l-- {
		name := fmt.Sprintf("vit.encoder.layer.%d.attention.", l)
		a := meanAttention(p.Site(name+"query"), p.Site(name+"key"), body.Attention.NHead)
		tokens := p.Site(name + "query").Count
		if reach == nil {
			x.Attention = make([][]float64, body.NLayer)
			reach = make([]float64, tokens)
			reach[0] = 1
		}
		x.Attention[l] = a[1:tokens]
		// The row vector reach goes through (A + I) / 2.
		next := make([]float64, tokens)
		for i, r := range reach {
			next[i] += r / 2
			for j := range next {
				next[j] += r * a[i*tokens+j] / 2
			}
		}
		reach = next
	}
	x.Rollout = reach[1:]
}

// meanAttention is the mean over heads of softmax(q kᵀ / sqrt(K)) [T, T].
func meanAttention(q, k model.Rows, heads int) []float64 {
	queries, keys := q.Float64s(), k.Float64s()
	width, tokens := q.Width/heads, q.Count
	group := heads / (k.Width / width) // heads that read one key
	out, scores := make([]float64, tokens*tokens), make([]float64, tokens)
	for i := range tokens {
		for h := range heads {
			query := queries[i*q.Width+h*width:][:width]
			largest, sum := math.Inf(-1), 0.0
			for j := range scores {
				scores[j] = kernel.Dot(query, keys[j*k.Width+h/group*width:][:width]) / math.Sqrt(float64(width))
				largest = max(largest, scores[j])
			}
			for j, v := range scores {
				scores[j] = math.Exp(v - largest)
				sum += scores[j]
			}
			for j, v := range scores {
				out[i*tokens+j] += v / sum / float64(heads)
			}
		}
	}
	return out
}

// explained is a classifier whose gradients are those of the pixels.
type explained struct {
	model.Images
	body     Body
	gradient *model.PixelGradient
}

// Build implements Network.
func (e explained) Build(g *model.Graph) error {
	logits := e.body.Head(g, e.body.pool(g, e.Picture, e.gradient.Leaf(g, e.Picture)), e.Classes)
	g.Output("logits", logits)
	model.Predict(g, logits)
	return nil
}
