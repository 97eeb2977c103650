package kernel

import (
	"sync"
	"unsafe"
)

// gemmOp is one product under way. It is untyped (byte strides, element size), so that one driver
// serves both element types, and is recycled, so that a product allocates nothing.
type gemmOp struct {
	a, b, c        unsafe.Pointer
	bias           unsafe.Pointer // a row to add to every row of C; nil: none
	sums           unsafe.Pointer // of the columns of a transposed A, m of them; nil: none
	lda, ldb, ldc  uintptr        // bytes
	transA, transB bool
	m, n, k        int
	alpha, beta    uint64 // bits of the element type
	elem           uintptr
	double         bool
	reads          Precision
	pairs          bool      // A and B are packed as pairs of bfloat16, two of k in an element of float32
	few            bool      // B, which is transposed, is codes in place of numbers; see gemm_quantized.go
	codes          Quantized // [n, k] then
	threads        int
	level          isaLevel
	blocking

	// One pass over B, which is packed whole for columns [j0, j1) and k in [k0, k1).
	j0, j1, k0, k1 int
	kc             int // length of the k blocks; they start at multiples of kc
	rowTasks       int // tiles of tasks that cover C
	colTasks       int
	packed         buffer

	packPanels, packRows, tile func(int) // packPanel, packRow and runTask, bound once

	// A thin product, see gemv.go.
	thin thinOp
}

// microBench is the private workspace of one task.
type microBench struct {
	args microArgs
	dot  dotArgs
	a    buffer // packed rows of A
	b    buffer // an edge of B
	c    buffer // an edge of C, widened to whole tiles
	bias buffer // an edge of the bias
	rows buffer // of B, made of codes
}

// buffer is scratch memory that only grows, aligned to cache lines.
type buffer struct {
	words []uint64
}

const cacheLine = 64

// bytes returns at least n bytes of scratch, contents undefined.
func (b *buffer) bytes(n int) unsafe.Pointer {
	const slack = cacheLine / 8
	if need := (n+7)/8 + slack; len(b.words) < need {
		b.words = make([]uint64, need+need/4)
	}
	p := unsafe.Pointer(unsafe.SliceData(b.words))
	return unsafe.Add(p, -uintptr(p)&(cacheLine-1))
}

// freeList recycles workspaces. Unlike sync.Pool it keeps them across garbage collections, so a
// training step allocates nothing; it holds as many as were ever in use at once.
type freeList[T any] struct {
	mu   sync.Mutex
	free []*T
}

func (l *freeList[T]) get() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		x := l.free[n-1]
		l.free = l.free[:n-1]
		return x
	}
	return nil
}

func (l *freeList[T]) put(x *T) {
	l.mu.Lock()
	l.free = append(l.free, x)
	l.mu.Unlock()
}

var (
	gemmOps     freeList[gemmOp]
	microBenchs freeList[microBench]
)

func getOp() *gemmOp {
	if op := gemmOps.get(); op != nil {
		return op
	}
	op := new(gemmOp)
	op.packPanels, op.packRows, op.tile = op.packPanel, op.packRow, op.runTask
	op.thin.run = op.runThin
	return op
}

// release drops the references to the caller's slices and recycles the op.
func (op *gemmOp) release() {
	op.a, op.b, op.c, op.bias, op.sums = nil, nil, nil, nil, nil
	op.thin.w, op.thin.x, op.thin.c = nil, nil, nil
	op.few, op.codes, op.reads = false, Quantized{}, Full
	gemmOps.put(op)
}

func getBench() *microBench {
	if w := microBenchs.get(); w != nil {
		return w
	}
	return new(microBench)
}

func (w *microBench) release() {
	w.args = microArgs{}
	w.dot = dotArgs{}
	microBenchs.put(w)
}
