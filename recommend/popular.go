package recommend

import "math"

// Count counts the users of each item, and returns the mean of -log of the share of an interaction's item, in nats.
func Count(counts []float32, x Sets) (nats float64) {
	clear(counts)
	for _, i := range x.Items {
		counts[i]++
	}
	n := float64(len(x.Items))
	for _, c := range counts {
		if c > 0 {
			nats -= float64(c) / n * math.Log(float64(c)/n)
		}
	}
	return nats
}
