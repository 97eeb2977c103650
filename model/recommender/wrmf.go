package recommender

import (
	"context"
	"fmt"

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
	Prior     float64 `toml:"prior" doc:"clicks that the mean user counts as, for a new user of few clicks; 0: he is found by his clicks alone"`
}

// DefaultWRMF returns the values of keys that a config leaves out.
func DefaultWRMF() WRMF {
	return WRMF{Dim: 64, Alpha: 4, Lambda: 30, Sweeps: 12, Precision: "float32", Prior: 3}
}

// Validate implements model.Body.
func (c WRMF) Validate(r *configs.Report) {
	r.AtLeast("dim", 1)
	r.AtLeast("sweeps", 1)
	r.Within("alpha", c.Alpha >= 0 && c.Alpha < 1e9, "0 or more")
	r.Within("lambda", c.Lambda > 0 && c.Lambda < 1e9, "more than 0")
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

// Scorer implements Body.
func (c WRMF) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	u, v := floats(s.Store(), "user_factors"), floats(s.Store(), "item_factors")
	return folded(c.Dim, u, v, nil, recommend.NewFold(c.solver(), v), c.Prior), nil
}

// folded scores by factors: those of a known user, and of a new one by fold-in around the mean user, who counts as so many clicks.
func folded(d int, u, v, bias []float32, fold *recommend.Fold, prior float64) recommend.Factors {
	mean := make([]float32, d)
	if n := len(u) / d; n > 0 {
		kernel.ColSum(mean, u, n, d, false)
		kernel.Scale(1/float32(n), mean)
	}
	return recommend.Factors{D: d, N: len(v) / d, V: v, Bias: bias, Fold: fold, Vector: func(dst []float32, who recommend.Who) error {
		if who.User >= 0 {
			copy(dst, u[who.User*d:(who.User+1)*d])
			return nil
		}
		near := make([]float32, d)
		if prior > 0 {
			kernel.Axpy(float32(prior/(prior+float64(len(who.Clicks)))), mean, near)
		}
		return fold.Vector(dst, who.Clicks, near)
	}}
}
