package kernel

import "unsafe"

const (
	// ThinRows is the most rows of x for which y = x Wᵀ reads W in place, row by row: packing W
	// would cost more than it saves. A product with more rows adds in another order.
	ThinRows = 32
	// thinCols is the same for the transposed problem, a product with few columns.
	thinCols = 12
	// thinChunk is about how many bytes of W a task reads: they stay in the second-level cache
	// while one group of rows of x after the other uses them.
	thinChunk = 128 << 10
	// thinTasks is about how many tasks a W of less than so many chunks has, so that threads share it.
	thinTasks = 4
	// streamMin and streamMax bound the bytes of a row of W for which a product with one row of x
	// reads W as one stream. From memory that is 1.3 to 2.5 times as fast as groups of such rows, each
	// of which ends before the prefetcher has caught up. Longer rows are as fast in groups; in shorter
	// ones the sum over lanes at the end of a row would cost as much as the row.
	streamMin = 1 << 8
	streamMax = 2 << 10
)

// dotArgs is what a dot kernel works on: out[x][w] = sum over k of W[w][k] X[x][k] for groups of
// rows of W and a few rows of X. Strides are in bytes. The assembly reads this struct by offset
// and counts groups down.
type dotArgs struct {
	w, x, out unsafe.Pointer
	ldw, ldx  uintptr
	outStride uintptr
	blocks    int            // whole 64-byte blocks of a row
	mask      uint64         // one bit for each element of the last, partial block; 0 if none
	masks     unsafe.Pointer // the same as 64 bytes of sign bits
	groups    int
	shape     int // rows of X; 0: one row of X and one of W at a time
}

// thinOp is a product with few rows, or with few columns, as dot products: C[x][w] for the rows x
// of a thin matrix X and the rows w of a tall matrix W, both [.., k]. W is read once.
type thinOp struct {
	w, x, c    unsafe.Pointer
	ldw, ldx   uintptr
	cx, cw     uintptr // bytes from an element of C to that of the next row of X, of W
	xn, wn     int
	chunk      int // rows of W in a task
	tasks      int
	run        func(int)
	transposed buffer
}

// isThin says that dot products compute a product of that shape.
func isThin(transA, transB bool, m, n int) bool {
	return m <= ThinRows && transB || n <= thinCols && !transA
}

// planThin sets up the dot products if the shape asks for them. The rule depends on shapes only.
func (op *gemmOp) planThin() bool {
	t := &op.thin
	switch {
	case !isThin(op.transA, op.transB, op.m, op.n):
		return false
	case op.m <= ThinRows && op.transB:
		t.w, t.ldw, t.wn = op.b, op.ldb, op.n
		t.x, t.ldx, t.xn = op.a, op.lda, op.m
		t.cx, t.cw = op.ldc, op.elem
		if op.transA {
			op.transposeX(op.a, op.lda)
		}
	default:
		t.w, t.ldw, t.wn = op.a, op.lda, op.m
		t.x, t.ldx, t.xn = op.b, op.ldb, op.n
		t.cx, t.cw = op.elem, op.ldc
		if op.few {
			op.decodeX()
		} else if !op.transB {
			op.transposeX(op.b, op.ldb)
		}
	}
	t.c = op.c
	t.chunk = max(min(thinChunk/(op.k*int(op.elem)), t.wn/thinTasks)/dotGroup, 1) * dotGroup
	t.tasks = (t.wn + t.chunk - 1) / t.chunk
	return true
}

// transposeX copies a thin matrix stored [k, xn] to rows.
func (op *gemmOp) transposeX(src unsafe.Pointer, ld uintptr) {
	t := &op.thin
	t.ldx = uintptr(roundUp(op.k*int(op.elem), cacheLine))
	t.x = t.transposed.bytes(t.xn * int(t.ldx))
	transposeStripGo(op.double, t.x, src, t.ldx, ld, op.k, t.xn)
}

// runThin computes the elements of C that belong to one chunk of W.
func (op *gemmOp) runThin(task int) {
	t := &op.thin
	w0 := task * t.chunk
	wn := min(t.chunk, t.wn-w0)
	bench := getBench()
	defer bench.release()
	if op.few && t.w == nil {
		op.runCodes(bench, w0, wn)
	} else {
		op.runRows(bench, unsafe.Add(t.w, uintptr(w0)*t.ldw), w0, wn)
	}
}

// runRows computes the elements of C that belong to rows [w0, w0+wn) of W, which are at w.
func (op *gemmOp) runRows(bench *microBench, w unsafe.Pointer, w0, wn int) {
	t := &op.thin
	args := &bench.dot
	args.ldw, args.ldx = t.ldw, t.ldx
	if wn < dotGroup {
		w, args.ldw = op.padW(bench, w, wn)
	}
	bytes := op.k * int(op.elem)
	args.blocks = bytes / 64
	args.mask = 1<<(bytes%64/int(op.elem)) - 1
	args.masks = dotMasks(bytes % 64)
	args.outStride = uintptr(roundUp(max(wn, dotGroup), dotGroup)) * op.elem
	rows := dotRows(op.level)
	out := bench.c.bytes(rows * int(args.outStride))
	for x := 0; x < t.xn; x += rows {
		args.shape = min(rows, t.xn-x)
		args.x = unsafe.Add(t.x, uintptr(x)*t.ldx)
		group := dotGroupOf(op.level, args.shape)
		if args.shape == 1 && bytes >= streamMin && bytes <= streamMax {
			args.shape, group = 0, 1
		}
		args.w, args.out, args.groups = w, out, max(wn/group, 1)
		dot(op.level, op.double, args)
		if wn > group && wn%group != 0 {
			// The last group overlaps the one before it.
			at := uintptr(wn - group)
			args.w, args.out, args.groups = unsafe.Add(w, at*args.ldw), unsafe.Add(out, at*op.elem), 1
			dot(op.level, op.double, args)
		}
		c := unsafe.Add(t.c, uintptr(x)*t.cx+uintptr(w0)*t.cw)
		if op.double {
			scatter[float64](op, c, out, args.outStride, min(rows, t.xn-x), wn)
		} else {
			scatter[float32](op, c, out, args.outStride, min(rows, t.xn-x), wn)
		}
	}
}

// dotGroup is a multiple of the rows of W in every kernel's group.
const dotGroup = 8

// padW copies a chunk of fewer rows than a group and repeats the last one.
func (op *gemmOp) padW(bench *microBench, w unsafe.Pointer, wn int) (unsafe.Pointer, uintptr) {
	width := op.k * int(op.elem)
	ld := uintptr(roundUp(width, cacheLine))
	dst := bench.b.bytes(dotGroup * int(ld))
	for i := range dotGroup {
		copyStripGo(unsafe.Add(dst, uintptr(i)*ld), unsafe.Add(w, uintptr(min(i, wn-1))*op.thin.ldw), 0, 0, 1, width)
	}
	return dst, ld
}

// scatter writes alpha out + beta C to the elements of C of xn rows of X and wn rows of W.
func scatter[T Float](op *gemmOp, c, out unsafe.Pointer, outStride uintptr, xn, wn int) {
	alpha, beta := *(*T)(unsafe.Pointer(&op.alpha)), *(*T)(unsafe.Pointer(&op.beta))
	for x := range uintptr(xn) {
		row := unsafe.Add(c, x*op.thin.cx)
		for w, s := range unsafe.Slice((*T)(unsafe.Add(out, x*outStride)), wn) {
			e := (*T)(unsafe.Add(row, uintptr(w)*op.thin.cw))
			if beta == 0 {
				*e = alpha * s
			} else {
				*e = alpha*s + beta**e
			}
		}
	}
}
