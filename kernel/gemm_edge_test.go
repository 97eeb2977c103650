package kernel

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestGemmEmpty(t *testing.T) {
	for _, tc := range []struct {
		name    string
		m, n, k int
		beta    float32
		want    float32 // of every element of C, which starts as 3
	}{
		{"no rows", 0, 4, 4, 0, 3},
		{"no columns", 4, 0, 4, 0, 3},
		{"no depth overwrites", 2, 3, 0, 0, 0},
		{"no depth scales", 2, 3, 0, 2, 6},
		{"no depth keeps", 2, 3, 0, 1, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := []float32{3, 3, 3, 3, 3, 3}
			a, b := make([]float32, 16), make([]float32, 16)
			Gemm(false, false, tc.m, tc.n, tc.k, 1, a, max(tc.k, 1), b, max(tc.n, 1), tc.beta, c, max(tc.n, 1))
			for i, x := range c {
				if x != tc.want {
					t.Fatalf("Gemm m=%d n=%d k=%d beta=%g: C[%d] = %g, want %g", tc.m, tc.n, tc.k, tc.beta, i, x, tc.want)
				}
			}
		})
	}
}

// TestGemmNotANumber puts a NaN or an infinity into one element of an input and expects it in
// exactly the elements of C that read it, also against zeros.
func TestGemmNotANumber(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		t.Run("float32", testNotANumber[float32])
		t.Run("float64", testNotANumber[float64])
	})
}

func testNotANumber[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	nan, inf := T(math.NaN()), T(math.Inf(1))
	for range cases(300) {
		p := newProduct[T](rng, rng.IntN(2) == 1, rng.IntN(2) == 1,
			oddSizes[rng.IntN(20)], oddSizes[rng.IntN(20)], oddDepths[rng.IntN(len(oddDepths))], 1, T(rng.IntN(2)), 3)
		if p.beta == 0 {
			for i := range p.c {
				p.c[i] = nan // must not be read
			}
		}
		if rng.IntN(2) == 0 {
			clear(p.b) // 0 times NaN and 0 times Inf are NaN
		}
		x := p.a
		if rng.IntN(2) == 0 {
			x = p.b
		}
		x[rng.IntN(len(x))] = [...]T{nan, inf, -inf}[rng.IntN(3)]
		c := p.runSerial()
		if p.beta == 0 {
			clear(p.c)
			for i := range p.m { // the gaps still hold NaN
				for at := i*p.ldc + p.n; at < min((i+1)*p.ldc, len(c)); at++ {
					c[at] = 0
				}
			}
		}
		p.check(t, c)
	}
}

// TestGemmChecks expects a panic that names the operand before anything is written.
func TestGemmChecks(t *testing.T) {
	x := func(n int) []float64 { return make([]float64, n) }
	for _, tc := range []struct {
		name string
		call func()
		want string
	}{
		{"negative", func() { Gemm(false, false, -1, 2, 2, 1, x(4), 2, x(4), 2, 0, x(4), 2) }, "m=-1"},
		{"short a", func() { Gemm(false, false, 2, 2, 2, 1, x(3), 2, x(4), 2, 0, x(4), 2) }, "a is 2x2 with row stride 2, got 3 elements, want at least 4"},
		{"short transposed b", func() { Gemm(false, true, 2, 3, 2, 1, x(4), 2, x(5), 2, 0, x(6), 3) }, "b (transposed) is 3x2"},
		{"short c", func() { GemmSerial(false, false, 2, 2, 2, 1, x(4), 2, x(4), 2, 0, x(5), 4) }, "c is 2x2 with row stride 4, got 5 elements, want at least 6"},
		{"narrow stride", func() { Gemm(true, false, 4, 2, 2, 1, x(8), 3, x(4), 2, 0, x(8), 2) }, "a (transposed) is 2x4, got row stride 3, want at least 4"},
		{"batch", func() { GemmBatched(false, false, 3, 2, 2, 2, 1, x(12), 2, 4, x(4), 2, 0, 0, x(11), 2, 4) }, "c is 2x2 with row stride 2, got 3 elements"},
		{"batch start", func() { GemmBatched(false, false, 3, 2, 2, 2, 1, x(4), 2, 4, x(4), 2, 0, 0, x(12), 2, 4) }, "the last a of the batch starts at element 8, got a slice of 4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, tc.want) {
					t.Errorf("got panic %q, want it to contain %q", got, tc.want)
				}
			}()
			tc.call()
		})
	}
}

func TestGemmBatched(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const batch, m, n, k = 5, 13, 9, 20
		rng := rand.New(rand.NewPCG(3, 3))
		one := newProduct[float32](rng, false, true, m, n, k, 0.5, 1, 0)
		for _, tc := range []struct {
			name    string
			strideB int
		}{
			{"own b", n * k},
			{"shared b", 0},
		} {
			t.Run(tc.name, func(t *testing.T) {
				a, b, c := make([]float32, batch*m*k), make([]float32, batch*n*k), make([]float32, batch*m*n)
				for _, x := range [][]float32{a, b, c} {
					for i := range x {
						x[i] = float32(rng.NormFloat64())
					}
				}
				got := append([]float32(nil), c...)
				GemmBatched(false, true, batch, m, n, k, 0.5, a, k, m*k, b, k, tc.strideB, 1, got, n, m*n)
				for i := range batch {
					p := one
					p.a, p.b, p.c = a[i*m*k:], b[i*tc.strideB:], c[i*m*n:(i+1)*m*n]
					p.check(t, got[i*m*n:(i+1)*m*n])
				}
			})
		}
	})
}
