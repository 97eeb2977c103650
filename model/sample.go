package model

import (
	"cmp"
	"math"
	"slices"

	"sparrow/internal/rng"
)

// Sampler chooses tokens from scores: with Temperature 0 the best one, else one drawn from softmax(scores / Temperature),
// restricted first to the TopK best, then to the smallest set of the best whose probabilities reach TopP (Holtzman et al. 2020),
// then to those that are at least MinP times as likely as the best (Nguyen et al. 2024). The order is that of transformers.
type Sampler struct {
	Temperature float64
	TopK        int     // 0: all
	TopP        float64 // 0 or 1: all
	MinP        float64 // 0: all

	// RepetitionPenalty makes tokens that the text has less likely, see [Sampler.Penalize]; 0 or 1: it does not.
	RepetitionPenalty float64

	Seed uint64
}

// Penalizes tells whether [Sampler.Penalize] changes anything.
func (c Sampler) Penalizes() bool { return c.RepetitionPenalty != 0 && c.RepetitionPenalty != 1 }

// Penalize divides the scores of all tokens of some texts by RepetitionPenalty, or multiplies them where they are negative, once
// each (Keskar et al. 2019, CTRL, section 4.1). It comes before all else that changes scores.
func (c Sampler) Penalize(scores []float32, texts ...[]int) {
	seen := make([]bool, len(scores))
	penalty := float32(c.RepetitionPenalty)
	for _, text := range texts {
		for _, id := range text {
			if seen[id] {
				continue
			}
			if seen[id] = true; scores[id] < 0 {
				scores[id] *= penalty
			} else {
				scores[id] /= penalty
			}
		}
	}
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
	order, prob, sum := c.candidates(scores)
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

// candidates are the tokens that may be drawn, the best first, and what their probabilities are in proportion to.
func (c Sampler) candidates(scores []float64) (order []int, prob []float64, sum float64) {
	order = make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	if c.TopK > 0 && c.TopK < len(order) {
		order = order[:c.TopK]
	}
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
	if c.MinP > 0 {
		for i, p := range prob {
			if p < c.MinP*prob[0] {
				prob = prob[:i]
				break
			}
		}
		sum = 0
		for _, p := range prob {
			sum += p
		}
	}
	return order[:len(prob)], prob, sum
}
