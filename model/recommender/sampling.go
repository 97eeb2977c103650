package recommender

import (
	"math"
	"slices"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recommend"
)

// Learner is a body that trains by gradients, on what users have chosen beside items that are drawn.
type Learner interface {
	Body
	Samples() Sampling
	// Feed gives a batch to a program.
	Feed(p *model.Program, k Known, b Batch)
}

// Hard is a learner that can score single pairs for sampler's hardest.
type Hard interface {
	// Pair is a score that orders items as the network does.
	Pair(s *nn.Store) func(user, item int32) float32
}

// Doubting is a learner that learns how often what was not chosen is liked.
type Doubting interface {
	// Flips are those chances of some pairs; nil: its loss learns none.
	Flips(s *nn.Store) func(user, item int32) float64
}

// Batch is what a step learns from: each user with an item that he has chosen, and after it those that were drawn.
type Batch struct {
	Users []int32
	Items []int32 // for each user 1 + Negatives
	Times []int64 // of each choice; nil: not known
	Step  uint64  // of the run, for what is drawn besides
	Seed  uint64
}

// Sampling are the keys of what a network learns from.
type Sampling struct {
	Loss string  `toml:"loss" doc:"what is minimised over an item that was chosen and one that was not; the nbpo ones learn how often the latter is liked all the same" choices:"bpr|bpo|smoothed_bpo|nbpo|nbpo_o|nbpo_s|softmax"`
	Flip float64 `toml:"flip" doc:"of smoothed_bpo, the constant chance that an item which was not chosen is liked"`

	Negatives  int    `toml:"negatives" doc:"items drawn beside each that was chosen"`
	Sampler    string `toml:"sampler" doc:"how they are drawn: each alike, by the 0.75th power of how often it was chosen, or those that others of the batch have chosen" choices:"uniform|popular|in_batch"`
	Hardest    int    `toml:"hardest" doc:"items of which the one with the highest score is taken for each that is drawn; 1: none is chosen so"`
	RejectSeen bool   `toml:"reject_seen" doc:"what a user has chosen is never drawn for him"`
}

// DefaultSampling returns the values of keys that a config leaves out.
func DefaultSampling() Sampling {
	return Sampling{Loss: "bpr", Flip: 0.5, Negatives: 4, Sampler: "uniform", Hardest: 1, RejectSeen: true}
}

// Validate reports every key that is wrong.
func (s Sampling) Validate(r *configs.Report) {
	r.OneOf("loss")
	r.OneOf("sampler")
	r.Within("flip", s.Flip >= 0 && s.Flip < 1, "0 to less than 1")
	r.AtLeast("negatives", 1)
	r.AtLeast("hardest", 1)
}

// Samples implements Learner.
func (s Sampling) Samples() Sampling { return s }

// rank adds the loss of scores [B, C] to a graph; flips makes what the loss may want besides.
func (s Sampling) rank(g *model.Graph, scores *G.Node, flips func() *G.Node) {
	g.Output("scores", scores)
	g.Loss(func() *G.Node {
		var f *G.Node
		if op.Flips(s.Loss) {
			f = flips()
		}
		return op.Ranking(g.Tape, s.Loss, s.Flip, scores, f)
	})
}

// popularPower is what the shares of items are raised to (Mikolov et al. 2013).
const popularPower = 0.75

// Drawer draws an item beside those that a batch has chosen, of all that train has: no other is learned about.
func (s Sampling) Drawer(train recommend.Sets) func(r *rng.Source, b *Batch) int32 {
	counts := make([]int, train.Columns)
	for _, i := range train.Items {
		counts[i]++
	}
	var pool []int32
	var sums []float64 // of the shares up to each of the pool
	var sum float64
	for i, n := range counts {
		if n > 0 {
			pool = append(pool, int32(i))
			sum += math.Pow(float64(n), popularPower)
			sums = append(sums, sum)
		}
	}
	switch s.Sampler {
	case "popular":
		return func(r *rng.Source, _ *Batch) int32 {
			at, _ := slices.BinarySearch(sums, r.Float64()*sum)
			return pool[min(at, len(pool)-1)]
		}
	case "in_batch":
		return func(r *rng.Source, b *Batch) int32 {
			return b.Items[r.Intn(len(b.Users))*(len(b.Items)/len(b.Users))]
		}
	}
	return func(r *rng.Source, _ *Batch) int32 { return pool[r.Intn(len(pool))] }
}
