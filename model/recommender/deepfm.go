package recommender

import (
	"fmt"
	"sync"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recommend"
)

// DeepFM scores a pair by all its fields, the numbers of user and item among them (Guo, Tang, Ye, Li and He, "DeepFM", IJCAI 2017): with
// e_f the vector of field f, the mean of those of its values, and U and I the fields of the user and of the item,
//
//	s(u, i) = w_u + w_i + Σ_{f in U, g in I} e_f . e_g + Σ_{f<g in I} e_f . e_g + MLP([e_1; ..; e_m])
//
// Products of two fields of the user are left out: they are the same for all items.
type DeepFM struct {
	Sampling
	Dim     int     `toml:"dim" doc:"width of a vector"`
	Hidden  int     `toml:"hidden" doc:"width of the hidden layer"`
	InitStd float64 `toml:"init_std" doc:"standard deviation of the first vectors of values"`
}

// DefaultDeepFM returns the values of keys that a config leaves out.
func DefaultDeepFM() DeepFM {
	return DeepFM{Sampling: DefaultSampling(), Dim: 32, Hidden: 32, InitStd: 0.1}
}

// Validate implements model.Body.
func (c DeepFM) Validate(r *configs.Report) {
	r.AtLeast("dim", 1)
	r.AtLeast("hidden", 1)
	r.Within("init_std", c.InitStd > 0 && c.InitStd < 100, "more than 0")
}

// Layout implements model.Body.
func (c DeepFM) Layout() string {
	return fmt.Sprintf("a factorization machine of width %d beside a layer of %d, loss %s", c.Dim, c.Hidden, c.Loss)
}

// Blocks implements model.Body.
func (DeepFM) Blocks() int { return 0 }

// Network implements model.Whole.
func (c DeepFM) Network(d model.Dims) (model.Network, error) {
	return deepfm{c, d.Catalogue}, catalogue(d)
}

type deepfm struct {
	DeepFM
	d model.Catalogue
}

// Least implements model.Network.
func (deepfm) Least() model.Shape { return model.Shape{Rows: 1, Length: 2} }

// Build implements model.Network.
func (n deepfm) Build(g *model.Graph) error {
	if op.Flips(n.Loss) {
		g.Refuse("loss = %q learns a chance for each pair of numbers, which new users and items have not; want smoothed_bpo", n.Loss)
	}
	rows, c := g.Shape.Rows, max(2, g.Shape.Length)
	many := rows * c
	user, item := towers{d: n.d}.sides()
	mu, mi := 1+user.fields, 1+item.fields
	ub, ib := newBag(g, "user", rows*mu, user.width()), newBag(g, "item", many*mi, item.width())
	eu := ub.of(g.Sub("user").Weight("weight", nn.Normal(n.InitStd), user.count+user.values, n.Dim)) // [B*mu, D]
	ei := ib.of(g.Sub("item").Weight("weight", nn.Normal(n.InitStd), item.count+item.values, n.Dim)) // [B*C*mi, D]
	su, si := op.SumGroups(g.Tape, eu, mu), op.SumGroups(g.Tape, ei, mi)                             // [B, D], [B*C, D]
	again := make([]int, many)                                                                       // the user of each candidate
	for i := range again {
		again[i] = i / c
	}
	wide := op.Rows(g.Tape, op.Reshape(g.Tape, eu, rows, mu*n.Dim), g.Constant("again", again)) // [B*C, mu*D]
	hidden := op.Add(g.Tape, nn.NewLinear(g.Sub("mlp.user"), mu*n.Dim, n.Hidden, true, nn.Normal(0.1)).Forward(wide),
		nn.NewLinear(g.Sub("mlp.item"), mi*n.Dim, n.Hidden, false, nn.Normal(0.1)).Forward(op.Reshape(g.Tape, ei, many, mi*n.Dim))) // [B*C, H]
	own := nn.NewHead(g.Sub("mlp.out"), n.Hidden, 1, false, nn.Normal(0.1)).Forward(op.Activation(g.Tape, "relu", hidden)) // [B*C, 1]
	own = op.Add(g.Tape, own, op.SumGroups(g.Tape, ib.of(g.Sub("item").Weight("linear", nn.Constant(0), item.count+item.values, 1)), mi))
	// Σ_{f<g} e_f . e_g = (|Σ e|² - Σ |e|²) / 2
	halves := g.Floats("halves", many, 1)
	squares := op.SumGroups(g.Tape, op.Dots(g.Tape, ei, ei), mi) // [B*C, 1]
	own = op.Add(g.Tape, own, op.Add(g.Tape, op.ScaleRows(g.Tape, op.Dots(g.Tape, si, si), halves, 1), op.ScaleRows(g.Tape, squares, halves, -1)))
	scores := op.Add(g.Tape, op.Dots(g.Tape, su, si), op.Reshape(g.Tape, own, rows, c)) // [B, C]
	users := op.SumGroups(g.Tape, ub.of(g.Sub("user").Weight("linear", nn.Constant(0), user.count+user.values, 1)), mu)
	n.rank(g, op.Add(g.Tape, scores, op.Dots(g.Tape, users, g.Floats("item_ones", many, 1))), nil)
	return nil
}

// feed gives pairs to a program.
func (c DeepFM) feed(p *model.Program, k Known, users, items []one) {
	user, item := towers{d: k.Dims}.sides()
	user.fill(p, users, nil)
	item.fill(p, items, nil)
	fillOnes(p, "item_ones")
	halves := make([]float32, len(items))
	for i := range halves {
		halves[i] = 0.5
	}
	p.Floats("halves").Set(halves)
}

// Feed implements Learner.
func (c DeepFM) Feed(p *model.Program, k Known, b Batch) {
	var items []one
	for _, i := range b.Items {
		items = append(items, one{int(i), fieldsOf(k.ItemFields, int(i))})
	}
	c.feed(p, k, k.users(b), items)
}

// ReadsTime implements Timed.
func (DeepFM) ReadsTime() {}

// pairs scores by a program that sees users and items together.
type pairs struct {
	c  DeepFM
	k  Known
	p  *model.Program
	mu *sync.Mutex
	of []one // items
}

// scoredAtOnce is how many items a program scores for a user.
const scoredAtOnce = 256

// Scorer implements Body.
func (c DeepFM) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	p, err := s.Program(model.Infer, model.Shape{Rows: 1, Length: scoredAtOnce})
	if err != nil {
		return nil, err
	}
	trained := k.Transposed()
	x := pairs{c: c, k: k, p: p, mu: &sync.Mutex{}}
	for i := range k.Train.Columns {
		item := one{-1, fieldsOf(k.ItemFields, i)}
		if len(trained.Row(i)) > 0 {
			item.number = i
		}
		x.of = append(x.of, item)
	}
	return x, nil
}

// Items implements recommend.Scorer.
func (x pairs) Items() int { return len(x.of) }

// Score implements recommend.Scorer.
func (x pairs) Score(dst []float32, who []recommend.Who) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	row := make([]float32, scoredAtOnce)
	for u, w := range who {
		for lo := 0; lo < len(x.of); lo += scoredAtOnce {
			some := make([]one, scoredAtOnce)
			for i := range some {
				some[i].number = -1
			}
			n := copy(some, x.of[lo:])
			x.c.feed(x.p, x.k, []one{x.k.asUser(w.User, w.Fields, w.Time)}, some)
			if err := x.p.Run(); err != nil {
				return err
			}
			copy(dst[u*len(x.of)+lo:][:n], x.p.Output("scores").Row(row, 0))
		}
	}
	return nil
}
