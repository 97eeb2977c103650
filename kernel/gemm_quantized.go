package kernel

import (
	"fmt"
	"unsafe"
)

// GemmQuantized computes C = A Wᵀ + bias for W [n, k] in few bits, row-major, over the pool: a linear layer. bias [n] is nil
// where there is none. A is [m, k], C [m, n]; C is never read and must not overlap A.
//
// The result is that of Dequantize and Gemm, or GemmBias, bit for bit, on any number of threads; but W is read as it is. A
// product with one row makes W's values in registers, where blocks allow that; with a few it makes some rows of W at a time,
// which stay in the first-level cache; with many a panel at a time. One row takes about half the time of a float32 W in
// memory; from 2 to 16 take up to twice that of one which a cache holds, and more rows the same. Sizes that do not fit panic.
func GemmQuantized[T Float](m, n, k int, a []T, lda int, w Quantized, bias []T, c []T, ldc int) {
	if w.Elements != n*k || len(w.Codes) != w.codeBytes() || len(w.AbsMax) != w.blocks() {
		panic(fmt.Sprintf("kernel: gemm: got a quantized matrix of %d elements in %d bytes and %d blocks, want %d x %d", w.Elements, len(w.Codes), len(w.AbsMax), n, k))
	}
	if bias != nil && len(bias) != n {
		panic(fmt.Sprintf("kernel: gemm: got a bias of %d elements, want %d", len(bias), n))
	}
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("kernel: gemm: got size m=%d n=%d k=%d, want none negative", m, n, k))
	}
	checkMatrix("a", m, k, len(a), lda)
	checkMatrix("c", m, n, len(c), ldc)
	if m == 0 || n == 0 {
		return
	}
	var beta T
	if bias != nil && (k == 0 || isThin(false, true, m, n)) {
		copyRows(m, bias, c, ldc)
		beta, bias = 1, nil
	}
	if k == 0 {
		scale(m, n, beta, c, ldc)
		return
	}
	op := newOp(threadsFor(false, true, m, n, k), false, true, m, n, k, 1, a, lda, beta, c, ldc, bias)
	op.few, op.codes = true, w
	op.b, op.ldb, op.sums = nil, uintptr(k)*op.elem, nil
	op.multiply()
	op.release()
}

// decodeBytes is about how many bytes of rows of W a thin product makes at a time: half of a first-level cache.
const decodeBytes = 16 << 10

// runCodes is runRows for rows that are made of codes.
func (op *gemmOp) runCodes(bench *microBench, w0, wn int) {
	size := op.k * int(op.elem)
	if t := &op.thin; t.xn == 1 && !op.double {
		out := bench.c.bytes(wn * int(op.elem))
		if vecDotCodes(op.level, out, t.x, op.codes, op.k, w0, wn, &bench.rows) {
			scatter[float32](op, unsafe.Add(t.c, uintptr(w0)*t.cw), out, 0, 1, wn)
			return
		}
	}
	some := max(decodeBytes/size/dotGroup, 1) * dotGroup
	rows := bench.rows.bytes(min(some, wn) * size)
	for end := w0 + wn; w0 < end; w0 += some {
		n := min(some, end-w0)
		op.decode(rows, w0*op.k, n*op.k)
		op.runRows(bench, rows, w0, n)
	}
}

// decodeX makes the thin matrix of codes.
func (op *gemmOp) decodeX() {
	t := &op.thin
	t.x = t.transposed.bytes(op.n * op.k * int(op.elem))
	op.decode(t.x, 0, op.n*op.k)
}

// packCodes is packB for a B made of codes.
func (op *gemmOp) packCodes(dst unsafe.Pointer, k, kc, j, cols int) {
	bench := getBench()
	defer bench.release()
	size := kc * int(op.elem)
	rows := bench.rows.bytes(cols * size)
	for i := range cols {
		op.decode(unsafe.Add(rows, i*size), (j+i)*op.k+k, kc)
	}
	transposeStrip(op.level, op.double, dst, rows, uintptr(op.nr)*op.elem, uintptr(size), cols, kc)
}

// decode writes n of the codes' values, from element lo on.
func (op *gemmOp) decode(dst unsafe.Pointer, lo, n int) {
	if op.double {
		decodeRange(unsafe.Slice((*float64)(dst), n), op.codes, lo)
	} else {
		decodeRange(unsafe.Slice((*float32)(dst), n), op.codes, lo)
	}
}
