package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchShapes are the products of training, decoding and attention.
var benchShapes = []struct {
	name           string
	transA, transB bool
	m, n, k        int
}{
	{"square", false, false, 512, 512, 512},
	{"square", false, true, 512, 512, 512},
	{"square", true, false, 512, 512, 512},
	{"square", false, false, 1024, 1024, 1024},
	{"square", false, true, 1024, 1024, 1024},
	{"square", true, false, 1024, 1024, 1024},
	{"mlp", false, false, 1024, 1024, 256},
	{"mlp", false, true, 1024, 1024, 256},
	{"mlp", true, false, 1024, 1024, 256},
	{"mlp", false, false, 1024, 256, 1024},
	{"mlp", false, true, 1024, 256, 1024},
	{"mlp", true, false, 1024, 256, 1024},
	{"forward", false, true, 1024, 256, 256},
	{"forward", false, true, 1024, 688, 256},
	{"forward", false, true, 1024, 256, 688},
	{"dx", false, false, 1024, 256, 256},
	{"dx", false, false, 1024, 256, 688},
	{"dx", false, false, 1024, 688, 256},
	{"dw", true, false, 256, 256, 1024},
	{"dw", true, false, 688, 256, 1024},
	{"dw", true, false, 256, 688, 1024},
	{"forward", false, true, 2048, 512, 512},
	{"forward", false, true, 2048, 1376, 512},
	{"forward", false, true, 2048, 512, 1376},
	{"forward", false, true, 2048, 4096, 512},
	{"dx", false, false, 2048, 512, 1376},
	{"dx", false, false, 2048, 1376, 512},
	{"dx", false, false, 2048, 512, 4096},
	{"dw", true, false, 512, 512, 2048},
	{"dw", true, false, 1376, 512, 2048},
	{"dw", true, false, 512, 1376, 2048},
	{"dw", true, false, 4096, 512, 2048},
	{"attention", false, false, 64, 64, 64},
	{"attention", false, true, 64, 64, 64},
	{"attention", true, false, 64, 64, 64},
	{"attention", false, false, 128, 64, 128},
	{"attention", false, true, 128, 128, 64},
	{"attention", true, false, 128, 64, 128},
	{"rank", false, true, 1024, 16, 512},
	{"rank", false, true, 1024, 512, 16},
	{"rank", true, false, 512, 16, 1024},
	{"decode", false, true, 1, 512, 512},
	{"decode", false, true, 1, 1376, 512},
	{"decode", false, true, 1, 16384, 1024},
	{"decode", false, true, 4, 512, 512},
	{"decode", false, true, 8, 1376, 512},
	{"decode", false, true, 16, 1376, 512},
}

// BenchmarkGemm reports GFLOP/s and the share of one core's peak, on one thread and on all.
func BenchmarkGemm(b *testing.B) {
	peak := MeasurePeak()
	op := map[bool]string{false: "N", true: "T"}
	for _, s := range benchShapes {
		name := fmt.Sprintf("%s/%s%s/%dx%dx%d", s.name, op[s.transA], op[s.transB], s.m, s.n, s.k)
		p := newProduct[float32](rand.New(rand.NewPCG(1, 1)), s.transA, s.transB, s.m, s.n, s.k, 1, 0, 0)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(b *testing.B) {
				old := Threads()
				SetThreads(threads)
				defer SetThreads(old)
				for b.Loop() {
					Gemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
				}
				gflops := 2 * float64(s.m) * float64(s.n) * float64(s.k) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
				b.ReportMetric(gflops, "GFLOP/s")
				b.ReportMetric(100*gflops/peak, "%peak")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
