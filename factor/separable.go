package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// Separation is a choice of rows that all other rows mix.
type Separation struct {
	Rows      []int     // of the matrix, in the order in which they were chosen
	Vertices  *Matrix   // [k, r]: those rows, each divided by its sum
	Residuals []float64 // norm of each when it was chosen, less what the earlier ones explain: falls to 0 where the rank is below k
}

// Separable finds k rows of the non-negative matrix h [m, r] of which the other rows are mixtures, up to their sums: successive
// projection (Araújo et al. 2001; Gillis and Vavasis 2014), pivoted QR without Q. Rows are divided by their sums; then k times the row
// with the largest residual norm is chosen and its direction taken from all residuals. Rows whose sum is below floor (a share of the
// largest) have no direction worth a choice and are left out.
//
// Cost: 2 m r k operations.
func Separable(ctx context.Context, h *Matrix, k int, floor float64) (*Separation, error) {
	const where = "separable factorization"
	if err := h.checkNonNegative(where); err != nil {
		return nil, err
	}
	if err := h.checkRank(where, k); err != nil {
		return nil, err
	}
	n, sums, most := h.Clone(), make([]float64, h.Rows), 0.0
	for i := range sums {
		sums[i] = kernel.Sum(h.Row(i))
		most = max(most, sums[i])
	}
	used := 0
	for i, sum := range sums {
		if sum == 0 || sum < floor*most {
			clear(n.Row(i))
			continue
		}
		for c, v := range n.Row(i) {
			n.Row(i)[c] = v / sum
		}
		used++
	}
	if used < k {
		return nil, fmt.Errorf("factor: %s: %w: %d of %d rows have enough in them, want %d or more", where, ErrShape, used, h.Rows, k)
	}
	s := &Separation{Vertices: NewMatrix(k, h.Cols)}
	residual := n.Clone()
	taken := make([]bool, h.Rows)
	direction := make([]float64, h.Cols)
	for range k {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		best, longest := -1, 0.0
		for i := range residual.Rows {
			if taken[i] || sums[i] == 0 || sums[i] < floor*most {
				continue
			}
			if d := kernel.Dot(residual.Row(i), residual.Row(i)); best < 0 || d > longest {
				best, longest = i, d
			}
		}
		taken[best] = true
		s.Residuals = append(s.Residuals, math.Sqrt(longest))
		copy(s.Vertices.Row(len(s.Rows)), n.Row(best))
		s.Rows = append(s.Rows, best)
		if !unitRow(direction, residual.Row(best)) {
			continue // nothing is left: the rank is lower
		}
		for i := range residual.Rows {
			kernel.Axpy(-kernel.Dot(residual.Row(i), direction), direction, residual.Row(i))
		}
	}
	return s, nil
}

// checkNonNegative says whether the matrix is one of numbers of 0 or more; where names the caller.
func (m *Matrix) checkNonNegative(where string) error {
	if err := m.check(where); err != nil {
		return err
	}
	for i, v := range m.Data {
		if v < 0 {
			return fmt.Errorf("factor: %s: %w: element (%d, %d) is %v, want 0 or more", where, ErrShape, i/m.Cols, i%m.Cols, v)
		}
	}
	return nil
}
