package interval

import (
	"math"
	"sort"
)

// Confidence is the probability with which an interval holds the true value.
const Confidence = 0.95

// Critical is the t for which a variable of Student's distribution with df degrees of freedom lies in [-t, t] with probability
// Confidence: 4.303 for the 2 of three seeds, 2.776 for the 4 of five. With less than one there is none, +Inf.
//
// With T = sqrt(df) tan θ the probability is ∫ cos^(df-1) over [-θ, θ] as a share of that over all angles (Student 1908).
func Critical(df int) float64 {
	if df < 1 {
		return math.Inf(1)
	}
	whole := angle(df, math.Pi/2)
	low, high := 0.0, math.Pi/2
	for range 60 { // more than the bits of a number
		middle := (low + high) / 2
		if angle(df, middle) < Confidence*whole {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Sqrt(float64(df)) * math.Tan(low)
}

// angle is the integral of cos^(df-1) from 0 to θ, by Simpson's rule.
func angle(df int, theta float64) float64 {
	const pieces = 400 // errors below 1e-10 for what seeds and rounds there may be
	h := theta / pieces
	sum := 0.0
	for i := 0; i <= pieces; i++ {
		weight := 2.0
		switch {
		case i == 0 || i == pieces:
			weight = 1
		case i%2 == 1:
			weight = 4
		}
		sum += weight * math.Pow(math.Cos(float64(i)*h), float64(df-1))
	}
	return sum * h / 3
}

// mostSeeds is where Needed stops to count.
const mostSeeds = 1000

// Needed is how many seeds, at least two, bring the half width of an interval down to margin, where n of them have a standard
// error of spread; 0: more than a thousand, or spread is not known.
func Needed(spread float64, n int, margin float64) int {
	if math.IsNaN(spread) || math.IsInf(spread, 0) {
		return 0
	}
	deviation := spread * math.Sqrt(float64(n))
	seeds := 2 + sort.Search(mostSeeds-1, func(i int) bool { // half widths fall with each seed
		return Critical(i+1)*deviation/math.Sqrt(float64(i+2)) <= math.Abs(margin)
	})
	if seeds > mostSeeds {
		return 0
	}
	return seeds
}
