package kernel

import (
	"math/rand/v2"
	"testing"
)

// FuzzGemm checks any small product, threaded, on every instruction set and both types.
func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint8(64), uint8(64), uint16(64), false, true, int8(2), int8(0), uint8(0))
	f.Add(uint64(2), uint8(1), uint8(130), uint16(700), false, true, int8(2), int8(2), uint8(3))
	f.Add(uint64(3), uint8(43), uint8(17), uint16(385), true, false, int8(-1), int8(1), uint8(40))
	f.Add(uint64(4), uint8(200), uint8(1), uint16(13), true, true, int8(0), int8(3), uint8(1))
	f.Add(uint64(5), uint8(3), uint8(33), uint16(1), false, false, int8(1), int8(-2), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, m, n uint8, k uint16, transA, transB bool, alpha, beta int8, pad uint8) {
		eachISA(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, seed))
			p := newProduct(rng, transA, transB, int(m), int(n), int(k%1500), float32(alpha)/2, float32(beta)/2, int(pad))
			p.check(t, p.run())
			q := newProduct(rng, transA, transB, int(m), int(n), int(k%1500), float64(alpha)/2, float64(beta)/2, int(pad))
			q.check(t, q.run())
		})
	})
}
