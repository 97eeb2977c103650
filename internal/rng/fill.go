package rng

// Float is the element type of the Fill functions.
type Float interface{ ~float32 | ~float64 }

// FillUniform sets each element of dst to a uniform number in [low, high), one draw an element. In float32 the
// rounding of the last numbers below high may reach high.
func FillUniform[T Float](s *Source, dst []T, low, high float64) {
	for i := range dst {
		dst[i] = T(low + (high-low)*unit(s.Uint64()))
	}
}

// FillNormal sets each element of dst to a normal number of the given mean and standard deviation, one draw an element.
// The numbers are drawn in float64, so that a float32 and a float64 network of one seed start from the same weights up
// to rounding.
func FillNormal[T Float](s *Source, dst []T, mean, stddev float64) {
	for i := range dst {
		dst[i] = T(mean + stddev*normal(s.Uint64()))
	}
}

// FillDropout sets each element of dst to 0 with probability p and to 1/(1-p) otherwise (inverted dropout, whose
// expectation is 1), one draw an element. p >= 1 drops everything; p <= 0 keeps everything.
func FillDropout[T Float](s *Source, dst []T, p float64) {
	if p >= 1 {
		clear(dst)
		s.Skip(uint64(len(dst)))
		return
	}
	keep := T(1 / (1 - max(p, 0)))
	// Compare integers: x < p 2^64 says the same as unit(x) < p and needs no conversion for each element.
	threshold := uint64(max(p, 0) * 0x1p64)
	for i := range dst {
		if s.Uint64() < threshold {
			dst[i] = 0
		} else {
			dst[i] = keep
		}
	}
}

// Permutation returns a uniform permutation of 0..n-1 (Fisher-Yates).
func (s *Source) Permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := s.Intn(i + 1)
		p[i], p[j] = p[j], i
	}
	return p
}
