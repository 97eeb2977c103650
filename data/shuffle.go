package data

import (
	"math/bits"

	"sparrow/internal/rng"
)

// Permutation is a pseudo-random bijection of [0, size) that needs no table: a Feistel network over the next even
// power of two, walked until it lands within size (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).
// A table would be 8 bytes a window and a pause at each start of an epoch; this takes a few words for any corpus.
type Permutation struct {
	size     uint64
	halfBits uint
	keys     [feistelRounds]uint64
}

// feistelRounds is above the four rounds after which a Feistel network is indistinguishable from a random permutation
// (Luby and Rackoff 1988), since the round function here is a plain multiplicative hash.
const feistelRounds = 6

// minHalfBits widens tiny domains: with 1-bit halves only some permutations can be reached.
const minHalfBits = 4

// NewPermutation returns the permutation of [0, size) that seed, stream and counter name. size must be at least 1.
func NewPermutation(size int, seed uint64, stream string, counter uint64) *Permutation {
	p := &Permutation{size: uint64(size), halfBits: max(minHalfBits, uint(bits.Len64(uint64(size-1))+1)/2)}
	source := rng.New(seed, stream, counter)
	for i := range p.keys {
		p.keys[i] = source.Uint64()
	}
	return p
}

// At returns the image of i, which must be in [0, size).
func (p *Permutation) At(i int) int {
	mask := uint64(1)<<p.halfBits - 1
	x := uint64(i)
	for {
		left, right := x>>p.halfBits, x&mask
		for _, key := range p.keys {
			// The upper bits of the product depend on every bit of right and key.
			h, l := bits.Mul64(right^key, 0x9E3779B97F4A7C15)
			left, right = right, left^(h^l>>32)&mask
		}
		// A bijection of the wider domain: walking on from an element of [0, size) returns to it before it repeats.
		if x = left<<p.halfBits | right; x < p.size {
			return int(x)
		}
	}
}
