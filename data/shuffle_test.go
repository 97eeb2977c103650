package data

import (
	"math"
	"testing"
)

func TestPermutation(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 15, 16, 17, 255, 256, 257, 1000, 65537} {
		for counter := range uint64(3) {
			p := NewPermutation(size, 1, "test", counter)
			seen := make([]bool, size)
			for i := range size {
				x := p.At(i)
				if x < 0 || x >= size || seen[x] {
					t.Fatalf("size %d, counter %d: image %d of %d is outside or repeated", size, counter, x, i)
				}
				seen[x] = true
			}
		}
	}
}

// TestPermutationIsUniform counts where elements go over many keys, and how often neighbours stay neighbours.
func TestPermutationIsUniform(t *testing.T) {
	const keys = 40000
	for _, size := range []int{2, 3, 5, 17, 40, 300} {
		counts, successors := make([]int, size*size), 0
		for key := range keys {
			p := NewPermutation(size, uint64(key), "test", 0)
			for i := range min(size, 4) {
				counts[i*size+p.At(i)]++
			}
			if p.At(1) == p.At(0)+1 {
				successors++
			}
		}
		for i := range min(size, 4) {
			sum, expected := 0.0, float64(keys)/float64(size)
			for _, n := range counts[i*size : (i+1)*size] {
				sum += (float64(n) - expected) * (float64(n) - expected) / expected
			}
			// Six standard deviations above the mean of a chi-square variable, at least the 10^-9 quantile of few degrees.
			if limit := float64(size) + 6*math.Sqrt(2*float64(size)) + 20; sum > limit {
				t.Errorf("size %d: images of %d have chi-square %.0f over %d cells", size, i, sum, size)
			}
		}
		// The successor of 0's image follows it with probability 1/size.
		mean := float64(keys) / float64(size)
		if d := float64(successors) - mean; d*d > 36*mean {
			t.Errorf("size %d: 1 follows 0 in %d of %d permutations, want about %.0f", size, successors, keys, mean)
		}
	}
}
