package kernel

import (
	"fmt"
	"unsafe"
)

// Gemm computes C = alpha op(A) op(B) + beta C with op(X) = X or Xᵀ, over the pool.
//
// op(A) is [m, k], op(B) [k, n], C [m, n], all row-major with row strides lda, ldb, ldc in
// elements; a transposed operand is stored as [k, m] or [n, k]. With beta == 0 C is never read.
// Sizes may be 0; k == 0 gives C = beta C. C must not overlap A or B. A short slice or stride
// panics. The result is the same, bit for bit, for any number of threads.
//
// Cost: 2 m n k floating-point operations.
func Gemm[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	GemmAs(Full, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// GemmBias computes C = op(A) op(B) + bias with bias [n] added to every row, over the pool:
// a linear layer. C is never read. Otherwise as Gemm.
func GemmBias[T Float](transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, bias []T, c []T, ldc int) {
	GemmBiasAs(Full, transA, transB, m, n, k, a, lda, b, ldb, bias, c, ldc)
}

// GemmSums computes C = Aᵀ B + beta C and the sums of A's columns, sums [m] (added to sums when add
// is set), over the pool: the gradients of a linear layer's weight and bias. A is [k, m], B [k, n],
// C [m, n]. The sums are those of ColSum, bit for bit, but A comes from memory once. Otherwise as
// Gemm; a wrong number of sums panics.
func GemmSums[T Float](m, n, k int, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int, sums []T, add bool) {
	GemmSumsAs(Full, m, n, k, a, lda, b, ldb, beta, c, ldc, sums, add)
}

// threadedSize is the number of multiply-adds from which a product is worth the microsecond that
// waking the pool takes.
const threadedSize = 1 << 17

// threadedThin is the same for the elements of the tall matrix of a product with few rows or columns, whose time is that of
// reading it.
const threadedThin = 1 << 16

// threadsFor is how many threads a product is worth.
func threadsFor(transA, transB bool, m, n, k int) int {
	if m*n*k >= threadedSize || isThin(transA, transB, m, n) && max(m, n)*k >= threadedThin {
		return Threads()
	}
	return 1
}

// GemmSerial is Gemm on the calling goroutine alone, for use inside Parallel.
func GemmSerial[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	GemmSerialAs(Full, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

func gemm[T Float](p Precision, threads int, transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int, bias, sums []T) {
	checkGemm(transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	if m == 0 || n == 0 {
		return
	}
	if bias != nil && (k == 0 || p == Full && isThin(transA, transB, m, n)) {
		copyRows(m, bias, c, ldc)
		beta, bias = 1, nil
	}
	if k == 0 {
		scale(m, n, beta, c, ldc)
		return
	}
	op := newOp(threads, transA, transB, m, n, k, alpha, a, lda, beta, c, ldc, bias)
	op.b, op.ldb = unsafe.Pointer(unsafe.SliceData(b)), uintptr(ldb)*op.elem
	op.sums = unsafe.Pointer(unsafe.SliceData(sums))
	op.reads = p
	op.multiply()
	op.release()
}

// newOp is a product of checked operands, without B.
func newOp[T Float](threads int, transA, transB bool, m, n, k int, alpha T, a []T, lda int, beta T, c []T, ldc int, bias []T) *gemmOp {
	op := getOp()
	op.elem = unsafe.Sizeof(alpha)
	op.double = op.elem == 8
	op.threads = threads
	op.transA, op.transB = transA, transB
	op.m, op.n, op.k = m, n, k
	op.a, op.lda = unsafe.Pointer(unsafe.SliceData(a)), uintptr(lda)*op.elem
	op.c, op.ldc = unsafe.Pointer(unsafe.SliceData(c)), uintptr(ldc)*op.elem
	op.bias = unsafe.Pointer(unsafe.SliceData(bias))
	op.alpha, op.beta = 0, 0
	*(*T)(unsafe.Pointer(&op.alpha)) = alpha
	*(*T)(unsafe.Pointer(&op.beta)) = beta
	return op
}

// copyRows sets m rows of C to one.
func copyRows[T Float](m int, row, c []T, ldc int) {
	for i := range m {
		copy(c[i*ldc:], row)
	}
}

// scale computes C = beta C.
func scale[T Float](m, n int, beta T, c []T, ldc int) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j := range row {
			row[j] *= beta
		}
	}
}

// GemmBatched computes batch independent products C = alpha op(A) op(B) + beta C; operand X of
// product i starts at x[i*strideX]. A stride of 0 shares an input among all products; the C's
// must not overlap. Otherwise as Gemm.
func GemmBatched[T Float](transA, transB bool, batch, m, n, k int, alpha T, a []T, lda, strideA int, b []T, ldb, strideB int, beta T, c []T, ldc, strideC int) {
	GemmBatchedAs(Full, transA, transB, batch, m, n, k, alpha, a, lda, strideA, b, ldb, strideB, beta, c, ldc, strideC)
}

// GemmBatchedAs is GemmBatched with operands read as p.
func GemmBatchedAs[T Float](p Precision, transA, transB bool, batch, m, n, k int, alpha T, a []T, lda, strideA int, b []T, ldb, strideB int, beta T, c []T, ldc, strideC int) {
	if batch <= 0 || m == 0 || n == 0 {
		return
	}
	last := batch - 1
	checkBatch("a", last*strideA, len(a))
	checkBatch("b", last*strideB, len(b))
	checkBatch("c", last*strideC, len(c))
	checkGemm(transA, transB, m, n, k, len(a)-last*strideA, lda, len(b)-last*strideB, ldb, len(c)-last*strideC, ldc)
	if batch < Threads() {
		for i := range batch {
			GemmAs(p, transA, transB, m, n, k, alpha, a[i*strideA:], lda, b[i*strideB:], ldb, beta, c[i*strideC:], ldc)
		}
		return
	}
	Parallel(batch, func(i int) {
		GemmSerialAs(p, transA, transB, m, n, k, alpha, a[i*strideA:], lda, b[i*strideB:], ldb, beta, c[i*strideC:], ldc)
	})
}

// checkBatch panics unless the last product's operand starts inside its slice.
func checkBatch(name string, start, length int) {
	if start < 0 || start > length {
		panic(fmt.Sprintf("kernel: gemm: the last %s of the batch starts at element %d, got a slice of %d", name, start, length))
	}
}

// checkGemm panics unless every operand fits its slice.
func checkGemm(transA, transB bool, m, n, k, la, lda, lb, ldb, lc, ldc int) {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("kernel: gemm: got size m=%d n=%d k=%d, want none negative", m, n, k))
	}
	if transA {
		checkMatrix("a (transposed)", k, m, la, lda)
	} else {
		checkMatrix("a", m, k, la, lda)
	}
	if transB {
		checkMatrix("b (transposed)", n, k, lb, ldb)
	} else {
		checkMatrix("b", k, n, lb, ldb)
	}
	checkMatrix("c", m, n, lc, ldc)
}

func checkMatrix(name string, rows, cols, length, ld int) {
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols {
		panic(fmt.Sprintf("kernel: gemm: %s is %dx%d, got row stride %d, want at least %d", name, rows, cols, ld, cols))
	}
	if need := (rows-1)*ld + cols; length < need {
		panic(fmt.Sprintf("kernel: gemm: %s is %dx%d with row stride %d, got %d elements, want at least %d", name, rows, cols, ld, length, need))
	}
}
