package cur

import (
	"context"
	"fmt"

	"sparrow/factor"
	"sparrow/kernel"
)

// LeaveOneOut is the root mean square error of predicting each row of r from the others and its own values at the columns index, for
// each of some ridges (shares of the mean diagonal, as Config.Lambda): U is fitted without the row, then predicts it. It is the closed
// form of that, with the hat matrix H = W (WᵀW + lambda I)⁻¹ Wᵀ, and centred H + 11ᵀ/m,
//
//	r_q - r̂_q = (R - H R)_q / (1 - H_qq)
//
// where lambda stays that of all rows. Of centred r a row's mean is left out with it.
func LeaveOneOut(ctx context.Context, r *factor.Matrix, index []int, lambdas []float64, centre bool) ([]float64, error) {
	if err := checkIndex(r, index); err != nil {
		return nil, err
	}
	if centre {
		r, _ = Centred(r)
	}
	d, err := factor.ThinSVD(ctx, r.Columns(index), nil)
	if err != nil {
		return nil, err
	}
	return leftOut(ctx, r, d, lambdas, meanDiagonal(d.S, len(index)), centre)
}

// leftOut is LeaveOneOut where the decomposition of W is known, and r is centred already; ridges are shares of unit.
func leftOut(ctx context.Context, r *factor.Matrix, d *factor.SVD, lambdas []float64, unit float64, centre bool) ([]float64, error) {
	m, n := r.Rows, r.Cols
	coefficients := d.U.Transpose().Mul(r) // Pᵀ R [rank, n]
	out := make([]float64, len(lambdas))
	for l, lambda := range lambdas {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		absolute := lambda * unit
		shrink := make([]float64, len(d.S))
		for i, s := range d.S {
			if s > 0 {
				shrink[i] = s * s / (s*s + absolute)
			}
		}
		left := d.U.Clone()
		for q := range m {
			kernel.Mul(left.Row(q), left.Row(q), shrink)
		}
		rest := r.Clone() // R - H R
		kernel.Gemm(false, false, m, n, len(d.S), -1, left.Data, left.Cols, coefficients.Data, n, 1, rest.Data, n)
		sum := 0.0
		for q := range m {
			h := kernel.Dot(left.Row(q), d.U.Row(q))
			if centre {
				h += 1 / float64(m)
			}
			open := max(1-h, 1e-12) // of a row that no other tells anything of
			sum += kernel.SumSquares(rest.Row(q)) / (open * open)
		}
		out[l] = rms(sum, m*n)
	}
	return out, nil
}

// chosen is the ridge of Lambdas, as a share of unit, with the least error of rows left out.
func chosen(ctx context.Context, r *factor.Matrix, d *factor.SVD, unit float64, centre bool) (float64, error) {
	const most = 4096 // columns that the choice looks at: it is of few ridges
	if r.Cols > most {
		some := make([]int, most)
		for i := range some {
			some[i] = i * r.Cols / most
		}
		r = r.Columns(some)
	}
	errors, err := leftOut(ctx, r, d, Lambdas, unit, centre)
	if err != nil {
		return 0, err
	}
	best := 0
	for i, e := range errors {
		if e < errors[best] {
			best = i
		}
	}
	return Lambdas[best], nil
}

// Oracle is C C⁺ A R⁺ R with C = A[:, cols] and R = A[rows, :]: the best product of these columns and rows, which takes all of A to
// find. It is a bound for others, no method.
func Oracle(ctx context.Context, a *factor.Matrix, rows, cols []int) (*factor.Matrix, error) {
	if err := checkIndex(a, cols); err != nil {
		return nil, err
	}
	across := a.Transpose()
	if err := checkIndex(across, rows); err != nil {
		return nil, err
	}
	left, err := basis(ctx, a.Columns(cols)) // orthonormal, of the span of C
	if err != nil {
		return nil, err
	}
	right, err := basis(ctx, across.Columns(rows)) // of the span of Rᵀ
	if err != nil {
		return nil, err
	}
	return left.Mul(left.Transpose().Mul(a).Mul(right)).Mul(right.Transpose()), nil
}

// basis is an orthonormal one of the span of a's columns.
func basis(ctx context.Context, a *factor.Matrix) (*factor.Matrix, error) {
	d, err := factor.ThinSVD(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	keep := 0
	for keep < len(d.S) && d.S[keep] > 0x1p-52*float64(max(a.Rows, a.Cols))*d.S[0] {
		keep++
	}
	some := make([]int, keep)
	for i := range some {
		some[i] = i
	}
	if keep == 0 {
		return nil, fmt.Errorf("factor: cur: oracle: %w: the chosen columns or rows are all zero", factor.ErrShape)
	}
	return d.U.Columns(some), nil
}

// Rank is how many of the singular values s, the largest first, have a share of their energy, the sum of squares: k_0.9 of a score
// matrix says how many anchors it takes at least.
func Rank(s []float64, share float64) int {
	total, sum := kernel.SumSquares(s), 0.0
	for i, v := range s {
		if sum += v * v; sum >= share*total {
			return i + 1
		}
	}
	return len(s)
}
