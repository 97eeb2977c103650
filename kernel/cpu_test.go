package kernel

import "testing"

// eachISA runs f once on every instruction set of this CPU and build.
func eachISA(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for l := isaGo; l <= bestISA(); l++ {
		t.Run(l.String(), func(t *testing.T) {
			useISA(t, l)
			f(t)
		})
	}
}

// useISA switches all kernels to level l until the test ends.
func useISA(t testing.TB, l isaLevel) {
	t.Helper()
	old, halves := isa, halvesVectors
	isa, halvesVectors = l, false
	t.Cleanup(func() { isa, halvesVectors = old, halves })
}

func TestStartISA(t *testing.T) {
	for _, tc := range []struct {
		name, request string
		best, want    isaLevel
	}{
		{"default", "", isaAVX2, isaAVX2},
		{"lower", "go", isaAVX512, isaGo},
		{"same", "avx512", isaAVX512, isaAVX512},
		{"above the cpu", "avx512", isaAVX2, isaAVX2},
		{"unknown", "sse9", isaAVX2, isaAVX2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := startISA(tc.request, tc.best); got != tc.want {
				t.Errorf("startISA(%q, %v) = %v, want %v", tc.request, tc.best, got, tc.want)
			}
		})
	}
}
