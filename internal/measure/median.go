package measure

import (
	"math"
	"slices"
)

// Median is the middle value, the mean of the two middle ones of an even number; NaN of none.
func Median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
