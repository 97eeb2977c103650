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
