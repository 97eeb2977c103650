package recommender

import (
	"context"
	"fmt"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/recommend"
)

// Body is a network that recommends.
type Body interface {
	model.Body
	model.Whole

	// Scorer is what the session's weights score by.
	Scorer(s *model.Session, k Known) (recommend.Scorer, error)
}

// Solver is a body whose weights are computed in rounds.
type Solver interface {
	Body
	Rounds() int

	// Solve makes a round, which counts from 0, of the store's arrays, which are all that it has of earlier ones, and returns what it
	// minimises.
	Solve(ctx context.Context, round int, s *nn.Store, k Known) (loss float64, err error)
}

// Known is what a body is told of the data.
type Known struct {
	Train recommend.Sets
	Users *recommend.Sets // Train transposed; nil: see Transposed

	Dims       model.Catalogue
	UserFields func(user int) [][]int32 // numbers of the values of each field; nil: there are none
	ItemFields func(item int) [][]int32
	Context    func(seconds int64) [][]int32 // of the time of a choice; nil: there are none
}

// Timed is a body that reads the time of a choice.
type Timed interface{ ReadsTime() }

// Transposed has the users of each item.
func (k *Known) Transposed() recommend.Sets {
	if k.Users == nil {
		t := k.Train.Transpose()
		k.Users = &t
	}
	return *k.Users
}

// arrays is a network that is its arrays: what computes with them is no graph.
type arrays struct{ declare func(b *nn.Builder) }

// Build implements model.Network.
func (a arrays) Build(g *model.Graph) error {
	a.declare(g.Builder)
	g.Output("rows", g.Floats("rows", g.Shape.Rows, 1))
	return nil
}

// Least implements model.Network.
func (arrays) Least() model.Shape { return model.Shape{Rows: 1, Length: 1} }

// floats are the values of an array in a store.
func floats(s *nn.Store, name string) []float32 { return s.Get(name).Float32s() }

// catalogue refuses sizes of other data.
func catalogue(d model.Dims) error {
	if d.Catalogue == (model.Catalogue{}) {
		return fmt.Errorf("model: a network that recommends wants users and items; want [data] source = \"interactions\"")
	}
	return nil
}
