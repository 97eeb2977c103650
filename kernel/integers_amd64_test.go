//go:build amd64 && !purego

package kernel

import "testing"

// eachIntegers runs f once on every instruction set of this CPU that has integer products of its own.
func eachIntegers(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for l := integersGo; l <= integersOf(bestISA()); l++ {
		if l == integersAVXVNNI && !hasAVXVNNI() {
			continue
		}
		t.Run(l.String(), func(t *testing.T) {
			useIntegers(t, l)
			f(t)
		})
	}
}

// useIntegers switches integer products to level l until the test ends.
func useIntegers(t testing.TB, l integerLevel) {
	t.Helper()
	useISA(t, map[integerLevel]isaLevel{integersGo: isaGo, integersAVX2: isaAVX2, integersAVXVNNI: isaAVX2, integersAVX512VNNI: isaAVX512}[l])
	old := bestIntegers
	bestIntegers = max(l, integersAVX2)
	t.Cleanup(func() { bestIntegers = old })
}
