package kernel

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// sameShapes cover every way the driver cuts a product: thin rows, thin columns, B in place, a few
// and many panels, several k blocks and passes over k, stride conflicts.
var sameShapes = []struct {
	name           string
	transA, transB bool
	m, n, k        int
}{
	{"decode", false, true, 1, 700, 300},
	{"thin rows", false, true, 13, 300, 130},
	{"thin rows transposed", true, true, 5, 300, 257},
	{"thin columns", false, false, 400, 3, 200},
	{"one narrow panel", true, true, 100, 15, 120},
	{"b in place", false, false, 4, 333, 300},
	{"square", false, true, 120, 120, 120},
	{"wide", false, true, 30, 700, 64},
	{"weight gradient", true, false, 72, 130, 400},
	{"weight gradient in passes", true, false, 20, 300, 2300},
	{"weight gradient of many rows", true, false, 270, 40, 130},
	{"conflicting strides", false, false, 40, 90, 1024},
	{"passes over k", false, false, 18, 35, 6500},
	{"odd", true, true, 101, 97, 391},
}

// setThreads sets the number of threads until the test ends.
func setThreads(t testing.TB, n int) {
	t.Helper()
	old := Threads()
	SetThreads(n)
	t.Cleanup(func() { SetThreads(old) })
}

func TestGemmSameForAnyThreads(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		t.Run("float32", testSameForAnyThreads[float32])
		t.Run("float64", testSameForAnyThreads[float64])
	})
}

func testSameForAnyThreads[T Float](t *testing.T) {
	for _, s := range sameShapes {
		t.Run(s.name, func(t *testing.T) {
			p := newProduct[T](rand.New(rand.NewPCG(4, 4)), s.transA, s.transB, s.m, s.n, s.k, 0.5, 1, 0)
			want := p.runSerial()
			for _, n := range []int{1, 2, 5} {
				setThreads(t, n)
				equalBits(t, p, p.run(), want)
			}
		})
	}
}

// TestGemmSameForAVX checks that AVX2 and AVX-512 agree to the last bit: every element is the same
// chain of fused multiply-adds, and dot products have the same lanes.
func TestGemmSameForAVX(t *testing.T) {
	if bestISA() < isaAVX512 {
		t.Skip("this CPU or build has no AVX-512")
	}
	t.Run("float32", testSameForAVX[float32])
	t.Run("float64", testSameForAVX[float64])
}

func testSameForAVX[T Float](t *testing.T) {
	for _, s := range sameShapes {
		t.Run(s.name, func(t *testing.T) {
			p := newProduct[T](rand.New(rand.NewPCG(5, 5)), s.transA, s.transB, s.m, s.n, s.k, 0.5, 1, 0)
			useISA(t, isaAVX512)
			want := p.run()
			useISA(t, isaAVX2)
			equalBits(t, p, p.run(), want)
		})
	}
}

// TestGemmConcurrent runs products from many goroutines, outside and inside the pool.
func TestGemmConcurrent(t *testing.T) {
	setThreads(t, 3)
	p := newProduct[float32](rand.New(rand.NewPCG(6, 6)), false, true, 120, 110, 100, 1, 1, 5)
	thin := newProduct[float32](rand.New(rand.NewPCG(6, 7)), false, true, 2, 600, 300, 1, 1, 5)
	want, wantThin := p.runSerial(), thin.runSerial()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for range 10 {
				equal := func(int) {
					if c := p.run(); !equalSlices(c, want) {
						t.Errorf("goroutine %d: %v differs from the serial result", g, p)
					}
					if c := thin.run(); !equalSlices(c, wantThin) {
						t.Errorf("goroutine %d: %v differs from the serial result", g, thin)
					}
				}
				if g%2 == 0 {
					equal(0)
				} else {
					Parallel(4, equal)
				}
			}
		})
	}
	wg.Wait()
}

func equalSlices[T Float](x, y []T) bool {
	for i := range y {
		if x[i] != y[i] {
			return false
		}
	}
	return len(x) == len(y)
}

func TestGemmAllocatesNothing(t *testing.T) {
	setThreads(t, 2)
	for _, s := range sameShapes {
		t.Run(s.name, func(t *testing.T) {
			p := newProduct[float32](rand.New(rand.NewPCG(7, 7)), s.transA, s.transB, s.m, s.n, s.k, 1, 1, 0)
			call := func() {
				Gemm(p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
			}
			// Scratch grows until every workspace has met every size.
			for range 20 {
				call()
			}
			if n := testing.AllocsPerRun(20, call); n >= 1 {
				t.Errorf("%v: %g allocations a call, want none", p, n)
			}
		})
	}
}
