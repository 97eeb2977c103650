package kernel

import (
	"testing"
	"unsafe"
)

// TestLarge: as many zeros as asked for, at the border of a large page where there is room for two, and no more.
func TestLarge(t *testing.T) {
	for _, n := range []int{0, 1, 2*largePage/4 - 1, 2 * largePage / 4, 3*largePage/4 + 5} {
		checkLarge[float32](t, n)
		checkLarge[float64](t, n)
		checkLarge[int8](t, 4*n+3)
	}
}

func checkLarge[T Float | int8](t *testing.T, n int) {
	t.Helper()
	x := Large[T](n)
	if len(x) != n || cap(x) < n {
		t.Fatalf("Large[%T](%d) has %d elements", T(0), n, len(x))
	}
	bytes := n * int(unsafe.Sizeof(T(0)))
	if at := uintptr(unsafe.Pointer(unsafe.SliceData(x))); bytes >= 2*largePage && at%largePage != 0 {
		t.Errorf("Large[%T](%d) begins %d bytes behind a border", T(0), n, at%largePage)
	}
	for i := range x {
		if x[i] != 0 {
			t.Fatalf("Large[%T](%d): element %d is %v", T(0), n, i, x[i])
		}
		x[i] = 1
	}
}
