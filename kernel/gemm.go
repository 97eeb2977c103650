package kernel

import "fmt"

// Gemm computes C = alpha op(A) op(B) + beta C with op(X) = X or Xᵀ, over the pool.
//
// op(A) is [m, k], op(B) [k, n], C [m, n], all row-major with row strides lda, ldb, ldc in
// elements; a transposed operand is stored as [k, m] or [n, k]. With beta == 0 C is never read.
// Sizes may be 0; k == 0 gives C = beta C. C must not overlap A or B. A short slice or stride
// panics. The result is the same, bit for bit, for any number of threads.
//
// Cost: 2 m n k floating-point operations.
func Gemm[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	checkGemm(transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	Ranges(m, 32, func(lo, hi int) {
		if transA {
			naive(transA, transB, hi-lo, n, k, alpha, a[lo:], lda, b, ldb, beta, c[lo*ldc:], ldc)
		} else {
			naive(transA, transB, hi-lo, n, k, alpha, a[lo*lda:], lda, b, ldb, beta, c[lo*ldc:], ldc)
		}
	})
}

// GemmSerial is Gemm on the calling goroutine alone, for use inside Parallel.
func GemmSerial[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	checkGemm(transA, transB, m, n, k, len(a), lda, len(b), ldb, len(c), ldc)
	naive(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// GemmBatched computes batch independent products; operand X of product i starts at
// x[i*strideX]. A stride of 0 shares an input among all products.
func GemmBatched[T Float](transA, transB bool, batch, m, n, k int, alpha T, a []T, lda, strideA int, b []T, ldb, strideB int, beta T, c []T, ldc, strideC int) {
	Parallel(batch, func(i int) {
		GemmSerial(transA, transB, m, n, k, alpha, a[i*strideA:], lda, b[i*strideB:], ldb, beta, c[i*strideC:], ldc)
	})
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

func naive[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if m == 0 || n == 0 {
		return
	}
	for i := range m {
		ci := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(ci)
		} else {
			for j := range ci {
				ci[j] *= beta
			}
		}
		for p := range k {
			x := alpha
			if transA {
				x *= a[p*lda+i]
			} else {
				x *= a[i*lda+p]
			}
			if transB {
				for j := range ci {
					ci[j] += x * b[j*ldb+p]
				}
			} else {
				for j, y := range b[p*ldb : p*ldb+n] {
					ci[j] += x * y
				}
			}
		}
	}
}
