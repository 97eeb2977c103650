package recommend

import (
	"fmt"

	"sparrow/kernel"
)

// sweepBlock is how many pivots are taken at once: enough for matrix products at full speed.
const sweepBlock = 128

// sweep takes the pivots from lo to hi of the symmetric matrix s [n, n] (the sweep operator, Goodnight 1979; here in blocks): with K
// these indices, R the others and A = s_KK,
//
//	s_RR -= s_RK A^-1 s_KR    s_KR = A^-1 s_KR    s_KK = -A^-1
//
// Once all pivots are taken, s is minus its inverse; in between, what is left of it is the whole state.
func sweep[T kernel.Float](s []T, n, lo, hi int) error {
	panel := make([]T, sweepBlock*n)
	scaled := make([]T, sweepBlock*n)
	inverse := make([]T, sweepBlock*sweepBlock)
	for from := lo; from < hi; from += sweepBlock {
		b := min(sweepBlock, hi-from)
		p, c, inv := panel[:b*n], scaled[:b*n], inverse[:b*b]
		copy(p, s[from*n:(from+b)*n])
		if err := invert(inv, p[from:], b, n); err != nil {
			return fmt.Errorf("pivot %d: %w", from, err)
		}
		kernel.Gemm(false, false, b, n, b, 1, inv, b, p, n, 0, c, n)
		kernel.Gemm(true, false, n, n, b, -1, p, n, c, n, 1, s, n)
		copy(s[from*n:(from+b)*n], c)
		kernel.Transpose(s[from:], n, c, n, b, n, false)
		for i := range b {
			for j := range b {
				s[(from+i)*n+from+j] = -inv[i*b+j]
			}
		}
	}
	return nil
}

// invert is the inverse of the symmetric positive definite b x b matrix a, whose rows are lda apart, by sweeps of single pivots in
// float64.
func invert[T kernel.Float](dst, a []T, b, lda int) error {
	m := make([]float64, b*b)
	for i := range b {
		for j := range b {
			m[i*b+j] = float64(a[i*lda+j])
		}
	}
	for k := range b {
		d := m[k*b+k]
		if !(d > 0) {
			return fmt.Errorf("the matrix is not positive definite (%g at %d); want a larger ridge", d, k)
		}
		row := m[k*b : (k+1)*b]
		for i := range b {
			if i == k {
				continue
			}
			f := m[i*b+k] / d
			if f == 0 {
				continue
			}
			to := m[i*b : (i+1)*b]
			for j, x := range row {
				if j != k {
					to[j] -= f * x
				}
			}
			to[k] = f
		}
		for j := range row {
			if j != k {
				row[j] /= d
			}
		}
		row[k] = -1 / d
	}
	for i, x := range m {
		dst[i] = T(-x)
	}
	return nil
}
