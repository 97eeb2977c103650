// Package foreigntest holds what the tests of several file formats need. It must not know any of them.
package foreigntest

import (
	"runtime"
	"testing"
)

// Bounded runs f, which reads a file of size bytes, and fails the test if f allocated out of all proportion to it.
func Bounded(t testing.TB, size int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(64*size+4<<20); got > most {
		t.Errorf("a file of %d bytes made its reader allocate %d; want at most %d", size, got, most)
	}
}
