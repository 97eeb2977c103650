package factor

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
