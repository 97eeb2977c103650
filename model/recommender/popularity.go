package recommender

import (
	"context"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recommend"
)

// Popularity recommends to everybody what most have chosen: what any other model must beat.
type Popularity struct{}

// Validate implements model.Body.
func (Popularity) Validate(*configs.Report) {}

// Layout implements model.Body.
func (Popularity) Layout() string { return "a count of each item" }

// Blocks implements model.Body.
func (Popularity) Blocks() int { return 0 }

// Network implements model.Whole: the array item_counts [items].
func (Popularity) Network(d model.Dims) (model.Network, error) {
	return arrays{func(b *nn.Builder) { b.Weight("item_counts", nn.Constant(0), d.Items) }}, catalogue(d)
}

// Rounds implements Solver.
func (Popularity) Rounds() int { return 1 }

// Solve implements Solver.
func (Popularity) Solve(_ context.Context, _ int, s *nn.Store, k Known) (float64, error) {
	return recommend.Count(floats(s, "item_counts"), k.Train), nil
}

// Scorer implements Body.
func (Popularity) Scorer(s *model.Session, _ Known) (recommend.Scorer, error) {
	return recommend.Popular{Counts: floats(s.Store(), "item_counts")}, nil
}
