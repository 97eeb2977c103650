package factor

import (
	"fmt"

	"sparrow/kernel"
)

// Symmetric is a sparse symmetric matrix [Size, Size] by rows: the entries of row i are at Start[i] to Start[i+1] of Index, ascending
// columns, and Values. It holds both halves.
type Symmetric struct {
	Start  []int
	Index  []int32
	Values []float64
}

// check is the error of rows that are none.
func (a *Symmetric) check() error {
	n := len(a.Start) - 1
	if n < 1 || a.Start[0] != 0 || a.Start[n] != len(a.Index) || len(a.Index) != len(a.Values) {
		return fmt.Errorf("factor: sparse matrix: %w: got %d starts, %d columns and %d values", ErrShape, len(a.Start), len(a.Index), len(a.Values))
	}
	return nil
}

// Size implements Products.
func (a *Symmetric) Size() (m, n int) { return len(a.Start) - 1, len(a.Start) - 1 }

// Times implements Products: row i of Aᵀ Xᵀ is the sum of a_ij times row j of Xᵀ.
func (a *Symmetric) Times(x *Matrix) *Matrix {
	if err := a.check(); err != nil || x.Cols != len(a.Start)-1 {
		panic(fmt.Sprintf("factor: sparse product: %v, x has %d columns", err, x.Cols)) // a programmer's error
	}
	t := x.Transpose()
	y := NewMatrix(t.Rows, t.Cols)
	kernel.Ranges(t.Rows, 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := y.Row(i)
			for k := a.Start[i]; k < a.Start[i+1]; k++ {
				kernel.Axpy(a.Values[k], t.Row(int(a.Index[k])), row)
			}
		}
	})
	return y.Transpose()
}

// TimesTransposed implements Products.
func (a *Symmetric) TimesTransposed(x *Matrix) *Matrix { return a.Times(x) }

// SumSquares implements Products.
func (a *Symmetric) SumSquares() float64 { return kernel.SumSquares(a.Values) }
