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

// Choose returns the token at a place of a sequence, of several the one of that number:
// the draw is a function of the seed and these two. Ties go to the smaller token.
func (c Sampler) Choose(scores []float64, sequence, place int) int {
	if c.Temperature == 0 {
		best := 0
		for i, x := range scores {
			if x > scores[best] {
				best = i
			}
		}
		return best
	}
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	if c.TopK > 0 && c.TopK < len(order) {
		order = order[:c.TopK]
	}
	var prob []float64
	var sum float64
	for _, i := range order {
		p := math.Exp((scores[i] - scores[order[0]]) / c.Temperature)
		prob = append(prob, p)
		sum += p
	}
	if c.TopP > 0 && c.TopP < 1 {
		var reached float64
		for i, p := range prob {
			if reached += p; reached >= c.TopP*sum {
				prob, sum = prob[:i+1], reached
				break
			}
		}
	}
	random := rng.New(c.Seed, "sample", uint64(sequence)<<32)
	random.Skip(uint64(place))
	u := random.Float64() * sum
	for i, p := range prob {
		if u -= p; u < 0 {
			return order[i]
		}
	}
	return order[len(prob)-1]
}
