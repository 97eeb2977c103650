package recommender

import (
	"context"
	"fmt"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recommend"
)

// PureSVD scores by the leading right singular vectors of the interactions, see [recommend.Power].
type PureSVD struct {
	Dim    int `toml:"dim" doc:"singular vectors"`
	Sweeps int `toml:"sweeps" doc:"rounds of subspace iteration, each of which is saved"`
}

// spare is how many more vectors are iterated on: the leading ones converge the faster (Halko, Martinsson and Tropp 2011).
const spare = 8

// DefaultPureSVD returns the values of keys that a config leaves out.
func DefaultPureSVD() PureSVD { return PureSVD{Dim: 32, Sweeps: 8} }

// Validate implements model.Body.
func (c PureSVD) Validate(r *configs.Report) {
	r.AtLeast("dim", 1)
	r.AtLeast("sweeps", 1)
}

// Layout implements model.Body.
func (c PureSVD) Layout() string { return fmt.Sprintf("%d singular vectors", c.Dim) }

// Blocks implements model.Body.
func (PureSVD) Blocks() int { return 0 }

// width is how many vectors are iterated on, and how many of them count.
func (c PureSVD) width(users, items int) (r, d int) {
	r = min(c.Dim+spare, users, items)
	return r, min(c.Dim, r)
}

// Network implements model.Whole: the array item_vectors [items, dim+8], of which those after dim are zero in the end.
func (c PureSVD) Network(d model.Dims) (model.Network, error) {
	r, _ := c.width(d.Users, d.Items)
	return arrays{func(b *nn.Builder) { b.Weight("item_vectors", nn.Normal(1), d.Items, r) }}, catalogue(d)
}

// Rounds implements Solver.
func (c PureSVD) Rounds() int { return c.Sweeps }

// Solve implements Solver.
func (c PureSVD) Solve(ctx context.Context, round int, s *nn.Store, k Known) (float64, error) {
	r, d := c.width(k.Train.Rows(), k.Train.Columns)
	return recommend.Power(ctx, floats(s, "item_vectors"), k.Train, k.Transposed(), r, d, round == c.Sweeps-1)
}

// Scorer implements Body.
func (c PureSVD) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	r, _ := c.width(k.Train.Rows(), k.Train.Columns)
	v := floats(s.Store(), "item_vectors")
	return recommend.Projection(v, r), nil
}
