package recommender

import (
	"fmt"
	"sync"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recommend"
)

// TwoTower makes a vector of a user and one of an item from their fields, of which their numbers are one each, dropped at random in
// training, so that users and items without one are served as well. With e_f the vector of field f, the mean of those of its values,
//
//	g = 2 σ(W2 relu(W1 [e_1; ..; e_m]))        gates, in (0, 2)
//	h = Σ_f g_f e_f + MLP([g_1 e_1; ..; g_m e_m])
//	s(u, i) = h_u . h_i + b_i + w . h_i        b_i of items with a number
//
// and the loss has contrastive times InfoNCE over two views of each user and item, which lack fields at random. It is a reading of
// Hu, An, Yu, Du and Luo, "Contrastive Learning for Cold Start Recommendation with Adaptive Feature Fusion" (2025), whose equations are
// not public. The sum alone is LightFM.
type TwoTower struct {
	Sampling
	Dim          int     `toml:"dim" doc:"width of a vector"`
	Gates        bool    `toml:"gates" doc:"fields have weights that depend on all of them"`
	Fusion       bool    `toml:"fusion" doc:"a layer over all fields is added to their sum"`
	Hidden       int     `toml:"hidden" doc:"width of the hidden layers of gates and fusion"`
	IDDropout    float64 `toml:"id_dropout" doc:"share of examples whose user or item is seen without its number"`
	Contrastive  float64 `toml:"contrastive" doc:"weight of InfoNCE in the loss; 0: none"`
	FieldDropout float64 `toml:"field_dropout" doc:"share of fields that a view of InfoNCE lacks"`
	Temperature  float64 `toml:"temperature" doc:"divides the cosines of InfoNCE"`
	InitStd      float64 `toml:"init_std" doc:"standard deviation of the first vectors of values"`

	FoldAlpha  float64 `toml:"fold_alpha" doc:"of a new user with clicks, how much more one weighs than none"`
	FoldLambda float64 `toml:"fold_lambda" doc:"weight of the distance of his vector from that of his fields"`
	Prior      float64 `toml:"prior" doc:"clicks that his fields count as; 0: he is found by his clicks alone"`
}

// DefaultTwoTower returns the values of keys that a config leaves out.
func DefaultTwoTower() TwoTower {
	return TwoTower{Sampling: DefaultSampling(), Dim: 32, Gates: true, Fusion: true, Hidden: 32, IDDropout: 0.5, FieldDropout: 0.3, Temperature: 0.2,
		InitStd: 0.1, FoldAlpha: 4, FoldLambda: 10, Prior: 3}
}

// Validate implements model.Body.
func (c TwoTower) Validate(r *configs.Report) {
	r.AtLeast("dim", 1)
	r.AtLeast("hidden", 1)
	share := func(key string, x float64) { r.Within(key, x >= 0 && x < 1, "0 to less than 1") }
	share("id_dropout", c.IDDropout)
	share("field_dropout", c.FieldDropout)
	r.Within("contrastive", c.Contrastive >= 0 && c.Contrastive < 1e6, "0 or more")
	r.Within("temperature", c.Temperature > 0 && c.Temperature < 1e6, "more than 0")
	r.Within("init_std", c.InitStd > 0 && c.InitStd < 100, "more than 0")
	r.Within("fold_alpha", c.FoldAlpha >= 0 && c.FoldAlpha < 1e9, "0 or more")
	r.Within("fold_lambda", c.FoldLambda > 0 && c.FoldLambda < 1e9, "more than 0")
	r.Within("prior", c.Prior >= 0 && c.Prior < 1e9, "0 or more")
}

// Layout implements model.Body.
func (c TwoTower) Layout() string {
	return fmt.Sprintf("towers of width %d, gates %t, fusion %t, loss %s", c.Dim, c.Gates, c.Fusion, c.Loss)
}

// Blocks implements model.Body.
func (TwoTower) Blocks() int { return 0 }

// Network implements model.Whole.
func (c TwoTower) Network(d model.Dims) (model.Network, error) {
	return towers{c, d.Catalogue}, catalogue(d)
}

// towers is its network.
type towers struct {
	TwoTower
	d model.Catalogue
}

// side is what a tower reads.
type side struct {
	name          string
	count, values int // users or items, and values of their fields
	fields, most  int // without the number; most values of one
}

func (n towers) sides() (user, item side) {
	return side{"user", n.d.Users, n.d.UserValues + n.d.TimeValues, n.d.UserFields + n.d.TimeFields, n.d.UserLength}, side{"item", n.d.Items, n.d.ItemValues, n.d.ItemFields, n.d.ItemLength}
}

// width is how many ids the bag of a field has.
func (s side) width() int { return max(1, s.most) }

// Least implements model.Network.
func (towers) Least() model.Shape { return model.Shape{Rows: 1, Length: 2} }

// Build implements model.Network.
func (n towers) Build(g *model.Graph) error {
	rows := g.Shape.Rows
	many := rows * max(2, g.Shape.Length)
	user, item := n.sides()
	views := 0
	if n.Contrastive > 0 && g.Mode != model.Infer {
		views = 2 * rows
	}
	u, gu := n.tower(g, user, rows+views) // [B (+2B), D]
	v, _ := n.tower(g, item, many+views)  // [B*C (+2B), D]
	take := func(name string, x *G.Node, lo, hi int) *G.Node {
		places := make([]int, hi-lo)
		for i := range places {
			places[i] = lo + i
		}
		return op.Rows(g.Tape, x, g.Constant(name, places))
	}
	hu, hi := u, v
	if views > 0 {
		hu, hi = take("users", u, 0, rows), take("items", v, 0, many)
	}
	bias := newBag(g, "item_bias", many, 1).of(g.Sub("item").Weight("bias", nn.Constant(0), n.d.Items, 1))     // [B*C, 1]
	bias = op.Add(g.Tape, bias, nn.NewHead(g.Sub("popularity"), n.Dim, 1, false, nn.Normal(0.01)).Forward(hi)) // [B*C, 1]
	scores := op.Add(g.Tape, op.Dots(g.Tape, hu, hi), op.Dots(g.Tape, g.Floats("user_ones", rows, 1), bias))   // [B, C]
	g.Output("user_vectors", hu)
	g.Output("item_vectors", hi)
	g.Output("item_offsets", bias)
	if gu != nil {
		g.Output("user_gates", gu)
	}
	if op.Flips(n.Loss) {
		g.Refuse("loss = %q learns a chance for each pair of numbers, which new users and items have not; want smoothed_bpo", n.Loss)
	}
	n.rank(g, scores, nil)
	if views > 0 {
		weight := n.Contrastive * float64(n.Negatives) / 2 // the sum is divided by pairs
		g.Loss(func() *G.Node {
			return op.Add(g.Tape,
				op.InfoNCE(g.Tape, take("user_views", u, rows, rows+views), g.Ints("user_marks", rows), n.Temperature, weight),
				op.InfoNCE(g.Tape, take("item_views", v, many, many+views), g.Ints("item_marks", rows), n.Temperature, weight))
		})
	}
	return nil
}

// tower is the vectors of n users or items, and the gates of their fields, [n, fields], nil of none. The first field is the number.
func (n towers) tower(g *model.Graph, s side, count int) (h, gates *G.Node) {
	b := g.Sub(s.name)
	fields := 1 + s.fields
	e := newBag(g, s.name, count*fields, s.width()).of(b.Weight("weight", nn.Normal(n.InitStd), s.count+s.values, n.Dim)) // [N*m, D]
	if n.Gates && s.fields > 0 {
		x := op.Reshape(g.Tape, e, count, fields*n.Dim)
		x = op.Activation(g.Tape, "relu", nn.NewLinear(b.Sub("gates.hidden"), fields*n.Dim, n.Hidden, true, nn.Normal(0.1)).Forward(x))
		gates = op.Activation(g.Tape, "sigmoid", nn.NewLinear(b.Sub("gates.out"), n.Hidden, fields, true, nn.Normal(0.01)).Forward(x)) // [N, m]
		e = op.ScaleRows(g.Tape, e, op.Reshape(g.Tape, gates, count*fields, 1), 2)
	}
	h = op.SumGroups(g.Tape, e, fields) // [N, D]
	if n.Fusion && s.fields > 0 {
		x := op.Reshape(g.Tape, e, count, fields*n.Dim)
		x = op.Activation(g.Tape, "relu", nn.NewLinear(b.Sub("fusion.hidden"), fields*n.Dim, n.Hidden, true, nn.Normal(0.1)).Forward(x))
		h = op.Add(g.Tape, h, nn.NewLinear(b.Sub("fusion.out"), n.Hidden, n.Dim, true, nn.Normal(0.01)).Forward(x))
	}
	return h, gates
}

// one is a user or an item to make a vector of.
type one struct {
	number int // below 0: it has none
	fields [][]int32
}

// fill gives a tower what it reads. drop, unless nil, says which field of which row is left out; field 0 is the number.
func (s side) fill(p *model.Program, of []one, drop func(row, field int) bool) {
	ids, weights := p.Ints(s.name+"_ids"), p.Floats(s.name+"_weights")
	values := make([]float32, len(ids))
	clear(ids)
	fields, width := 1+s.fields, s.width()
	for row, x := range of {
		at := row * fields * width
		if x.number >= 0 && (drop == nil || !drop(row, 0)) {
			ids[at], values[at] = x.number, 1
		}
		for f, of := range x.fields {
			if drop != nil && drop(row, 1+f) {
				continue
			}
			for k, v := range of {
				i := at + (1+f)*width + k
				ids[i], values[i] = s.count+int(v), 1/float32(len(of))
			}
		}
	}
	weights.Set(values)
}

// fieldsOf are those of a number; nil: there are none.
func fieldsOf(of func(int) [][]int32, i int) [][]int32 {
	if of == nil {
		return nil
	}
	return of(i)
}

// ReadsTime implements Timed.
func (TwoTower) ReadsTime() {}

// asUser is a user at a time: his fields, and then those of the time.
func (k Known) asUser(number int, fields [][]int32, seconds int64) one {
	if k.Context == nil {
		return one{number, fields}
	}
	all := make([][]int32, k.Dims.UserFields, k.Dims.UserFields+k.Dims.TimeFields)
	copy(all, fields)
	for _, of := range k.Context(seconds) {
		var moved []int32
		for _, v := range of {
			moved = append(moved, v+int32(k.Dims.UserValues))
		}
		all = append(all, moved)
	}
	return one{number, all}
}

// users are those of a batch.
func (k Known) users(b Batch) (all []one) {
	for row, u := range b.Users {
		var at int64
		if b.Times != nil {
			at = b.Times[row]
		}
		all = append(all, k.asUser(int(u), fieldsOf(k.UserFields, int(u)), at))
	}
	return all
}

// Feed implements Learner.
func (c TwoTower) Feed(p *model.Program, k Known, b Batch) {
	n := towers{c, k.Dims}
	user, item := n.sides()
	training := p.Mode == model.Train
	r := rng.New(b.Seed, "recommender/towers", b.Step)
	for _, x := range []struct {
		side
		of     []int32
		fields func(int) [][]int32
		first  int // of of, those that have views: each so many
	}{{user, b.Users, k.UserFields, 1}, {item, b.Items, k.ItemFields, len(b.Items) / len(b.Users)}} {
		var all []one
		if x.name == "user" {
			all = k.users(b)
		} else {
			for _, i := range x.of {
				all = append(all, one{int(i), fieldsOf(x.fields, int(i))})
			}
		}
		plain := len(all)
		if c.Contrastive > 0 {
			for range 2 {
				for i := 0; i < plain; i += x.first {
					all = append(all, all[i])
				}
			}
			marks, seen := p.Ints(x.name+"_marks"), map[int32]bool{}
			for i := range marks {
				of := x.of[i*x.first]
				if marks[i] = 0; seen[of] {
					marks[i] = op.Ignored
				}
				seen[of] = true
			}
		}
		gone := map[int]bool{} // rows without their number
		if training {
			for row := range plain {
				if r.Float64() < c.IDDropout {
					gone[row] = true
				}
			}
		}
		x.side.fill(p, all, func(row, field int) bool {
			if row >= plain {
				return r.Float64() < c.FieldDropout
			}
			return field == 0 && gone[row]
		})
		if x.name == "item" {
			feedBias(p, all[:plain], gone)
		}
	}
	fillOnes(p, "user_ones")
}

// feedBias gives items with a number their biases.
func feedBias(p *model.Program, items []one, gone map[int]bool) {
	ids, weights := p.Ints("item_bias_ids"), make([]float32, len(items))
	clear(ids)
	for row, x := range items {
		if x.number >= 0 && !gone[row] {
			ids[row], weights[row] = x.number, 1
		}
	}
	p.Floats("item_bias_weights").Set(weights)
}

// atOnce is how many users a program makes vectors of.
const atOnce = 64

// Scorer implements Body.
func (c TwoTower) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	p, err := s.Program(model.Infer, model.Shape{Rows: atOnce, Length: 2})
	if err != nil {
		return nil, err
	}
	n := towers{c, k.Dims}
	user, item := n.sides()
	items, trained := k.Train.Columns, k.Transposed()
	v, bias := make([]float32, items*c.Dim), make([]float32, items)
	for lo := 0; lo < items; lo += 2 * atOnce {
		some := make([]one, 2*atOnce)
		for i := range some {
			some[i] = one{number: -1}
			if lo+i < items {
				some[i].fields = fieldsOf(k.ItemFields, lo+i)
				if len(trained.Row(lo+i)) > 0 {
					some[i].number = lo + i
				}
			}
		}
		item.fill(p, some, nil)
		feedBias(p, some, nil)
		user.fill(p, nil, nil)
		fillOnes(p, "user_ones")
		if err := p.Run(); err != nil {
			return nil, err
		}
		vectors, offsets := p.Output("item_vectors"), p.Output("item_offsets")
		for i := range min(2*atOnce, items-lo) {
			vectors.Row(v[(lo+i)*c.Dim:(lo+i+1)*c.Dim], i)
			bias[lo+i] = float32(offsets.At(i, 0))
		}
	}
	var mu sync.Mutex
	// towerOf is the vector of a user, and the gates of his fields.
	towerOf := func(dst []float32, who recommend.Who) (gates []float32, err error) {
		mu.Lock()
		defer mu.Unlock()
		some := make([]one, 1)
		some[0] = k.asUser(who.User, who.Fields, who.Time)
		user.fill(p, some, nil)
		if err := p.Run(); err != nil {
			return nil, err
		}
		p.Output("user_vectors").Row(dst, 0)
		if c.Gates && user.fields > 0 {
			all := p.Output("user_gates")
			for f := range all.Width {
				gates = append(gates, 2*float32(all.At(0, f)))
			}
		}
		return gates, nil
	}
	known := make([]float32, k.Train.Rows()*c.Dim)
	for lo := 0; lo < k.Train.Rows(); lo += atOnce {
		hi := min(lo+atOnce, k.Train.Rows())
		var some []one
		for u := lo; u < hi; u++ {
			some = append(some, k.asUser(u, fieldsOf(k.UserFields, u), 0))
		}
		user.fill(p, some, nil)
		if err := p.Run(); err != nil {
			return nil, err
		}
		for u := lo; u < hi; u++ {
			p.Output("user_vectors").Row(known[u*c.Dim:(u+1)*c.Dim], u-lo)
		}
	}
	fold := recommend.NewFold(recommend.WRMF{D: c.Dim, Alpha: c.FoldAlpha, Lambda: c.FoldLambda}, v)
	f := recommend.Factors{D: c.Dim, N: items, V: v, Bias: bias, Fold: fold, Vector: func(dst []float32, who recommend.Who) error {
		if who.User >= 0 && (k.Context == nil || who.Time == 0) {
			copy(dst, known[who.User*c.Dim:])
			return nil
		}
		if _, err := towerOf(dst, who); err != nil || len(who.Clicks) == 0 || who.User >= 0 {
			return err
		}
		near := append([]float32(nil), dst...)
		kernel.Scale(float32(c.Prior/(c.Prior+float64(len(who.Clicks)))), near)
		return fold.Vector(dst, who.Clicks, near)
	}}
	return recommend.Gated{Factors: f, Of: func(who recommend.Who) ([]float32, error) {
		if !c.Gates || user.fields == 0 {
			return nil, nil
		}
		return towerOf(make([]float32, c.Dim), who)
	}}, nil
}
