package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// largestOfBlocks are scales whose steps are hard to split: multiples of the prime that divides them, neighbours of powers
// of 2, the ends of the range, zero, numbers with few digits and many random ones.
func largestOfBlocks(bits int) []float32 {
	m := float32(int(1)<<(bits-1) - 1)
	all := []float32{0, 1, m, math.MaxFloat32, math.SmallestNonzeroFloat32, 1e-40, 1e-30, vecLeastTested}
	for _, x := range []float32{1, vecLeastTested, 1 << 100, m, m * (1 << 16), m * 131071, m * 132103} {
		all = append(all, x, math.Nextafter32(x, 0), math.Nextafter32(x, math.MaxFloat32), x/2, 3*x)
	}
	r := rand.New(rand.NewPCG(7, uint64(bits)))
	for range cases(3000) {
		all = append(all, math.Float32frombits(r.Uint32N(0x7f800000)), m*float32(r.IntN(1<<17)), float32(r.Float64()))
	}
	return all
}

// vecLeastTested is where the assembly begins.
const vecLeastTested = 1.0 / (1 << 90)

// TestDecodeExactly: every code of blocks with hard scales comes back as the definition's bits, on every instruction set.
func TestDecodeExactly(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, bits := range []int{8, 4} {
			m, block := 1<<(bits-1)-1, 1<<bits
			scales := largestOfBlocks(bits)
			q := NewQuantized(bits, block, block*len(scales))
			copy(q.AbsMax, scales)
			for i := range q.Elements {
				q.set(i, uint8(i%block))
			}
			got := make([]float32, q.Elements)
			Dequantize(got, q)
			for i, x := range got {
				want := float32(float64(i%block-m-1) * (float64(scales[i/block]) / float64(m)))
				if math.Float32bits(x) != math.Float32bits(want) {
					t.Fatalf("%d bits: code %d of a block up to %g is %g (%x), want %g (%x)", bits, i%block, scales[i/block], x, math.Float32bits(x), want, math.Float32bits(want))
				}
			}
		}
	})
}

// randomCodes is a tensor whose codes and scales are random, some of them 0 and, in one tensor of three, too small for the
// assembly.
func randomCodes(r *rand.Rand, bits, block, n int) Quantized {
	q := NewQuantized(bits, block, n)
	for i := range n {
		q.set(i, uint8(1+r.IntN(1<<bits-1)))
	}
	small := r.IntN(3) == 0
	for i := range q.AbsMax {
		switch q.AbsMax[i] = r.Float32() + 1; r.IntN(12) {
		case 0:
			q.AbsMax[i] = 0
		case 1:
			if small {
				q.AbsMax[i] = 1e-30
			}
		}
	}
	return q
}

// definedValues are q's values by its documentation.
func definedValues[T Float](q Quantized) []T {
	out := make([]T, q.Elements)
	for i := range out {
		code := int(q.Codes[i*q.Bits/8])
		if q.Bits == 4 {
			code = code >> (4 * (i % 2)) % 16
		}
		m := 1<<(q.Bits-1) - 1
		out[i] = T(float64(code-m-1) * (float64(q.AbsMax[i/q.Block]) / float64(m)))
	}
	return out
}

// TestDecodeRanges: any piece of a tensor, wherever it begins and ends, is that of the whole, and nothing beside it is
// written.
func TestDecodeRanges(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 1))
		for _, bits := range []int{8, 4} {
			for _, block := range []int{8, 9, 16, 24, 40, 64, 256} {
				q := randomCodes(r, bits, block, 700+r.IntN(80))
				want := definedValues[float32](q)
				for range cases(300) {
					lo := r.IntN(q.Elements)
					n := r.IntN(q.Elements - lo + 1)
					got := make([]float32, n+1)
					got[n] = 5
					decodeRange(got[:n], q, lo)
					for i, x := range got[:n] {
						if math.Float32bits(x) != math.Float32bits(want[lo+i]) {
							t.Fatalf("%d bits, blocks of %d, elements %d to %d of %d: element %d is %g, want %g", bits, block, lo, lo+n, q.Elements, lo+i, x, want[lo+i])
						}
					}
					if got[n] != 5 {
						t.Fatalf("%d bits, blocks of %d, elements %d to %d: the one behind is written", bits, block, lo, lo+n)
					}
				}
			}
		}
	})
}

// TestGemmQuantized: the product of codes is that of their values to the last bit, for every way the driver cuts it, on
// every instruction set and any number of threads.
func TestGemmQuantized(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		t.Run("float32", testGemmQuantized[float32])
		t.Run("float64", testGemmQuantized[float64])
	})
}

func testGemmQuantized[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	shapes := [][3]int{ // m, n, k
		{1, 700, 300}, {1, 512, 512}, {1, 61, 96}, {1, 131, 1376}, {1, 33, 80}, {1, 5, 96}, {1, 8, 1}, {1, 37, 512}, {2, 9, 64}, {3, 333, 77}, {13, 300, 130}, {32, 40, 64}, {33, 40, 64}, {100, 3, 200}, {40, 12, 31},
		{120, 120, 120}, {50, 700, 64}, {70, 97, 391}, {48, 35, 1100}, {35, 64, 0}, {1, 4, 0}, {0, 3, 3}, {3, 0, 4},
	}
	for range cases(12) {
		shapes = append(shapes, [3]int{1 + r.IntN(60), 1 + r.IntN(90), 1 + r.IntN(150)})
	}
	blocks := []int{64, 8, 64, 64, 48, 9, 16, 256, 24}
	for i, s := range shapes {
		m, n, k := s[0], s[1], s[2]
		for _, bits := range []int{8, 4} {
			name := fmt.Sprintf("%d x %d x %d in %d bits", m, n, k, bits)
			w := randomCodes(r, bits, blocks[i%len(blocks)], n*k)
			p := newProduct[T](r, false, true, m, n, k, 1, 0, 2)
			p.b, p.ldb = definedValues[T](w), k
			var bias []T
			if i%2 == 0 {
				bias = newProduct[T](r, false, false, 1, 1, n, 1, 0, 0).a
			}
			setThreads(t, 1)
			want := append([]T(nil), p.c...)
			if bias != nil {
				GemmBias(false, true, m, n, k, p.a, p.lda, p.b, max(k, 1), bias, want, p.ldc)
			} else {
				Gemm(false, true, m, n, k, 1, p.a, p.lda, p.b, max(k, 1), 0, want, p.ldc)
			}
			for _, threads := range []int{1, 3} {
				setThreads(t, threads)
				got := append([]T(nil), p.c...)
				GemmQuantized(m, n, k, p.a, p.lda, w, bias, got, p.ldc)
				for j := range got {
					if math.Float64bits(float64(got[j])) != math.Float64bits(float64(want[j])) {
						t.Fatalf("%s, %d threads: element %d of C is %g, want %g", name, threads, j, got[j], want[j])
					}
				}
			}
			if bias == nil {
				p.check(t, want)
			}
		}
	}
}

// TestGemmQuantizedChecks: operands that do not fit panic before anything is written.
func TestGemmQuantizedChecks(t *testing.T) {
	w := NewQuantized(8, 64, 6)
	short := w
	short.Codes = short.Codes[1:]
	x := make([]float32, 8)
	for name, call := range map[string]func(){
		"elements": func() { GemmQuantized(2, 2, 2, x, 2, w, nil, x, 2) },
		"codes":    func() { GemmQuantized(2, 3, 2, x, 2, short, nil, x, 3) },
		"bias":     func() { GemmQuantized(2, 3, 2, x, 2, w, x[:2], x, 3) },
		"a":        func() { GemmQuantized(2, 3, 2, x[:3], 2, w, nil, x, 3) },
		"c":        func() { GemmQuantized(2, 3, 2, x, 2, w, nil, x[:5], 3) },
		"negative": func() { GemmQuantized(-1, 3, 2, x, 2, w, nil, x, 3) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

// BenchmarkGemmQuantized is the product of decoding: one row, and a W that no cache holds.
func BenchmarkGemmQuantized(b *testing.B) {
	const n, k = 16384, 1024
	x, y := make([]float32, k), make([]float32, n)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	b.Run("float32", func(b *testing.B) {
		w := make([]float32, n*k)
		for i := range w {
			w[i] = float32(i % 5)
		}
		for b.Loop() {
			Gemm(false, true, 1, n, k, 1, x, k, w, k, 0, y, n)
		}
	})
	for _, bits := range []int{8, 4} {
		b.Run(fmt.Sprintf("%d bits", bits), func(b *testing.B) {
			w := randomCodes(rand.New(rand.NewPCG(1, 1)), bits, 64, n*k)
			for i := range w.AbsMax {
				w.AbsMax[i] = 1
			}
			for b.Loop() {
				GemmQuantized(1, n, k, x, k, w, nil, y, n)
			}
		})
	}
}
