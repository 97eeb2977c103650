package factor

import (
	"math"

	"sparrow/kernel"
)

// cholesky replaces the lower triangle of the symmetric matrix a [n, n] by L with a = L Lᵀ, and says whether a is
// positive definite.
func cholesky(a []float64, n int) bool {
	for i := range n {
		row := a[i*n : i*n+i+1]
		for j := range i {
			row[j] = (row[j] - kernel.Dot(row[:j], a[j*n:j*n+j])) / a[j*n+j]
		}
		pivot := row[i] - kernel.Dot(row[:i], row[:i])
		if !(pivot > 0) {
			return false
		}
		row[i] = math.Sqrt(pivot)
	}
	return true
}

// choleskySolve replaces x by the solution of L Lᵀ y = x.
func choleskySolve(l []float64, n int, x []float64) {
	for i := range n {
		x[i] = (x[i] - kernel.Dot(l[i*n:i*n+i], x[:i])) / l[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		x[i] /= l[i*n+i]
		kernel.Axpy(-x[i], l[i*n:i*n+i], x[:i])
	}
}
