package recommender

import (
	"context"
	"fmt"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recommend"
)

// ItemKNN recommends the nearest neighbours of what a user has chosen, see [recommend.Neighbours].
type ItemKNN struct {
	Neighbours int     `toml:"neighbours" doc:"most similar items that are kept of each"`
	Shrink     float64 `toml:"shrink" doc:"added to the denominator of the cosine, so that two items with few users are less alike"`
	Parts      int     `toml:"parts" doc:"rounds in which the items are gone through, each of which is saved"`
}

// DefaultItemKNN returns the values of keys that a config leaves out.
func DefaultItemKNN() ItemKNN { return ItemKNN{Neighbours: 100, Shrink: 10, Parts: 8} }

// Validate implements model.Body.
func (c ItemKNN) Validate(r *configs.Report) {
	r.AtLeast("neighbours", 1)
	r.AtLeast("shrink", 0)
	r.AtLeast("parts", 1)
}

// Layout implements model.Body.
func (c ItemKNN) Layout() string { return fmt.Sprintf("%d neighbours of each item", c.Neighbours) }

// Blocks implements model.Body.
func (ItemKNN) Blocks() int { return 0 }

// kept is how many neighbours of so many items there may be.
func (c ItemKNN) kept(items int) int { return min(c.Neighbours, max(1, items-1)) }

// Network implements model.Whole: the arrays similarities [items, neighbours] and, of integers, nearest [items*neighbours].
func (c ItemKNN) Network(d model.Dims) (model.Network, error) {
	n := c.kept(d.Items)
	return arrays{func(b *nn.Builder) {
		b.Weight("similarities", nn.Constant(0), d.Items, n)
		b.Index("nearest", d.Items*n, func(*rng.Source) []int32 { return make([]int32, d.Items*n) })
	}}, catalogue(d)
}

// Rounds implements Solver.
func (c ItemKNN) Rounds() int { return c.Parts }

// Solve implements Solver.
func (c ItemKNN) Solve(_ context.Context, round int, s *nn.Store, k Known) (float64, error) {
	n := k.Train.Columns
	return c.neighbours(s, n).Find(k.Train, k.Transposed(), c.Shrink, n*round/c.Parts, n*(round+1)/c.Parts), nil
}

func (c ItemKNN) neighbours(s *nn.Store, items int) recommend.Neighbours {
	return recommend.Neighbours{N: items, K: c.kept(items), Nearest: s.Index("nearest"), Similar: floats(s, "similarities")}
}

// Scorer implements Body.
func (c ItemKNN) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	n := c.neighbours(s.Store(), k.Train.Columns)
	for _, i := range n.Nearest {
		if int(i) >= n.N {
			return nil, fmt.Errorf("model: nearest has item %d of %d", i, n.N)
		}
	}
	return n, nil
}
