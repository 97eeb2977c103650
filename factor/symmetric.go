package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// SymmetricEigen returns all eigenvalues of the symmetric matrix a [n, n], the largest first, and the eigenvectors of the first
// `top` as the rows of a matrix [top, n]. Only symmetric matrices have an answer; what is below the diagonal is taken to be above it.
// A matrix that is not square, or a top that it does not have, is ErrShape.
//
// Cost: 8/3 n³ + 2 n² top operations at most.
func SymmetricEigen(ctx context.Context, a *Matrix, top int) (values []float64, vectors *Matrix, err error) {
	const where = "symmetric eigen"
	if err := a.check(where); err != nil {
		return nil, nil, err
	}
	if a.Rows != a.Cols {
		return nil, nil, fmt.Errorf("factor: %s: %w: got %d x %d, want as many rows as columns", where, ErrShape, a.Rows, a.Cols)
	}
	if err := a.checkRank(where, top); err != nil {
		return nil, nil, err
	}
	work := a.Clone()
	mirror(work.Data, a.Rows)
	values, rows, err := symmetricEigen(&job{ctx: ctx}, work.Data, a.Rows, top)
	if err != nil {
		return nil, nil, err
	}
	return values, &Matrix{Rows: top, Cols: a.Rows, Data: rows}, nil
}

// symmetricEigen diagonalises the symmetric matrix a [n, n] (destroyed): all eigenvalues in descending order and the
// eigenvectors of the first `top` as rows [top, n]. Vectors are orthonormal and residuals small to rounding, relative to
// the largest eigenvalue.
//
// Cost: 4/3 n³ for the tridiagonal form, half of it in products with a vector; up to 4/3 n³ for the divide and conquer,
// less when eigenvalues are close; 2 n² top for the way back.
func symmetricEigen(j *job, a []float64, n, top int) (values, rows []float64, err error) {
	d, e, panels, err := tridiagonal(j, a, n)
	if err != nil {
		return nil, nil, err
	}
	values, rows, err = tridiagonalEigen(j, d, e, top)
	if err != nil {
		return nil, nil, err
	}
	return values, rows, applyRows(j, panels, rows, top, n)
}

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

// SolvePositive replaces x by the solution of a y = x for a symmetric positive definite a [n, n], which it destroys. Another matrix is
// ErrConverge, another length ErrShape.
func SolvePositive(a *Matrix, x []float64) error {
	if a.Rows != a.Cols || len(x) != a.Rows {
		return fmt.Errorf("factor: solve: %w: got %d x %d and %d values, want a square and as many", ErrShape, a.Rows, a.Cols, len(x))
	}
	if !cholesky(a.Data, a.Rows) {
		return fmt.Errorf("factor: solve: %w: the matrix is not positive definite", ErrConverge)
	}
	choleskySolve(a.Data, a.Rows, x)
	return nil
}
