package cur

import (
	"context"
	"fmt"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
)

// Method is how the link U between anchors and rows is made.
type Method string

// The methods.
const (
	// Pinv is the paper's: U = W⁺, with singular values below Cut times the largest left out. Where W is nearly square it turns
	// noise into errors many times as large.
	Pinv Method = "pinv"
	// Ridge is U = (WᵀW + lambda I)⁻¹ Wᵀ.
	Ridge Method = "ridge"
)

// Config says how Fit links anchors and rows.
type Config struct {
	Method Method

	// Cut is the smallest singular value that Pinv keeps, as a share of the largest; 0: what rounding leaves, max(m, n) 2⁻⁵².
	Cut float64

	// Lambda is that of Ridge, as a share of the mean of the diagonal of WᵀW; 0: the one of Lambdas with the least error of rows
	// that are left out, one at a time, see LeaveOneOut.
	Lambda float64

	// Centre subtracts each column's mean over the rows of R first, so that a prediction starts from it and shrinks to it.
	Centre bool
}

// Lambdas are those that Ridge is chosen from.
var Lambdas = []float64{1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10}

// Fitted predicts rows of a matrix from their values at some columns, the anchors.
type Fitted struct {
	Index  []int          // the anchors
	Link   *factor.Matrix // U [anchors, rows of R]
	Lambda float64        // as a share of the mean diagonal; 0: no ridge
	Cond   float64        // largest singular value of W over the smallest; +Inf: W has not full rank

	r    *factor.Matrix // R, centred if asked for
	mean []float64      // of each column; nil: not centred
}

// Fit links the rows of r [m, n], all of whose values are known, with those of other rows at the columns index: with W = R[:, index]
// a row with values w there is predicted as
//
//	w U R,  or centred  mean + (w - mean[index]) U (R - mean)
//
// (Yadav et al. 2022, section 3: ANNCUR.) Columns that are not those of r, or come twice, are ErrShape.
//
// Cost: a singular value decomposition of [m, k], and with Ridge 2 m² n for its choice.
func Fit(ctx context.Context, r *factor.Matrix, index []int, cfg Config) (*Fitted, error) {
	if err := checkIndex(r, index); err != nil {
		return nil, err
	}
	if !(cfg.Lambda >= 0) || math.IsInf(cfg.Lambda, 0) || !(cfg.Cut >= 0) || cfg.Cut >= 1 {
		return nil, fmt.Errorf("factor: cur: %w: got lambda %v and cut %v, want lambda of 0 or more and cut of 0 to below 1", factor.ErrWeight, cfg.Lambda, cfg.Cut)
	}
	f := &Fitted{Index: append([]int(nil), index...), r: r}
	if cfg.Centre {
		f.r, f.mean = Centred(r)
	}
	w := f.r.Columns(index)
	d, err := factor.ThinSVD(ctx, w, nil)
	if err != nil {
		return nil, err
	}
	f.Cond = math.Inf(1)
	if last := d.S[len(d.S)-1]; last > 0 {
		f.Cond = d.S[0] / last
	}
	inverse := make([]float64, len(d.S)) // singular values of U
	switch cfg.Method {
	case Pinv:
		cut := cfg.Cut
		if cut == 0 {
			cut = 0x1p-52 * float64(max(w.Rows, w.Cols))
		}
		for i, s := range d.S {
			if s > cut*d.S[0] {
				inverse[i] = 1 / s
			}
		}
	case Ridge:
		f.Lambda = cfg.Lambda
		if f.Lambda == 0 {
			if f.Lambda, err = chosen(ctx, f.r, d, meanDiagonal(d.S, len(index)), cfg.Centre); err != nil {
				return nil, err
			}
		}
		absolute := f.Lambda * meanDiagonal(d.S, len(index))
		for i, s := range d.S {
			if s > 0 {
				inverse[i] = s / (s*s + absolute)
			}
		}
	default:
		return nil, fmt.Errorf("factor: cur: %w: method %q, want %s or %s", factor.ErrShape, cfg.Method, Pinv, Ridge)
	}
	right := d.Vt.Transpose() // [k, r]
	for i := range right.Rows {
		kernel.Mul(right.Row(i), right.Row(i), inverse)
	}
	f.Link = right.Mul(d.U.Transpose())
	return f, nil
}

// Predict writes the row whose values at the anchors are given. Lengths that do not fit panic.
func (f *Fitted) Predict(out, values []float64) {
	if len(values) != len(f.Index) || len(out) != f.r.Cols {
		panic(fmt.Sprintf("factor: cur: %d values for %d anchors, %d places for %d columns", len(values), len(f.Index), len(out), f.r.Cols))
	}
	weights := make([]float64, f.r.Rows)
	for i, v := range values {
		if f.mean != nil {
			v -= f.mean[f.Index[i]]
		}
		kernel.Axpy(v, f.Link.Row(i), weights)
	}
	combine(out, f.mean, weights, f.r)
}

// combine writes mean + weights R.
func combine(out, mean, weights []float64, r *factor.Matrix) {
	clear(out)
	copy(out, mean)
	kernel.Gemm(false, false, 1, r.Cols, r.Rows, 1, weights, r.Rows, r.Data, r.Cols, 1, out, r.Cols)
}

// Centred is r without the means of its columns, and those.
func Centred(r *factor.Matrix) (*factor.Matrix, []float64) {
	mean := make([]float64, r.Cols)
	for i := range r.Rows {
		kernel.Axpy(1/float64(r.Rows), r.Row(i), mean)
	}
	c := r.Clone()
	for i := range c.Rows {
		kernel.Axpy(-1, mean, c.Row(i))
	}
	return c, mean
}

// meanDiagonal is that of WᵀW, W of k columns with singular values s; 1 where W is zero, so that a ridge is above 0.
func meanDiagonal(s []float64, k int) float64 {
	if sum := kernel.SumSquares(s); sum > 0 {
		return sum / float64(k)
	}
	return 1
}

// checkIndex refuses columns that r does not have, or has once only.
func checkIndex(r *factor.Matrix, index []int) error {
	if r == nil || r.Rows < 1 || r.Cols < 1 || len(r.Data) != r.Rows*r.Cols {
		return fmt.Errorf("factor: cur: %w: want a matrix with rows and columns", factor.ErrShape)
	}
	if len(index) == 0 || len(index) > r.Cols {
		return fmt.Errorf("factor: cur: %w: got %d anchors for %d columns, want 1 to %d", factor.ErrShape, len(index), r.Cols, r.Cols)
	}
	seen := make(map[int]bool, len(index))
	for _, c := range index {
		if c < 0 || c >= r.Cols || seen[c] {
			return fmt.Errorf("factor: cur: %w: got column %d among the anchors, want different ones of 0 to %d", factor.ErrShape, c, r.Cols-1)
		}
		seen[c] = true
	}
	return nil
}
