package factor

import (
	"context"
	"fmt"
	"math"
)

// Weights are the importances of a matrix's rows and columns, such as Fisher information summed over the other side; nil
// means all equal. Only their ratios matter: each side is divided by its mean.
type Weights struct {
	Rows, Cols []float64
	// Floor is added to the weights after the division by their mean, so that a row that has never mattered (weight 0)
	// does not make the scaling singular. 0 means DefaultFloor.
	Floor float64
}

// DefaultFloor is the usual Weights.Floor: the least important row counts 1e-8 of the mean one.
const DefaultFloor = 1e-8

// Floored returns how many row and column weights are below the floor, so that it decides over them.
func (w Weights) Floored() (rows, cols int) {
	count := func(x []float64) int {
		n, mean := 0, meanOf(x)
		for _, v := range x {
			if v <= w.floor()*mean {
				n++
			}
		}
		return n
	}
	return count(w.Rows), count(w.Cols)
}

func (w Weights) floor() float64 {
	if w.Floor == 0 {
		return DefaultFloor
	}
	return w.Floor
}

// Scales returns sqrt(weight/mean + floor) for each row and column, nil for a side without weights: what
// diag(rows) A diag(cols) is decomposed with.
func (w Weights) Scales(rows, cols int) (row, col []float64, err error) {
	if !(w.Floor >= 0) || math.IsInf(w.Floor, 0) {
		return nil, nil, fmt.Errorf("factor: weighted svd: %w: the floor is %v, want a number of 0 or more", ErrWeight, w.Floor)
	}
	scales := func(side string, x []float64, want int) ([]float64, error) {
		if x == nil {
			return nil, nil
		}
		if len(x) != want {
			return nil, fmt.Errorf("factor: weighted svd: %w: got %d %s weights for %d", ErrShape, len(x), side, want)
		}
		for i, v := range x {
			if !(v >= 0) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("factor: weighted svd: %w: %s weight %d is %v, want a number of 0 or more", ErrWeight, side, i, v)
			}
		}
		mean := meanOf(x)
		s := make([]float64, want)
		for i, v := range x {
			if mean > 0 {
				v /= mean
			}
			s[i] = math.Sqrt(v + w.floor())
		}
		return s, nil
	}
	if row, err = scales("row", w.Rows, rows); err != nil {
		return nil, nil, err
	}
	col, err = scales("column", w.Cols, cols)
	return row, col, err
}

// meanOf returns the mean, without overflow for large values.
func meanOf(x []float64) float64 {
	mean := 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	return mean
}

// WeightedSVD returns the product of the given rank that is nearest to a [m, n] under row and column weights,
//
//	min over rank(B) = r of || diag(s_row) (A - B) diag(s_col) ||_F,  s = sqrt(weight/mean + floor)
//
// by decomposing diag(s_row) A diag(s_col) = U S Vt and undoing the scaling: B = (U/s_row) S (Vt/s_col). With the Fisher
// information of a layer's inputs as column weights of W [out, in] this is FWSVD (Hsu et al. 2022, equations 3 to 5 of the
// Fisher-weighted section; there W is transposed). Equal weights, or none, give TruncatedSVD.
//
// U and Vt of the result are orthonormal only after scaling; S, Error and Bound are those of the scaled problem, so the
// weighted error squared is the sum of the S² left out. A weight that is negative or not finite is ErrWeight.
func WeightedSVD(ctx context.Context, a *Matrix, rank int, w Weights, progress Progress) (*SVD, error) {
	if err := a.check("weighted svd"); err != nil {
		return nil, err
	}
	row, col, err := w.Scales(a.Rows, a.Cols)
	if err != nil {
		return nil, err
	}
	scaled := a.Clone()
	exponent := normalise(scaled) // so that scaling cannot overflow
	if row != nil {
		scaleRows(scaled, row)
	}
	if col != nil {
		scaleCols(scaled, col)
	}
	d, err := TruncatedSVD(ctx, scaled, rank, progress)
	if err != nil {
		return nil, err
	}
	for i, s := range d.S {
		d.S[i] = math.Ldexp(s, exponent)
	}
	d.Error, d.Bound = math.Ldexp(d.Error, exponent), math.Ldexp(d.Bound, exponent)
	if row != nil {
		scaleRows(d.U, inverses(row))
	}
	if col != nil {
		scaleCols(d.Vt, inverses(col))
	}
	return d, nil
}

func inverses(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = 1 / v
	}
	return y
}
