package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// product is one call of the matrix product with its operands.
type product[T Float] struct {
	transA, transB bool
	m, n, k        int
	alpha, beta    T
	a, b, c        []T
	lda, ldb, ldc  int
}

// newProduct draws a product whose row strides exceed the widths by up to pad elements.
func newProduct[T Float](rng *rand.Rand, transA, transB bool, m, n, k int, alpha, beta T, pad int) product[T] {
	p := product[T]{transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, beta: beta}
	matrix := func(rows, cols int) ([]T, int) {
		ld := max(cols, 1) + rng.IntN(pad+1)
		x := make([]T, max((rows-1)*ld+cols, 0))
		for i := range x {
			x[i] = T(rng.NormFloat64())
		}
		return x, ld
	}
	if transA {
		p.a, p.lda = matrix(k, m)
	} else {
		p.a, p.lda = matrix(m, k)
	}
	if transB {
		p.b, p.ldb = matrix(n, k)
	} else {
		p.b, p.ldb = matrix(k, n)
	}
	p.c, p.ldc = matrix(m, n)
	return p
}

func (p product[T]) String() string {
	op := map[bool]string{false: "N", true: "T"}
	return fmt.Sprintf("Gemm[%T] %s%s m=%d n=%d k=%d alpha=%g beta=%g ld=%d,%d,%d",
		p.alpha, op[p.transA], op[p.transB], p.m, p.n, p.k, p.alpha, p.beta, p.lda, p.ldb, p.ldc)
}

// run returns C after the product; p.c stays.
func (p product[T]) run() []T {
	c := append([]T(nil), p.c...)
	Gemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc)
	return c
}

// runSerial is run on one thread.
func (p product[T]) runSerial() []T {
	c := append([]T(nil), p.c...)
	GemmSerial(p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc)
	return c
}

// check compares c with the definition in float64, element by element, and the gaps between the
// rows of C with what was there. The bound is that of a sum of k rounded products: k+3 roundings of
// the sum of absolute values.
func (p product[T]) check(t *testing.T, c []T) {
	t.Helper()
	unit := float64(1) / (1 << 23)
	if _, double := any(p.alpha).(float64); double {
		unit = float64(1) / (1 << 52)
	}
	for i := range p.m {
		for j := range p.n {
			sum, abs := 0.0, 0.0
			for q := range p.k {
				x, y := 0.0, 0.0
				if p.transA {
					x = float64(p.a[q*p.lda+i])
				} else {
					x = float64(p.a[i*p.lda+q])
				}
				if p.transB {
					y = float64(p.b[j*p.ldb+q])
				} else {
					y = float64(p.b[q*p.ldb+j])
				}
				sum += x * y
				abs += math.Abs(x * y)
			}
			at := i*p.ldc + j
			want := float64(p.alpha) * sum
			abs *= math.Abs(float64(p.alpha))
			if p.beta != 0 {
				want += float64(p.beta) * float64(p.c[at])
				abs += math.Abs(float64(p.beta) * float64(p.c[at]))
			}
			got := float64(c[at])
			if same(got, want) {
				continue
			}
			if d := math.Abs(got - want); !(d <= unit*float64(p.k+3)*abs) {
				t.Fatalf("%v: C[%d][%d] = %g, want %g (off by %g)", p, i, j, got, want, d)
			}
		}
		for at := i*p.ldc + p.n; at < min((i+1)*p.ldc, len(c)); at++ {
			if c[at] != p.c[at] {
				t.Fatalf("%v: wrote element %d, right of row %d", p, at, i)
			}
		}
	}
}

// same tells whether x and y are equal, or both not numbers.
func same(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }

// equalBits compares results that must agree to the last bit.
func equalBits[T Float](t *testing.T, what any, got, want []T) {
	t.Helper()
	for i := range want {
		if !same(float64(got[i]), float64(want[i])) {
			t.Fatalf("%v: element %d = %g, want %g to the last bit", what, i, got[i], want[i])
		}
	}
}

// oddSizes straddle the micro-tiles, the vectors, the thin limits and the k blocks.
var oddSizes = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 24, 27, 28, 29, 31, 32, 33, 48, 63, 64, 65, 97, 130}
var oddDepths = []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 64, 100, 255, 256, 257, 300, 513}

// cases returns how many random cases a test draws: n, or a tenth of it with -short.
func cases(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

func TestGemm(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		t.Run("float32", testGemm[float32])
		t.Run("float64", testGemm[float64])
	})
}

func testGemm[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	scales := []T{0, 1, 1, -1, 0.5}
	for range cases(800) {
		p := newProduct(rng, rng.IntN(2) == 1, rng.IntN(2) == 1,
			oddSizes[rng.IntN(len(oddSizes))], oddSizes[rng.IntN(len(oddSizes))], oddDepths[rng.IntN(len(oddDepths))],
			scales[rng.IntN(len(scales))], scales[rng.IntN(len(scales))], 40*rng.IntN(2))
		p.check(t, p.runSerial())
	}
}

// TestGemmBias compares with the definition: C starts as NaN, since it is never read.
func TestGemmBias(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		t.Run("float32", testGemmBias[float32])
		t.Run("float64", testGemmBias[float64])
	})
}

func testGemmBias[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range cases(300) {
		p := newProduct[T](rng, rng.IntN(2) == 1, rng.IntN(2) == 1,
			oddSizes[rng.IntN(len(oddSizes))], oddSizes[rng.IntN(len(oddSizes))], append(oddDepths, 0, 800)[rng.IntN(len(oddDepths)+2)], 1, 1, 40*rng.IntN(2))
		bias := make([]T, p.n)
		for j := range bias {
			bias[j] = T(rng.NormFloat64())
		}
		for i := range p.m { // what check expects beta C to have been
			copy(p.c[i*p.ldc:], bias)
		}
		got := append([]T(nil), p.c...)
		for i := range p.m {
			for j := range p.n {
				got[i*p.ldc+j] = T(math.NaN())
			}
		}
		GemmBias(p.transA, p.transB, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, bias, got, p.ldc)
		p.check(t, got)
	}
}

// TestGemmSums compares the product with Gemm and the sums with ColSum, bit for bit, for the cuts of
// sameShapes on each number of threads, and for empty sizes.
func TestGemmSums(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		t.Run("float32", testGemmSums[float32])
		t.Run("float64", testGemmSums[float64])
	})
}

func testGemmSums[T Float](t *testing.T) {
	shapes := [][3]int{{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {1, 1, 1}, {300, 3, 41}, {270, 40, 131}, {20, 300, 2302}, {72, 130, 777}}
	for i, s := range shapes {
		add := i%2 == 1
		p := newProduct[T](rand.New(rand.NewPCG(6, 6)), true, false, s[0], s[1], s[2], 1, 1, 3)
		packed := make([]T, p.k*p.m) // A without the gaps between its rows
		for q := range p.k {
			copy(packed[q*p.m:], p.a[q*p.lda:q*p.lda+p.m])
		}
		for _, threads := range []int{1, 2, 5} {
			setThreads(t, threads)
			want, sums := make([]T, p.m), make([]T, p.m)
			for j := range want {
				want[j], sums[j] = T(j)/8, T(j)/8
			}
			ColSum(want, packed, p.k, p.m, add)
			c := append([]T(nil), p.c...)
			GemmSums(p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc, sums, add)
			equalBits(t, p, c, p.run())
			for j := range want {
				if sums[j] != want[j] {
					t.Fatalf("%v on %d threads, add %v: got %v as sum %d, want %v", p, threads, add, sums[j], j, want[j])
				}
			}
		}
	}
}
