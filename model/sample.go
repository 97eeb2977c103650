package model

import (
	"cmp"
	"math"
	"slices"

	"sparrow/internal/rng"
)

// Sampler chooses tokens from scores: with Temperature 0 the best one, else one
// drawn from softmax(scores / Temperature), restricted first to the TopK best
// (0: all), then to the smallest set of the best whose probabilities reach TopP
// (0 or 1: all) (Holtzman et al. 2020).
type Sampler struct {
	Temperature float64
	TopK        int
	TopP        float64
	Seed        uint64
}

// chooser is a sampler of one sequence.
type chooser struct {
	Sampler
	random *rng.Source
	order  []int
	prob   []float64
}

func (s Sampler) chooser(sequence int) *chooser {
	return &chooser{Sampler: s, random: rng.New(s.Seed, "sample", uint64(sequence)<<32)}
}

// choose returns a token; ties go to the smaller one.
func (c *chooser) choose(scores []float64) int {
	if c.Temperature == 0 {
		best := 0
		for i, x := range scores {
			if x > scores[best] {
				best = i
			}
		}
		return best
	}
	c.order = c.order[:0]
	for i := range scores {
		c.order = append(c.order, i)
	}
	slices.SortFunc(c.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	if c.TopK > 0 && c.TopK < len(c.order) {
		c.order = c.order[:c.TopK]
	}
	c.prob = c.prob[:0]
	var sum float64
	for _, i := range c.order {
		p := math.Exp((scores[i] - scores[c.order[0]]) / c.Temperature)
		c.prob = append(c.prob, p)
		sum += p
	}
	if c.TopP > 0 && c.TopP < 1 {
		var reached float64
		for i, p := range c.prob {
			if reached += p; reached >= c.TopP*sum {
				c.prob, sum = c.prob[:i+1], reached
				break
			}
		}
	}
	u := c.random.Float64() * sum
	for i, p := range c.prob {
		if u -= p; u < 0 {
			return c.order[i]
		}
	}
	return c.order[len(c.prob)-1]
}
