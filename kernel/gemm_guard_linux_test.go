package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded returns n elements that end at a page that must not be touched.
func guarded[T Float | uint8](t *testing.T, n int) []T {
	t.Helper()
	page := unix.Getpagesize()
	size := n * int(unsafe.Sizeof(T(0)))
	whole := (size + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, whole+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mmap %d bytes: %v", whole+page, err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	if err := unix.Mprotect(mem[whole:], unix.PROT_NONE); err != nil {
		t.Fatalf("mprotect: %v", err)
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[whole-size])), n)
}

// TestGemmStaysInside runs products whose operands end at a forbidden page: a read or write past
// the end kills the test.
func TestGemmStaysInside(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		t.Run("float32", testStaysInside[float32])
		t.Run("float64", testStaysInside[float64])
	})
}

func testStaysInside[T Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range cases(300) {
		p := newProduct[T](rng, rng.IntN(2) == 1, rng.IntN(2) == 1,
			oddSizes[rng.IntN(len(oddSizes))], oddSizes[rng.IntN(len(oddSizes))], oddDepths[rng.IntN(len(oddDepths))],
			1, T(rng.IntN(2)), 40*rng.IntN(2))
		a, b, c := guarded[T](t, len(p.a)), guarded[T](t, len(p.b)), guarded[T](t, len(p.c))
		copy(a, p.a)
		copy(b, p.b)
		copy(c, p.c)
		p.a, p.b = a, b
		GemmSerial(p.transA, p.transB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, c, p.ldc)
		p.check(t, c)
		bias := guarded[T](t, p.n)
		for i := range p.m {
			copy(p.c[i*p.ldc:], bias) // zeros
		}
		copy(c, p.c)
		GemmBias(p.transA, p.transB, p.m, p.n, p.k, p.a, p.lda, p.b, p.ldb, bias, c, p.ldc)
		p.check(t, c)
	}
}
