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
	r := newRanking(scores, c.Temperature)
	n, sum := c.restrict(r)
	random := rng.New(c.Seed, "sample", uint64(sequence)<<32)
	random.Skip(uint64(place))
	u := random.Float64() * sum
	for i := range n {
		if u -= r.probability(i); u < 0 {
			return r.order[i]
		}
	}
	return r.order[n-1]
}

// restrict tells how many of the likeliest tokens may be drawn, and the sum of their probabilities.
func (c Sampler) restrict(r *ranking) (n int, sum float64) {
	n = len(r.scores)
	if c.TopK > 0 && c.TopK < n {
		n = c.TopK
		sum = r.sum(n)
	} else {
		for _, x := range r.scores {
			sum += math.Exp((x - r.top) / r.temperature)
		}
	}
	if c.TopP > 0 && c.TopP < 1 {
		var reached float64
		for i := range n {
			if reached += r.probability(i); reached >= c.TopP*sum {
				n, sum = i+1, reached
				break
			}
		}
	}
	if c.MinP > 0 {
		for i := range n {
			if r.probability(i) < c.MinP*r.probability(0) {
				n = i
				break
			}
		}
		sum = r.sum(n)
	}
	return n, sum
}

// ranking is the tokens from the likeliest on, sorted as far as anyone has asked: a draw seldom looks at more than some hundred of
// a large vocabulary.
type ranking struct {
	scores           []float64
	temperature, top float64
	order            []int   // of the tokens whose scores are at least taken
	taken, width     float64 // the next band is as wide as that, in nats
}

func newRanking(scores []float64, temperature float64) *ranking {
	return &ranking{scores: scores, temperature: temperature, top: slices.Max(scores), taken: math.Inf(1), width: 2}
}

// probability is what that of the i-th likeliest token is in proportion to.
func (r *ranking) probability(i int) float64 {
	for i >= len(r.order) {
		r.extend()
	}
	return math.Exp((r.scores[r.order[i]] - r.top) / r.temperature)
}

// extend sorts the next band of tokens.
func (r *ranking) extend() {
	low := r.top - r.width*r.temperature
	if r.width *= 2; r.width > 1<<11 { // beyond which all probabilities are 0
		low = math.Inf(-1)
	}
	n := len(r.order)
	for i, x := range r.scores {
		if x >= low && x < r.taken {
			r.order = append(r.order, i)
		}
	}
	r.taken = low
	slices.SortFunc(r.order[n:], func(a, b int) int {
		return cmp.Or(cmp.Compare(r.scores[b], r.scores[a]), cmp.Compare(a, b))
	})
}

// sum is that of the n likeliest tokens.
func (r *ranking) sum(n int) (sum float64) {
	for i := range n {
		sum += r.probability(i)
	}
	return sum
}
