package cur

import (
	"context"
	"fmt"
	"slices"

	"sparrow/factor"
	"sparrow/kernel"
)

// Rows are those of a matrix that are known in full, ready for predicting others from values that come bit by bit. Several
// Adaptives may share them.
type Rows struct {
	R       *factor.Matrix // centred [m, n]
	Mean    []float64      // of each column
	squares float64        // mean square of a column of R
}

// NewRows makes ready the rows of r [m, n].
func NewRows(r *factor.Matrix) *Rows {
	c, mean := Centred(r)
	s := &Rows{R: c, Mean: mean}
	s.squares = kernel.SumSquares(c.Data) / float64(c.Cols)
	if s.squares == 0 {
		s.squares = 1
	}
	return s
}

// Ridge is the lambda for Start of Lambdas that predicts rows that are left out best from their values at the columns index, see
// LeaveOneOut.
func (s *Rows) Ridge(ctx context.Context, index []int) (float64, error) {
	if err := checkIndex(s.R, index); err != nil {
		return 0, err
	}
	d, err := factor.ThinSVD(ctx, s.R.Columns(index), nil)
	if err != nil {
		return 0, err
	}
	return chosen(ctx, s.R, d, s.squares, true)
}

// Adaptive predicts a row of which more and more values are seen: that of Fit with Ridge and Centre, where the Cholesky factor of
// WᵀW + lambda I grows with each value (ADACUR, Yadav et al. 2023). lambda is a share of the mean square of all columns of R, so that
// it stays the same while anchors come.
type Adaptive struct {
	rows   *Rows
	lambda float64
	factor *Cholesky
	index  []int
	seen   [][]float64 // columns of R
	values []float64   // without the means
}

// Start is an Adaptive that has seen nothing.
func (s *Rows) Start(lambda float64) *Adaptive {
	if !(lambda > 0) {
		panic(fmt.Sprintf("factor: cur: lambda %v, want more than 0", lambda))
	}
	return &Adaptive{rows: s, lambda: lambda * s.squares, factor: &Cholesky{}}
}

// Fork is an Adaptive of another row with the same anchors, whose factor is shared; values are those of that row.
func (a *Adaptive) Fork(values []float64) *Adaptive {
	b := &Adaptive{rows: a.rows, lambda: a.lambda, factor: a.factor.Clone(), index: slices.Clone(a.index), seen: slices.Clone(a.seen)}
	for i, v := range values {
		b.values = append(b.values, v-a.rows.Mean[a.index[i]])
	}
	return b
}

// See notes the value of the row at a column. Cost: m + k for each of the k columns seen before.
func (a *Adaptive) See(column int, value float64) error {
	own := make([]float64, a.rows.R.Rows)
	for q := range own {
		own[q] = a.rows.R.Row(q)[column]
	}
	border := make([]float64, len(a.index))
	kernel.Ranges(len(border), 64, func(from, to int) {
		for i := from; i < to; i++ {
			border[i] = kernel.Dot(own, a.seen[i])
		}
	})
	if err := a.factor.Append(border, kernel.SumSquares(own)+a.lambda); err != nil {
		return err
	}
	a.index, a.seen, a.values = append(a.index, column), append(a.seen, own), append(a.values, value-a.rows.Mean[column])
	return nil
}

// Predict writes the whole row: mean + w (WᵀW + lambda I)⁻¹ Wᵀ R. Cost: 2 m n.
func (a *Adaptive) Predict(out []float64) {
	solved := append([]float64(nil), a.values...)
	a.factor.Solve(solved)
	weights := make([]float64, a.rows.R.Rows)
	for i, v := range solved {
		kernel.Axpy(v, a.seen[i], weights)
	}
	combine(out, a.rows.Mean, weights, a.rows.R)
}
