package recommender

import (
	"fmt"
	"math"
	"slices"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recommend"
)

// AutoRec finds what a user likes from what he has chosen, without a vector of his own (Sedhain, Menon, Sanner and Xie, "AutoRec:
// Autoencoders Meet Collaborative Filtering", WWW 2015): with S his other items, h = σ(Σ_S V_j / sqrt|S| + μ) and s(u, i) = W_i . h + b_i.
// It learns by the losses of the other networks, not by squared errors of ratings, and of an item from the others alone.
type AutoRec struct {
	Sampling
	Hidden int `toml:"hidden" doc:"width of the hidden layer"`
	Reads  int `toml:"reads" doc:"items of a user that an example reads at most, chosen at random"`
}

// DefaultAutoRec returns the values of keys that a config leaves out.
func DefaultAutoRec() AutoRec { return AutoRec{Sampling: DefaultSampling(), Hidden: 64, Reads: 50} }

// Validate implements model.Body.
func (c AutoRec) Validate(r *configs.Report) {
	r.AtLeast("hidden", 1)
	r.AtLeast("reads", 1)
}

// Layout implements model.Body.
func (c AutoRec) Layout() string {
	return fmt.Sprintf("an autoencoder of width %d, loss %s", c.Hidden, c.Loss)
}

// Blocks implements model.Body.
func (AutoRec) Blocks() int { return 0 }

// Network implements model.Whole.
func (c AutoRec) Network(d model.Dims) (model.Network, error) {
	return autorec{c, d.Catalogue}, catalogue(d)
}

type autorec struct {
	AutoRec
	d model.Catalogue
}

// Least implements model.Network.
func (autorec) Least() model.Shape { return model.Shape{Rows: 1, Length: 2} }

// Build implements model.Network: the arrays are encoder.weight [items+1, hidden], whose last row is μ, decoder.weight [items, hidden]
// and decoder.bias [items, 1].
func (n autorec) Build(g *model.Graph) error {
	if op.Flips(n.Loss) {
		g.Refuse("loss = %q learns a chance for each user and item, and this network has no users; want smoothed_bpo", n.Loss)
	}
	rows := g.Shape.Rows
	many := rows * max(2, g.Shape.Length)
	h := newBag(g, "clicks", rows, 1+n.Reads).of(g.Sub("encoder").Weight("weight", nn.Normal(0.1), n.d.Items+1, n.Hidden)) // [B, H]
	h = op.Activation(g.Tape, "sigmoid", h)
	items := newBag(g, "item", many, 1)
	bias := items.of(g.Sub("decoder").Weight("bias", nn.Constant(0), n.d.Items, 1)) // [B*C, 1]
	scores := op.Dots(g.Tape, h, items.of(g.Sub("decoder").Weight("weight", nn.Normal(0.1), n.d.Items, n.Hidden)))
	n.rank(g, op.Add(g.Tape, scores, op.Dots(g.Tape, g.Floats("user_ones", rows, 1), bias)), nil) // [B, C]
	return nil
}

// Feed implements Learner.
func (c AutoRec) Feed(p *model.Program, k Known, b Batch) {
	r := rng.New(b.Seed, "recommender/reads", b.Step)
	ids, length := p.Ints("clicks_ids"), 1+c.Reads
	weights := make([]float32, len(ids))
	clear(ids)
	width := len(b.Items) / len(b.Users)
	for row, u := range b.Users {
		others := slices.DeleteFunc(slices.Clone(k.Train.Row(int(u))), func(i int32) bool { return i == b.Items[row*width] })
		n := min(c.Reads, len(others))
		at := row * length
		ids[at], weights[at] = k.Train.Columns, 1
		for i := range n {
			j := i + r.Intn(len(others)-i)
			others[i], others[j] = others[j], others[i]
			ids[at+1+i], weights[at+1+i] = int(others[i]), float32(1/math.Sqrt(float64(n)))
		}
	}
	p.Floats("clicks_weights").Set(weights)
	feedBag(p, "item", b.Items, nil, 0, nil)
	fillOnes(p, "user_ones")
}

// Scorer implements Body.
func (c AutoRec) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	encoder, n := floats(s.Store(), "encoder.weight"), k.Train.Columns
	return recommend.Factors{D: c.Hidden, N: n, V: floats(s.Store(), "decoder.weight"), Bias: floats(s.Store(), "decoder.bias"), Vector: func(dst []float32, who recommend.Who) error {
		copy(dst, encoder[n*c.Hidden:])
		for _, i := range who.Clicks {
			kernel.Axpy(float32(1/math.Sqrt(float64(len(who.Clicks)))), encoder[int(i)*c.Hidden:(int(i)+1)*c.Hidden], dst)
		}
		kernel.Sigmoid(dst, dst)
		return nil
	}}, nil
}
