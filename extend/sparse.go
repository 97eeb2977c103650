package extend

import (
	"sparrow/factor"
	"sparrow/kernel"
)

// symmetric is a sparse symmetric matrix by rows: the entries of row i are at start[i] to start[i+1] of index, ascending columns, and
// values. It holds both halves.
type symmetric struct {
	start  []int
	index  []int32
	values []float64
}

// Size implements factor.Products.
func (a *symmetric) Size() (m, n int) { return len(a.start) - 1, len(a.start) - 1 }

// Times implements factor.Products: row i of Aᵀ Xᵀ is the sum of a_ij times row j of Xᵀ.
func (a *symmetric) Times(x *factor.Matrix) *factor.Matrix {
	t := x.Transpose()
	y := factor.NewMatrix(t.Rows, t.Cols)
	kernel.Ranges(t.Rows, 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := y.Row(i)
			for k := a.start[i]; k < a.start[i+1]; k++ {
				kernel.Axpy(a.values[k], t.Row(int(a.index[k])), row)
			}
		}
	})
	return y.Transpose()
}

// TimesTransposed implements factor.Products.
func (a *symmetric) TimesTransposed(x *factor.Matrix) *factor.Matrix { return a.Times(x) }

// SumSquares implements factor.Products.
func (a *symmetric) SumSquares() float64 { return kernel.SumSquares(a.values) }
