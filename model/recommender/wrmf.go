package recommender

import (
	"context"
	"fmt"
	"slices"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recommend"
)

// WRMF is weighted matrix factorization by alternating least squares, see [recommend.WRMF].
type WRMF struct {
	Dim       int     `toml:"dim" doc:"factors of a user and of an item"`
	Alpha     float64 `toml:"alpha" doc:"how much more an interaction weighs than none"`
	Lambda    float64 `toml:"lambda" doc:"weight of the squares of the factors"`
	Sweeps    int     `toml:"sweeps" doc:"times that users and then items are solved for; each half is a round, which is saved"`
	Precision string  `toml:"precision" doc:"numbers that are computed with; factors are kept in float32" choices:"float32|float64"`
	Ridge     float64 `toml:"ridge" doc:"weight of the squares of the map from fields to factors, by which new users and items are found that have fields"`
	Prior     float64 `toml:"prior" doc:"clicks that the mean user counts as, for a new user of few clicks; 0: he is found by his clicks alone"`
}

// DefaultWRMF returns the values of keys that a config leaves out.
func DefaultWRMF() WRMF {
	return WRMF{Dim: 64, Alpha: 4, Lambda: 30, Sweeps: 12, Precision: "float32", Ridge: 10, Prior: 3}
}

// Validate implements model.Body.
func (c WRMF) Validate(r *configs.Report) {
	r.AtLeast("dim", 1)
	r.AtLeast("sweeps", 1)
	r.Within("alpha", c.Alpha >= 0 && c.Alpha < 1e9, "0 or more")
	r.Within("lambda", c.Lambda > 0 && c.Lambda < 1e9, "more than 0")
	r.Within("ridge", c.Ridge > 0 && c.Ridge < 1e12, "more than 0")
	r.Within("prior", c.Prior >= 0 && c.Prior < 1e9, "0 or more")
	r.OneOf("precision")
}

// Layout implements model.Body.
func (c WRMF) Layout() string { return fmt.Sprintf("%d factors", c.Dim) }

// Blocks implements model.Body.
func (WRMF) Blocks() int { return 0 }

// itemInit is the standard deviation of the items' first factors; those of users follow from them.
const itemInit = 0.01

// Network implements model.Whole: the arrays user_factors [users, dim] and item_factors [items, dim].
func (c WRMF) Network(d model.Dims) (model.Network, error) {
	return arrays{func(b *nn.Builder) {
		b.Weight("user_factors", nn.Constant(0), d.Users, c.Dim)
		b.Weight("item_factors", nn.Normal(itemInit), d.Items, c.Dim)
	}}, catalogue(d)
}

// Rounds implements Solver.
func (c WRMF) Rounds() int { return 2 * c.Sweeps }

func (c WRMF) solver() recommend.WRMF {
	return recommend.WRMF{D: c.Dim, Alpha: c.Alpha, Lambda: c.Lambda}
}

// Solve implements Solver: even rounds are for users, odd ones for items.
func (c WRMF) Solve(_ context.Context, round int, s *nn.Store, k Known) (float64, error) {
	to, from, x := floats(s, "user_factors"), floats(s, "item_factors"), k.Train
	if round%2 == 1 {
		to, from, x = from, to, k.Transposed()
	}
	return c.solver().Half(to, from, x, c.Precision == "float64")
}

// Scorer implements Body. Items of whom training saw nothing have the factors that a ridge regression tells from their fields, and new
// users start from those that another tells from theirs, or else from the mean user.
func (c WRMF) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	u, v, d := floats(s.Store(), "user_factors"), floats(s.Store(), "item_factors"), c.Dim
	trained := k.Transposed()
	if k.ItemFields != nil {
		ridge, err := c.ridge(v, k.Dims.ItemValues, k.ItemFields, trained)
		if err != nil {
			return nil, err
		}
		v = slices.Clone(v)
		for i := range k.Train.Columns {
			if len(trained.Row(i)) == 0 {
				ridge.Vector(v[i*d:(i+1)*d], func(f func(int, float32)) { each(i, k.ItemFields, 0, false, f) })
			}
		}
	}
	mean := make([]float32, d)
	known := 0
	for row := range k.Train.Rows() {
		if len(k.Train.Row(row)) > 0 {
			known++
			kernel.Axpy(1, u[row*d:(row+1)*d], mean)
		}
	}
	kernel.Scale(1/float32(max(known, 1)), mean)
	var ridge *recommend.Ridge
	if k.UserFields != nil {
		var err error
		if ridge, err = c.ridge(u, k.Dims.UserValues, k.UserFields, k.Train); err != nil {
			return nil, err
		}
	}
	fold := recommend.NewFold(c.solver(), v)
	return recommend.Factors{D: d, N: k.Train.Columns, V: v, Fold: fold, Vector: func(dst []float32, who recommend.Who) error {
		if who.User >= 0 {
			copy(dst, u[who.User*d:(who.User+1)*d])
			return nil
		}
		near := slices.Clone(mean)
		if ridge != nil && who.Fields != nil {
			ridge.Vector(near, func(f func(int, float32)) { each(0, func(int) [][]int32 { return who.Fields }, 0, false, f) })
		}
		if n := float64(len(who.Clicks)); n > 0 {
			kernel.Scale(float32(c.Prior/(c.Prior+n)), near)
		}
		if len(who.Clicks) == 0 {
			copy(dst, near)
			return nil
		}
		return fold.Vector(dst, who.Clicks, near)
	}}, nil
}

// ridge is the map from fields to the factors of those that training saw.
func (c WRMF) ridge(of []float32, values int, fields func(int) [][]int32, trained recommend.Sets) (*recommend.Ridge, error) {
	return recommend.NewRidge(of, c.Dim, values, func(i int, f func(int, float32)) { each(i, fields, 0, false, f) },
		func(i int) bool { return len(trained.Row(i)) > 0 }, c.Ridge)
}
