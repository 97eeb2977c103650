package recommender

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recommend"
)

// MF is matrix factorization by gradients: r_ui = h_u . v_i + b_u + b_i, where the vector and the bias of a user are sums of those of
// his number and of the values of his fields, each field's mean, and likewise of an item (Rendle et al. 2009; the sums are those of
// LightFM, Kula 2015). Who was never trained on is his fields alone.
type MF struct {
	Sampling
	Dim     int     `toml:"dim" doc:"factors of a user and of an item"`
	Bias    bool    `toml:"bias" doc:"users and items have biases"`
	FlipDim int     `toml:"flip_dim" doc:"factors of the chance that is learned, of the nbpo losses"`
	InitStd float64 `toml:"init_std" doc:"standard deviation of the first factors"`

	FoldAlpha  float64 `toml:"fold_alpha" doc:"of a new user with clicks, how much more one weighs than none"`
	FoldLambda float64 `toml:"fold_lambda" doc:"weight of the distance of his vector from where it starts"`
	Prior      float64 `toml:"prior" doc:"clicks that the mean user, or his fields, count as; 0: he is found by his clicks alone"`
}

// DefaultMF returns the values of keys that a config leaves out.
func DefaultMF() MF {
	return MF{Sampling: DefaultSampling(), Dim: 64, Bias: true, FlipDim: 50, InitStd: 0.1, FoldAlpha: 4, FoldLambda: 10, Prior: 3}
}

// Validate implements model.Body.
func (c MF) Validate(r *configs.Report) {
	r.AtLeast("dim", 1)
	r.AtLeast("flip_dim", 1)
	r.Within("init_std", c.InitStd > 0 && c.InitStd < 100, "more than 0")
	r.Within("fold_alpha", c.FoldAlpha >= 0 && c.FoldAlpha < 1e9, "0 or more")
	r.Within("fold_lambda", c.FoldLambda > 0 && c.FoldLambda < 1e9, "more than 0")
	r.Within("prior", c.Prior >= 0 && c.Prior < 1e9, "0 or more")
}

// Layout implements model.Body.
func (c MF) Layout() string {
	return fmt.Sprintf("%d factors, loss %s, %d drawn by %s", c.Dim, c.Loss, c.Negatives, c.Sampler)
}

// Blocks implements model.Body.
func (MF) Blocks() int { return 0 }

// Network implements model.Whole.
func (c MF) Network(d model.Dims) (model.Network, error) { return mf{c, d.Catalogue}, catalogue(d) }

// mf is its network.
type mf struct {
	MF
	d model.Catalogue
}

// Least implements model.Network.
func (mf) Least() model.Shape { return model.Shape{Rows: 1, Length: 2} }

// Build implements model.Network: leaves are those of a bag of users [B] and of one of items [B*C], and ones. Arrays are user.weight
// [users + values, dim], item.weight, their biases [.., 1] and, where the loss learns chances, user_flip.weight and item_flip.weight
// [users, flip_dim] and [items, flip_dim], which begin so that chances are near 0.
func (n mf) Build(g *model.Graph) error {
	rows := g.Shape.Rows
	many := rows * max(2, g.Shape.Length)
	users, items := newBag(g, "user", rows, 1+n.d.UserLength), newBag(g, "item", many, 1+n.d.ItemLength)
	counts := [2]int{n.d.Users + n.d.UserValues, n.d.Items + n.d.ItemValues}
	init := nn.Normal(n.InitStd)
	u := users.of(g.Sub("user").Weight("weight", init, counts[0], n.Dim)) // [B, D]
	v := items.of(g.Sub("item").Weight("weight", init, counts[1], n.Dim)) // [B*C, D]
	scores := op.Dots(g.Tape, u, v)                                       // [B, C]
	if n.Bias {
		bu := users.of(g.Sub("user").Weight("bias", nn.Constant(0), counts[0], 1)) // [B, 1]
		bv := items.of(g.Sub("item").Weight("bias", nn.Constant(0), counts[1], 1)) // [B*C, 1]
		scores = op.Add(g.Tape, scores, op.Add(g.Tape, op.Dots(g.Tape, bu, g.Floats("item_ones", many, 1)), op.Dots(g.Tape, g.Floats("user_ones", rows, 1), bv)))
	}
	n.rank(g, scores, func() *G.Node {
		// As the authors' code: 5 U(0, 1) / sqrt(K) and less than it, so that their products are about -25/4.
		bound := 5 / math.Sqrt(float64(n.FlipDim))
		p, q := newBag(g, "flip_user", rows, 1), newBag(g, "flip_item", many, 1)
		return op.Dots(g.Tape, p.of(g.Sub("user_flip").Weight("weight", nn.Between(0, bound), n.d.Users, n.FlipDim)),
			q.of(g.Sub("item_flip").Weight("weight", nn.Between(-bound, 0), n.d.Items, n.FlipDim))) // [B, C]
	})
	return nil
}

// Feed implements Learner.
func (c MF) Feed(p *model.Program, k Known, b Batch) {
	feedBag(p, "user", b.Users, k.UserFields, len(k.Train.Start)-1, nil)
	feedBag(p, "item", b.Items, k.ItemFields, k.Train.Columns, nil)
	if c.Bias {
		fillOnes(p, "user_ones")
		fillOnes(p, "item_ones")
	}
	if op.Flips(c.Loss) {
		feedBag(p, "flip_user", b.Users, nil, 0, nil)
		feedBag(p, "flip_item", b.Items, nil, 0, nil)
	}
}

// Scorer implements Body.
func (c MF) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	store, d := s.Store(), c.Dim
	users, items := floats(store, "user.weight"), floats(store, "item.weight")
	n, trained := k.Train.Columns, k.Transposed()
	v, bias := make([]float32, n*d), make([]float32, n)
	kernel.Ranges(n, 256, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			each(i, k.ItemFields, n, len(trained.Row(i)) > 0, func(row int, weight float32) {
				kernel.Axpy(weight, items[row*d:(row+1)*d], v[i*d:(i+1)*d])
				if c.Bias {
					bias[i] += weight * floats(store, "item.bias")[row]
				}
			})
		}
	})
	mean := make([]float32, d)
	known := 0
	for u := range k.Train.Rows() {
		if len(k.Train.Row(u)) > 0 {
			known++
			each(u, k.UserFields, k.Train.Rows(), true, func(row int, weight float32) { kernel.Axpy(weight, users[row*d:(row+1)*d], mean) })
		}
	}
	kernel.Scale(1/float32(max(known, 1)), mean)
	fold := recommend.NewFold(recommend.WRMF{D: d, Alpha: c.FoldAlpha, Lambda: c.FoldLambda}, v)
	return recommend.Factors{D: d, N: n, V: v, Bias: bias, Fold: fold, Vector: func(dst []float32, who recommend.Who) error {
		clear(dst)
		fields := k.UserFields
		if who.User < 0 && who.Fields != nil {
			fields = func(int) [][]int32 { return who.Fields }
		}
		add := func(row int, weight float32) { kernel.Axpy(weight, users[row*d:(row+1)*d], dst) }
		switch {
		case who.User >= 0:
			each(who.User, fields, k.Train.Rows(), true, add)
			return nil
		case who.Fields != nil:
			each(0, fields, k.Train.Rows(), false, add)
		default:
			copy(dst, mean)
		}
		if len(who.Clicks) == 0 {
			return nil
		}
		near := append([]float32(nil), dst...)
		kernel.Scale(float32(c.Prior/(c.Prior+float64(len(who.Clicks)))), near)
		return fold.Vector(dst, who.Clicks, near)
	}}, nil
}

// Pair implements Hard: by numbers alone.
func (c MF) Pair(s *nn.Store) func(user, item int32) float32 {
	d := int32(c.Dim)
	users, items := floats(s, "user.weight"), floats(s, "item.weight")
	return func(user, item int32) float32 {
		x := kernel.Dot(users[user*d:(user+1)*d], items[item*d:(item+1)*d])
		if c.Bias {
			x += floats(s, "item.bias")[item]
		}
		return x
	}
}

// Flips implements Doubting.
func (c MF) Flips(s *nn.Store) func(user, item int32) float64 {
	if !op.Flips(c.Loss) {
		return nil
	}
	d := int32(c.FlipDim)
	p, q := floats(s, "user_flip.weight"), floats(s, "item_flip.weight")
	return func(user, item int32) float64 {
		return 1 / (1 + math.Exp(-float64(kernel.Dot(p[user*d:(user+1)*d], q[item*d:(item+1)*d]))))
	}
}
