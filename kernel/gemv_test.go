package kernel

import "testing"

// What a decoder's step multiplies is shared among threads from a quarter of a megabyte of weights on: also the factors of a
// compressed layer, whose products are too few multiply-adds to be worth it otherwise.
func TestThinProductsAreShared(t *testing.T) {
	SetThreads(2)
	defer SetThreads(0)
	for _, c := range []struct {
		name    string
		n, k    int // of W [n, k]
		threads int
		tasks   int // at least
	}{
		{"dense", 512, 512, 2, 4},
		{"down", 128, 512, 2, 4},
		{"up", 512, 128, 2, 4},
		{"head", 4096, 512, 2, 64},
		{"small", 64, 64, 1, 1},
	} {
		if got := threadsFor(false, true, 1, c.n, c.k); got != c.threads {
			t.Errorf("%s: %d threads, want %d", c.name, got, c.threads)
		}
		op := gemmOp{transB: true, m: 1, n: c.n, k: c.k, elem: 4}
		if !op.planThin() || op.thin.tasks < c.tasks || op.thin.chunk%dotGroup != 0 {
			t.Errorf("%s: %d tasks of %d rows, want at least %d", c.name, op.thin.tasks, op.thin.chunk, c.tasks)
		}
		// Tasks of a large W are as large as a cache takes.
		if size := op.thin.chunk * c.k * 4; size > thinChunk {
			t.Errorf("%s: a task reads %d bytes, want at most %d", c.name, size, thinChunk)
		}
	}
}
