package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// eachBFloat16 runs f with each way of multiplying bfloat16 that the processor has: the instruction, and rounding first on
// AVX-512, on AVX2 and in Go.
func eachBFloat16(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	native := multipliesBFloat16
	t.Cleanup(func() { multipliesBFloat16 = native })
	multipliesBFloat16 = false
	eachISA(t, f)
	if multipliesBFloat16 = native; native && bestISA() == isaAVX512 {
		t.Run("avx512bf16", func(t *testing.T) {
			useISA(t, isaAVX512)
			f(t)
		})
	}
}

// nearestBFloat16 is RoundBFloat16 by its definition, through the distance to both neighbours.
func nearestBFloat16(x float32) float32 {
	if x != x || x == 0 || math.IsInf(float64(x), 0) {
		return x
	}
	if math.Abs(float64(x)) < math.Ldexp(1, -126) {
		return float32(math.Copysign(0, float64(x)))
	}
	_, e := math.Frexp(float64(x))
	step := math.Ldexp(1, e-8) // 8 bits of significand
	r := math.RoundToEven(float64(x)/step) * step
	if math.Abs(r) >= math.Ldexp(1, 128) {
		r = math.Inf(int(math.Copysign(1, r)))
	}
	return float32(r)
}

// rounded is the product of rounded operands; its gaps between rows stay.
func (p product[T]) rounded() product[T] {
	near := func(x []T) []T {
		y := make([]T, len(x))
		for i, v := range x {
			y[i] = T(nearestBFloat16(float32(v)))
		}
		return y
	}
	p.a, p.b = near(p.a), near(p.b)
	return p
}

// runAs is run with operands read as bfloat16.
func (p product[T]) runAs() []T {
	c := append([]T(nil), p.c...)
	GemmAs(BFloat16, p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc)
	return c
}

func TestRoundBFloat16(t *testing.T) {
	values := []float32{0, 1, -1, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/128, 1.00390631, 3.4e38, -3.4e38, 3.3895314e38, 1e-38, 1.1754944e-38, 1.1754942e-38,
		-1e-40, 1e-45, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0x7F800001), math.Float32frombits(0xFFFFFFFF), math.MaxFloat32}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		values = append(values, math.Float32frombits(rng.Uint32()))
	}
	check := func(t *testing.T, x, got float32) {
		t.Helper()
		want := nearestBFloat16(x)
		if !same(float64(got), float64(want)) {
			t.Fatalf("rounding %g (%#x): got %g (%#x), want %g", x, math.Float32bits(x), got, math.Float32bits(got), want)
		}
	}
	for _, x := range values {
		check(t, x, RoundBFloat16(x))
		if got := RoundBFloat16(x); math.Signbit(float64(got)) != math.Signbit(float64(x)) {
			t.Fatalf("rounding %g: got %g, want its sign", x, got)
		}
	}
	eachBFloat16(t, func(t *testing.T) {
		// Through a product with 1, which is exact but for denormal sums.
		c := make([]float32, len(values))
		GemmAs(BFloat16, false, false, len(values), 1, 1, 1, values, 1, []float32{1}, 1, 0, c, 1)
		for i, x := range values {
			check(t, x, c[i])
		}
		GemmAs(BFloat16, false, true, 1, len(values), 1, 1, []float32{1}, 1, values, 1, 0, c, len(values))
		for i, x := range values {
			check(t, x, c[i])
		}
	})
}

// TestGemmBFloat16 compares with the definition in float64 over rounded operands.
func TestGemmBFloat16(t *testing.T) {
	eachBFloat16(t, func(t *testing.T) {
		t.Run("float32", testGemmBFloat16[float32])
		t.Run("float64", testGemmBFloat16[float64])
	})
}

func testGemmBFloat16[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	scales := []T{0, 1, 1, -1, 0.5}
	for range cases(500) {
		p := newProduct(rng, rng.IntN(2) == 1, rng.IntN(2) == 1,
			oddSizes[rng.IntN(len(oddSizes))], oddSizes[rng.IntN(len(oddSizes))], append(oddDepths, 385, 800)[rng.IntN(len(oddDepths)+2)],
			scales[rng.IntN(len(scales))], scales[rng.IntN(len(scales))], 40*rng.IntN(2))
		p.rounded().check(t, p.runAs())
	}
}

// TestGemmBFloat16BiasAndSums compares a bias and the sums of columns with those of Full: neither is rounded.
func TestGemmBFloat16BiasAndSums(t *testing.T) {
	eachBFloat16(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(12, 1))
		for _, k := range append(oddDepths, 0, 800) {
			p := newProduct[float32](rng, k%2 == 1, k%3 == 1, oddSizes[rng.IntN(len(oddSizes))], oddSizes[rng.IntN(len(oddSizes))], k, 1, 1, 3)
			bias := make([]float32, p.n)
			for j := range bias {
				bias[j] = float32(rng.NormFloat64())
			}
			for i := range p.m {
				copy(p.c[i*p.ldc:], bias)
			}
			got := append([]float32(nil), p.c...)
			GemmBiasAs(BFloat16, p.transA, p.transB, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, bias, got, p.ldc)
			p.rounded().check(t, got)

			p = newProduct[float32](rng, true, false, p.m, p.n, k, 1, 1, 0)
			got = append([]float32(nil), p.c...)
			sums, want := make([]float32, p.m), make([]float32, p.m)
			GemmSumsAs(BFloat16, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, 1, got, p.ldc, sums, false)
			p.rounded().check(t, got)
			ColSum(want, p.a, p.k, p.m, false)
			equalBits(t, p, sums, want)
		}
	})
}

// TestGemmBFloat16Batched compares with single products.
func TestGemmBFloat16Batched(t *testing.T) {
	eachBFloat16(t, func(t *testing.T) {
		const batch, m, n, k = 5, 13, 9, 21
		rng := rand.New(rand.NewPCG(3, 3))
		p := newProduct[float32](rng, false, true, batch*m, batch*n, k, 0.5, 1, 0)
		c := make([]float32, batch*m*n)
		GemmBatchedAs(BFloat16, false, true, batch, m, n, k, 0.5, p.a, k, m*k, p.b, k, n*k, 0, c, n, m*n)
		for i := range batch {
			one := product[float32]{false, true, m, n, k, 0.5, 0, p.a[i*m*k:], p.b[i*n*k:], make([]float32, m*n), k, k, n}
			equalBits(t, one, c[i*m*n:(i+1)*m*n], one.runAs())
		}
	})
}

// TestGemmBFloat16SameForAnyThreads checks that threads change no bit, and rounded operands neither: rounding twice is
// rounding once.
func TestGemmBFloat16SameForAnyThreads(t *testing.T) {
	eachBFloat16(t, func(t *testing.T) {
		for _, s := range sameShapes {
			t.Run(s.name, func(t *testing.T) {
				p := newProduct[float32](rand.New(rand.NewPCG(4, 4)), s.transA, s.transB, s.m, s.n, s.k, 0.5, 1, 0)
				setThreads(t, 1)
				want := p.runAs()
				for _, n := range []int{2, 5} {
					setThreads(t, n)
					equalBits(t, p, p.runAs(), want)
				}
				equalBits(t, p, p.rounded().runAs(), want)
			})
		}
	})
}

// TestGemmBFloat16SameForAVX checks that AVX2 and AVX-512 without the instruction agree to the last bit.
func TestGemmBFloat16SameForAVX(t *testing.T) {
	if bestISA() < isaAVX512 {
		t.Skip("this CPU or build has no AVX-512")
	}
	native := multipliesBFloat16
	t.Cleanup(func() { multipliesBFloat16 = native })
	multipliesBFloat16 = false
	for _, s := range sameShapes {
		p := newProduct[float32](rand.New(rand.NewPCG(5, 5)), s.transA, s.transB, s.m, s.n, s.k, 0.5, 1, 0)
		useISA(t, isaAVX512)
		want := p.runAs()
		useISA(t, isaAVX2)
		equalBits(t, p, p.runAs(), want)
	}
}

// TestGemmBFloat16NotANumber expects a NaN or an infinity of an operand in the elements of C that read it, and no other.
func TestGemmBFloat16NotANumber(t *testing.T) {
	eachBFloat16(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(2, 2))
		for range cases(200) {
			p := newProduct[float32](rng, rng.IntN(2) == 1, rng.IntN(2) == 1,
				oddSizes[rng.IntN(20)], oddSizes[rng.IntN(20)], oddDepths[rng.IntN(len(oddDepths))], 1, 0, 0)
			for i := range p.c {
				p.c[i] = float32(math.NaN()) // must not be read
			}
			x := p.a
			if rng.IntN(2) == 0 {
				x = p.b
			}
			x[rng.IntN(len(x))] = [...]float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}[rng.IntN(3)]
			p.rounded().check(t, p.runAs())
		}
	})
}

func TestGemmBFloat16AllocatesNothing(t *testing.T) {
	setThreads(t, 2)
	for _, s := range sameShapes {
		p := newProduct[float32](rand.New(rand.NewPCG(7, 7)), s.transA, s.transB, s.m, s.n, s.k, 1, 1, 0)
		call := func() {
			GemmAs(BFloat16, p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
		}
		for range 20 {
			call()
		}
		if n := testing.AllocsPerRun(20, call); n >= 1 {
			t.Errorf("%v: %g allocations a call, want none", p, n)
		}
	}
}

// FuzzGemmBFloat16 checks any small product, threaded, on every instruction set.
func FuzzGemmBFloat16(f *testing.F) {
	f.Add(uint64(1), uint8(64), uint8(64), uint16(64), false, true, int8(2), int8(0), uint8(0))
	f.Add(uint64(3), uint8(43), uint8(17), uint16(385), true, false, int8(-1), int8(1), uint8(40))
	f.Add(uint64(4), uint8(200), uint8(1), uint16(13), true, true, int8(0), int8(3), uint8(1))
	f.Add(uint64(5), uint8(3), uint8(33), uint16(1), false, false, int8(1), int8(-2), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, m, n uint8, k uint16, transA, transB bool, alpha, beta int8, pad uint8) {
		eachBFloat16(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, seed))
			p := newProduct(rng, transA, transB, int(m), int(n), int(k%1500), float32(alpha)/2, float32(beta)/2, int(pad))
			p.rounded().check(t, p.runAs())
		})
	})
}

// BenchmarkGemmBFloat16 measures each product in float32 and in bfloat16 in turn, on one thread: the best time of each, and ratio
// is that of bfloat16 over that of float32.
func BenchmarkGemmBFloat16(b *testing.B) {
	op := map[bool]string{false: "N", true: "T"}
	for _, s := range benchShapes {
		if s.m < 64 {
			continue // of decoding
		}
		b.Run(fmt.Sprintf("%s/%s%s/%dx%dx%d", s.name, op[s.transA], op[s.transB], s.m, s.n, s.k), func(b *testing.B) {
			p := newProduct[float32](rand.New(rand.NewPCG(1, 1)), s.transA, s.transB, s.m, s.n, s.k, 1, 0, 0)
			best := [2]float64{math.Inf(1), math.Inf(1)}
			for b.Loop() {
				for as := Full; as <= BFloat16; as++ {
					start := time.Now()
					GemmSerialAs(as, p.transA, p.transB, p.m, p.n, p.k, 1, p.a, p.lda, p.b, p.ldb, 0, p.c, p.ldc)
					best[as] = min(best[as], float64(time.Since(start).Nanoseconds()))
				}
			}
			flops := 2 * float64(s.m) * float64(s.n) * float64(s.k)
			b.ReportMetric(flops/best[Full], "GFLOP/s-float32")
			b.ReportMetric(flops/best[BFloat16], "GFLOP/s-bfloat16")
			b.ReportMetric(best[BFloat16]/best[Full], "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
