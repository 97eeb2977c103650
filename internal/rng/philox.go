package rng

import "math/bits"

// Constants of Philox2x64 (SC 2011, table 2 and section 3.3): the multiplier was chosen for the best avalanche, the
// Weyl increment is the golden ratio in 64 bits.
const (
	philoxMultiplier = 0xD2B74407B1CE6E93
	philoxWeyl       = 0x9E3779B97F4A7C15
	philoxRounds     = 10
)

// philox encrypts the counter (lo, hi) under key. Each round multiplies one half and mixes the upper product into the
// other: (l, r) -> (mulhi(M, l) ^ key ^ r, mullo(M, l)), after which the key advances by the Weyl increment.
func philox(lo, hi, key uint64) (uint64, uint64) {
	for range philoxRounds {
		h, l := bits.Mul64(philoxMultiplier, lo)
		lo, hi = h^key^hi, l
		key += philoxWeyl
	}
	return lo, hi
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), a bijection of 64 bits with full avalanche.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xBF58476D1CE4E5B9
	x ^= x >> 27
	x *= 0x94D049BB133111EB
	return x ^ x>>31
}

// Key hashes a seed and a stream name to the 64-bit key of a Source. Streams that differ in one byte get unrelated
// keys, and so do neighbouring seeds.
func Key(seed uint64, stream string) uint64 {
	// FNV-1a over the name; mix then spreads it, because FNV alone leaves the low bits of similar names correlated.
	h := uint64(0xCBF29CE484222325)
	for i := range len(stream) {
		h = (h ^ uint64(stream[i])) * 0x100000001B3
	}
	return mix(mix(seed+philoxWeyl) ^ mix(h+philoxWeyl*uint64(len(stream)+1)))
}
