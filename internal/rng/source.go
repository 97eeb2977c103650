package rng

import (
	"fmt"
	"math"
	"math/bits"
)

// Source yields the numbers of one (seed, stream, counter). It is a small value without a lock: one goroutine each,
// and a new one for each step is cheap.
type Source struct {
	key     uint64
	counter uint64
	drawn   uint64 // 64-bit draws so far; draw i is half i%2 of block i/2
	spare   uint64 // the second half of the last block, valid while drawn is odd
}

// New returns the source of a seed, a stream and a counter. The stream names the consumer; the counter is the
// consumer's own step, epoch or sample number. Equal arguments give equal numbers on every machine.
func New(seed uint64, stream string, counter uint64) *Source {
	return &Source{key: Key(seed, stream), counter: counter}
}

// Uint64 returns 64 uniform bits.
func (s *Source) Uint64() uint64 {
	if s.drawn&1 == 1 {
		s.drawn++
		return s.spare
	}
	first, second := philox(s.drawn>>1, s.counter, s.key)
	s.spare = second
	s.drawn++
	return first
}

// Skip moves n 64-bit draws ahead in constant time, so that workers can fill parts of one slice: the numbers do not
// depend on how the slice was split. Float64 and each element of a Fill take exactly one draw.
func (s *Source) Skip(n uint64) {
	s.drawn += n
	if s.drawn&1 == 1 {
		_, s.spare = philox(s.drawn>>1, s.counter, s.key)
	}
}

// Float64 returns a uniform number in [0, 1), a multiple of 2^-53.
func (s *Source) Float64() float64 { return unit(s.Uint64()) }

// Intn returns a uniform integer in [0, n) without modulo bias. It panics when n is not positive, as math/rand does.
func (s *Source) Intn(n int) int {
	if n <= 0 {
		panic(fmt.Sprintf("rng: Intn(%d): n must be positive", n))
	}
	// Lemire, "Fast Random Integer Generation in an Interval", 2019: the upper half of a product is uniform once the
	// few lowest products are rejected.
	bound := uint64(n)
	hi, lo := bits.Mul64(s.Uint64(), bound)
	if lo < bound {
		for reject := -bound % bound; lo < reject; {
			hi, lo = bits.Mul64(s.Uint64(), bound)
		}
	}
	return int(hi)
}

// unit maps 64 bits to [0, 1) with the 53 upper bits.
func unit(x uint64) float64 { return float64(x>>11) * 0x1p-53 }

// normal maps 64 bits to the standard normal distribution by inversion of its distribution function:
// sqrt(2) erfinv(2u - 1). Inversion costs one draw a number, whatever the number is, which keeps Skip exact; the
// largest magnitude is 8.2. The half step keeps u off 0 and 1, whose quantiles are infinite.
func normal(x uint64) float64 {
	u := (float64(x>>11) + 0.5) * 0x1p-53
	if u >= 1 { // (2^53 - 1) + 0.5 rounds up to 2^53
		u = 1 - 0x1p-53
	}
	return math.Sqrt2 * math.Erfinv(2*u-1)
}
