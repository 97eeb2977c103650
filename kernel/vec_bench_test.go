package kernel

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The benchmarks run on a 1024 x 256 matrix (AdamW on as many parameters) and report ns/element of the best
// pass, which other processes on the machine disturb least. For example
//
//	go test ./kernel -run '^$' -bench 'Vec/' -benchtime 200x -cpu 1
func BenchmarkVec(b *testing.B) {
	const rows, cols = 1024, 256
	const n = rows * cols
	rng := rand.New(rand.NewPCG(1, 9))
	matrix := func() []float32 { return randomValues(rng, n, false) }
	x, y, z, u, v := matrix(), matrix(), matrix(), matrix(), matrix()
	w, bias, dw, db := x[:cols:cols], y[:cols:cols], make([]float32, cols), make([]float32, cols)
	mean, rstd, second := make([]float32, rows), make([]float32, rows), make([]float32, n)
	LayerNorm(v, u, w, bias, mean, rstd, rows, cols, 1e-5)
	adam := AdamW{LearningRate: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, Step: 10, GradScale: 1}
	eachRow := func(f func(lo, hi int)) {
		for i := range rows {
			f(i*cols, (i+1)*cols)
		}
	}
	for _, k := range []struct {
		name string
		run  func()
	}{
		{"Copy", func() { copy(z, x) }},
		{"Add", func() { Add(z, x, y) }},
		{"Mul", func() { Mul(z, x, y) }},
		{"Axpy", func() { Axpy(1e-9, x, z) }},
		{"Scale", func() { Scale(1, z) }},
		{"AddRow", func() { AddRow(z, rows, cols, db) }},
		{"ColSum", func() { ColSum(db, x, rows, cols, false) }},
		{"Dot", func() { Dot(x, y) }},
		{"Sum", func() { Sum(x) }},
		{"SumSquares", func() { SumSquares(x) }},
		{"MaxValue", func() { MaxValue(x) }},
		{"AllFinite", func() { AllFinite(x) }},
		{"Exp", func() { Exp(z, x) }},
		{"SoftmaxRow", func() { eachRow(func(lo, hi int) { SoftmaxRow(z[lo:hi], x[lo:hi], 0.125) }) }},
		{"LogSumExp", func() { eachRow(func(lo, hi int) { LogSumExp(x[lo:hi], 1) }) }},
		{"ExpShift", func() { eachRow(func(lo, hi int) { ExpShift(z[lo:hi], x[lo:hi], 0.125, 1) }) }},
		{"SoftmaxGradRow", func() { eachRow(func(lo, hi int) { SoftmaxGradRow(z[lo:hi], x[lo:hi], y[lo:hi], 0.5, 0.125) }) }},
		{"RMSNorm", func() { RMSNorm(z, x, w, second[:rows], rows, cols, 1e-5) }},
		{"RMSNormGrad", func() { RMSNormGrad(z, dw, y, x, w, rstd, rows, cols) }},
		{"LayerNorm", func() { LayerNorm(z, x, w, bias, second[:rows], second[rows:2*rows], rows, cols, 1e-5) }},
		{"LayerNormGrad", func() { LayerNormGrad(z, dw, db, y, x, w, mean, rstd, rows, cols) }},
		{"Sigmoid", func() { Sigmoid(z, x) }},
		{"Tanh", func() { Tanh(z, x) }},
		{"ReLU", func() { ReLU(z, x) }},
		{"ReLUGrad", func() { ReLUGrad(z, y, x) }},
		{"SiLU", func() { SiLU(z, x) }},
		{"SiLUGrad", func() { SiLUGrad(z, y, x) }},
		{"GELU", func() { GELU(z, x) }},
		{"GELUGrad", func() { GELUGrad(z, y, x) }},
		{"GELUTanh", func() { GELUTanh(z, x) }},
		{"GELUTanhGrad", func() { GELUTanhGrad(z, y, x) }},
		{"SwiGLU", func() { SwiGLU(z, x, y) }},
		{"SwiGLUGrad", func() { SwiGLUGrad(z, v, u, x, y) }},
		{"Rotate", func() { eachRow(func(lo, hi int) { Rotate(z[lo:hi-128], z[hi-128:hi], x[lo:hi], y[lo:hi], true) }) }},
		{"AdamW", func() { clear(second[:1]); AdamWStep(adam, u, v, second, y) }},
	} {
		b.Run(k.name, func(b *testing.B) {
			for l := isaGo; l <= bestISA(); l++ {
				b.Run(l.String(), func(b *testing.B) {
					useISA(b, l)
					k.run()
					best := time.Hour
					for b.Loop() {
						start := time.Now()
						k.run()
						best = min(best, time.Since(start))
					}
					b.ReportMetric(float64(best.Nanoseconds())/n, "ns/element")
				})
			}
		})
	}
}
