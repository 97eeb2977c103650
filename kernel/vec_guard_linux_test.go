package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestVectorKernelsStayInside runs every vector kernel on slices that end at a forbidden page: a read or write past the end,
// also by a masked-out lane, kills the test.
func TestVectorKernelsStayInside(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 1))
		var in, out [5][]float32
		const longest = 70
		for i := range in {
			in[i], out[i] = guarded[float32](t, longest), guarded[float32](t, longest)
			copy(in[i], randomValues(rng, longest, false))
		}
		for n := range longest + 1 {
			end := func(xs [][]float32) [][]float32 {
				cut := slices.Clone(xs)
				for i := range cut {
					cut[i] = cut[i][longest-n:]
				}
				return cut
			}
			for _, k := range slices.Concat(basicKernels, activationKernels) {
				k.run(end(out[:k.outs]), end(in[:k.ins]))
			}
			x, y := end(in[:]), end(out[:])
			Dot(x[0], x[1])
			Sum(x[0])
			SumSquares(x[0])
			MaxValue(x[0])
			AllFinite(x[0])
			SoftmaxRow(y[0], x[0], 1)
			LogSumExp(x[0], 1)
			if n > 0 {
				stats := guarded[float32](t, 2)
				LayerNorm(y[0], x[0], x[1], x[2], stats[:1], stats[1:], 1, n, 1e-5)
				LayerNormGrad(y[0], y[1], y[2], x[3], x[0], x[1], stats[:1], stats[1:], 1, n)
				RMSNorm(y[0], x[0], x[1], stats[1:], 1, n, 1e-5)
				RMSNormGrad(y[0], nil, x[3], x[0], x[1], stats[1:], 1, n)
			}
			AdamWStep(AdamW{LearningRate: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Step: 1, GradScale: 1}, y[0], y[1], y[2], x[0])
		}
	})
}
