package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestGemmBFloat16StaysInside runs products whose operands end at a forbidden page.
func TestGemmBFloat16StaysInside(t *testing.T) {
	eachBFloat16(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(8, 8))
		for range cases(300) {
			p := newProduct[float32](rng, rng.IntN(2) == 1, rng.IntN(2) == 1,
				oddSizes[rng.IntN(len(oddSizes))], oddSizes[rng.IntN(len(oddSizes))], oddDepths[rng.IntN(len(oddDepths))],
				1, float32(rng.IntN(2)), 40*rng.IntN(2))
			a, b, c := guarded[float32](t, len(p.a)), guarded[float32](t, len(p.b)), guarded[float32](t, len(p.c))
			copy(a, p.a)
			copy(b, p.b)
			copy(c, p.c)
			p.a, p.b = a, b
			GemmSerialAs(BFloat16, p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc)
			p.rounded().check(t, c)
		}
	})
}
