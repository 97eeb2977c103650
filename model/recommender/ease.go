package recommender

import (
	"context"
	"fmt"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recommend"
)

// EASE is the item-to-item model of [recommend.EASE].
type EASE struct {
	Lambda    float64 `toml:"lambda" doc:"weight of the squares of the model"`
	Parts     int     `toml:"parts" doc:"rounds in which the matrix is inverted, each of which is saved"`
	Precision string  `toml:"precision" doc:"numbers that are computed with; what is kept in the end is float32" choices:"float32|float64"`
}

// DefaultEASE returns the values of keys that a config leaves out.
func DefaultEASE() EASE { return EASE{Lambda: 300, Parts: 8, Precision: "float32"} }

// Validate implements model.Body.
func (c EASE) Validate(r *configs.Report) {
	r.Within("lambda", c.Lambda > 0 && c.Lambda < 1e12, "a finite number above 0")
	r.AtLeast("parts", 1)
	r.OneOf("precision")
}

// Layout implements model.Body.
func (c EASE) Layout() string {
	return fmt.Sprintf("a weight of each pair of items or, of fewer, users, lambda %g", c.Lambda)
}

// Blocks implements model.Body.
func (EASE) Blocks() int { return 0 }

// Network implements model.Whole: the array matrix [n, n], with n the smaller number of users and items; diagonal [items] where those
// are the users, and rest [n, n] of float64.
func (c EASE) Network(d model.Dims) (model.Network, error) {
	n := min(d.Users, d.Items)
	return arrays{func(b *nn.Builder) {
		b.Weight("matrix", nn.Constant(0), n, n)
		if recommend.ByUsers(d.Users, d.Items) {
			b.Weight("diagonal", nn.Constant(1), d.Items)
		}
		if c.Precision == "float64" {
			b.Weight("rest", nn.Constant(0), n, n)
		}
	}}, catalogue(d)
}

// Rounds implements Solver.
func (c EASE) Rounds() int { return c.Parts }

func (c EASE) arrays(s *nn.Store) recommend.EASE {
	e := recommend.EASE{Lambda: c.Lambda, Matrix: floats(s, "matrix")}
	if d := s.Get("diagonal"); d != nil {
		e.Diagonal = d.Float32s()
	}
	if d := s.Get("rest"); d != nil {
		e.Rest = d.Float32s()
	}
	return e
}

// Solve implements Solver.
func (c EASE) Solve(_ context.Context, round int, s *nn.Store, k Known) (float64, error) {
	return c.arrays(s).Round(k.Train, k.Transposed(), round, c.Parts)
}

// Scorer implements Body.
func (c EASE) Scorer(s *model.Session, k Known) (recommend.Scorer, error) {
	return c.arrays(s.Store()).Scorer(k.Train), nil
}
