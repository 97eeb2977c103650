package model

import (
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
		return likeliest(scores)
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

// likeliest is the token with the highest score, of equal ones the smallest.
func likeliest(scores []float64) (best int) {
	for i, x := range scores {
		if x > scores[best] {
			best = i
		}
	}
	return best
}

// restrict tells how many of the likeliest tokens may be drawn, and the sum of their probabilities.
func (c Sampler) restrict(r *ranking) (n int, sum float64) {
	n = len(r.scores)
	nucleus := c.TopP > 0 && c.TopP < 1
	if c.TopK > 0 && c.TopK < n {
		n = c.TopK
		if sum = r.sum(n); nucleus {
			n, sum = r.nucleus(n, c.TopP, sum, 0, func() float64 { return sum })
		}
	} else if nucleus {
		n, sum = r.nucleus(n, c.TopP, r.about(), aboutError, r.total)
	} else {
		sum = r.total()
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

// nucleus is how many of the n likeliest tokens it takes to reach a share of the sum of all, and what they reach. The sum is known
// up to a relative error; exact is asked only where that is too little to tell.
func (r *ranking) nucleus(n int, share, about, wrong float64, exact func() float64) (int, float64) {
	known := wrong == 0
	var reached float64
	for i := range n {
		reached += r.probability(i)
		if !known && reached > share*about*(1-wrong) && reached < share*about*(1+wrong) {
			about, wrong, known = exact(), 0, true
		}
		if reached >= share*about*(1+wrong) {
			return i + 1, reached
		}
	}
	return n, exact()
}

// total is the sum of what all probabilities are in proportion to.
func (r *ranking) total() (sum float64) {
	for _, x := range r.scores {
		sum += math.Exp((x - r.top) / r.temperature)
	}
	return sum
}

// aboutError bounds the relative error of ranking.about.
const aboutError = 1e-6

// about is total up to aboutError, in a fifth of the time: 2^x by its Taylor polynomial around the nearest integer.
func (r *ranking) about() (sum float64) {
	scale := math.Log2E / r.temperature
	if math.IsInf(scale, 0) {
		return r.total()
	}
	const (
		least = -1000 // powers of two below are nothing beside the largest, which is 1
		c1    = math.Ln2
		c2    = c1 * math.Ln2 / 2
		c3    = c2 * math.Ln2 / 3
		c4    = c3 * math.Ln2 / 4
		c5    = c4 * math.Ln2 / 5
		c6    = c5 * math.Ln2 / 6
	)
	for _, x := range r.scores {
		if x = (x - r.top) * scale; x < least {
			continue
		}
		whole := int(x - 0.5)
		x -= float64(whole)
		power := 1 + x*(c1+x*(c2+x*(c3+x*(c4+x*(c5+x*c6)))))
		sum += power * math.Float64frombits(uint64(whole+1023)<<52)
	}
	return sum
}

// ranking is the tokens from the likeliest on, sorted as far as anyone has asked: a draw seldom looks at more than some hundred of
// a large vocabulary.
type ranking struct {
	scores           []float64
	temperature, top float64
	order            []int    // of the tokens whose scores are at least taken
	taken, width     float64  // the next band ends that far from the likeliest, in nats
	near             []scored // tokens within nearWidth of the likeliest; nil: not gathered yet
	band             []scored // the last one, scratch
}

// scored is a token with its score.
type scored struct {
	score float64
	token int
}

func newRanking(scores []float64, temperature float64) *ranking {
	return &ranking{scores: scores, temperature: temperature, top: scores[likeliest(scores)], taken: math.Inf(1), width: 1}
}

// probability is what that of the i-th likeliest token is in proportion to.
func (r *ranking) probability(i int) float64 {
	for i >= len(r.order) {
		r.extend()
	}
	return math.Exp((r.scores[r.order[i]] - r.top) / r.temperature)
}

// nearWidth is as far as the bands of one nat reach. One pass over all scores gathers what they have.
const nearWidth = 8

// extend sorts the next band of tokens.
func (r *ranking) extend() {
	low := r.top - r.width*r.temperature
	switch {
	case r.width < nearWidth:
		r.width++
	case r.width > 1<<10: // beyond which all probabilities are 0
		low = math.Inf(-1)
	default:
		r.width *= 2
	}
	r.band = r.band[:0]
	if least := r.top - nearWidth*r.temperature; low >= least {
		if r.near == nil {
			for i, x := range r.scores {
				if x >= least {
					r.near = append(r.near, scored{x, i})
				}
			}
		}
		for _, t := range r.near {
			if t.score >= low && t.score < r.taken {
				r.band = append(r.band, t)
			}
		}
	} else {
		for i, x := range r.scores {
			if x >= low && x < r.taken {
				r.band = append(r.band, scored{x, i})
			}
		}
	}
	r.taken = low
	slices.SortFunc(r.band, func(a, b scored) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return a.token - b.token
	})
	for _, t := range r.band {
		r.order = append(r.order, t.token)
	}
}

// sum is that of the n likeliest tokens.
func (r *ranking) sum(n int) (sum float64) {
	for i := range n {
		sum += r.probability(i)
	}
	return sum
}
