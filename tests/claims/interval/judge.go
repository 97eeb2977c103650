package interval

import "math"

// Mean is the mean of the values of seeds, and half the width of its interval.
func Mean(x []float64) (mean, half float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	sum := 0.0
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	return mean, Critical(len(x)-1) * math.Sqrt(sum/(n-1)/n)
}

// Judge holds where the whole interval reaches the bound from above, fails where all of it is below.
func Judge(low, high, bound float64) string {
	switch {
	case low >= bound:
		return "holds"
	case high < bound:
		return "fails"
	}
	return "inconclusive"
}
