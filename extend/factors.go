package extend

import (
	"context"
	"fmt"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
)

// factors splits an embedding E [rows, width] in two of rank r, F [rows, r] and P [r, width], its best product of that rank: with the
// leading eigenvectors Q and values s² of EᵀE, F = E Qᵀ s^(-1/2) and P = s^(1/2) Q. Both carry half of the scale, so that
// one learning rate suits both; OFA's own split leaves all of it to P. energy is the share of ||E||² that F P has.
func factors(ctx context.Context, e []float32, rows, r int) (f, p []float32, energy float64, err error) {
	width := len(e) / rows
	if r < 1 || r > min(rows, width) {
		return nil, nil, 0, fmt.Errorf("extend: --rank %d is out of range; want 1 to %d, for an embedding of %d x %d", r, min(rows, width), rows, width)
	}
	wide := make([]float64, len(e))
	for i, x := range e {
		wide[i] = float64(x)
	}
	gram := factor.NewMatrix(width, width)
	kernel.Gemm(true, false, width, width, rows, 1, wide, width, wide, width, 0, gram.Data, width)
	values, q, err := factor.SymmetricEigen(ctx, gram, r)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("extend: embedding: %w", err)
	}
	const smallest = 1e-14 // of a square's share, below which it is rounding
	whole, kept := 0.0, 0.0
	for i, v := range values {
		if whole += max(v, 0); i < r {
			kept += max(v, 0)
			if v <= smallest*values[0] {
				return nil, nil, 0, fmt.Errorf("extend: --rank %d is above the rank of the embedding; want at most %d", r, i)
			}
		}
	}
	left := make([]float64, rows*r)
	kernel.Gemm(false, true, rows, r, width, 1, wide, width, q.Data, width, 0, left, r)
	f, p = make([]float32, rows*r), make([]float32, r*width)
	for k := range r {
		root := math.Sqrt(math.Sqrt(values[k]))
		for i := range rows {
			f[i*r+k] = float32(left[i*r+k] / root)
		}
		for j, x := range q.Row(k) {
			p[k*width+j] = float32(x * root)
		}
	}
	return f, p, kept / whole, nil
}
