package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// PivotedQR chooses k columns of a [m, n] by QR with column pivoting: each time the column with the longest part outside the
// span of those already chosen (Businger and Golub, 1965). Index is in the order of choice, the most telling column first.
//
// Columns beyond the numerical rank change nothing: they are filled up by position, see Selection.Rank.
//
// Cost: 2 m n k operations.
func PivotedQR(ctx context.Context, a *Matrix, k int, progress Progress) (*Selection, error) {
	q, err := pivot(ctx, "pivoted qr", a, k, progress)
	if err != nil {
		return nil, err
	}
	return q.selection(0), nil
}

// StrongRRQR chooses k columns of a [m, n] by a strong rank-revealing QR (Gu and Eisenstat, "Efficient algorithms for computing
// a strong rank-revealing QR factorization", 1996, algorithm 4). With A P = Q [R11 R12; 0 R22] it holds that
//
//	(R11⁻¹ R12)_ij² + (gamma_j / omega_i)² <= f²
//
// where 1/omega_i is the norm of row i of R11⁻¹ and gamma_j that of column j of R22: no interpolation coefficient exceeds f, and
// the singular values of R11 and R22 are within sqrt(1 + f² k (n-k)) of the best ones. It starts from PivotedQR and, while a
// pair breaks the bound, swaps the one that breaks it most; a swap multiplies |det R11| by more than f, so it ends.
//
// A bound f that is not above 1 is ErrShape: at 1 rounding may swap for ever. Columns beyond the numerical rank are filled up by
// position and take no part, see Selection.Rank.
//
// Cost: 2 m n k operations, and m n + k² n + k³/3 for each check.
func StrongRRQR(ctx context.Context, a *Matrix, k int, f float64, progress Progress) (*Selection, error) {
	const where = "strong rrqr"
	if !(f > 1) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("factor: %s: %w: got bound %v, want a number above 1, such as 1.2", where, ErrShape, f)
	}
	q, err := pivot(ctx, where, a, k, progress)
	if err != nil {
		return nil, err
	}
	swaps := 0
	for q.rank > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		i, j := q.worst(f)
		if i < 0 {
			break
		}
		q.swap(i, j)
		swaps++
	}
	return q.selection(swaps), nil
}

// pivotedQR is a triangular form under way. Column c of R is w.Row(c), so the matrix lies transposed.
type pivotedQR struct {
	w     *Matrix // [n, m]; places 0 to rank-1 are R11, of the others the first `rank` values are R12 and the rest R22
	order []int   // order[c] is the column of A that is at place c
	k     int     // columns wanted
	rank  int     // columns chosen by pivots, at most k
	scale int     // A = 2^scale times what w is of
}

// pivot does the first k steps of QR with column pivoting.
func pivot(ctx context.Context, where string, a *Matrix, k int, progress Progress) (*pivotedQR, error) {
	if err := a.check(where); err != nil {
		return nil, err
	}
	if err := a.checkRank(where, k); err != nil {
		return nil, err
	}
	q := &pivotedQR{w: a.Transpose(), order: make([]int, a.Cols), k: k}
	q.scale = normalise(q.w)
	for c := range q.order {
		q.order[c] = c
	}
	j := &job{ctx: ctx, progress: progress, total: k}
	n, m := q.w.Rows, q.w.Cols
	rest, full := make([]float64, n), make([]float64, n) // squared norms: of what is left, and when last summed
	for c := range n {
		rest[c] = kernel.SumSquares(q.w.Row(c))
		full[c] = rest[c]
	}
	const epsilon = 0x1p-52
	first := 0.0
	for t := range k {
		p := t
		for c := t + 1; c < n; c++ {
			if rest[c] > rest[p] {
				p = c
			}
		}
		if t == 0 {
			first = rest[p]
		}
		// What is left after rounding of columns as long as the first: no direction of its own.
		if tiny := epsilon * float64(max(m, n)); !(rest[p] > tiny*tiny*first) {
			break
		}
		q.exchange(t, p)
		rest[t], rest[p], full[t], full[p] = rest[p], rest[t], full[p], full[t]
		q.eliminate(t)
		for c := t + 1; c < n; c++ {
			x := q.w.Data[c*m+t]
			rest[c] -= x * x
			if rest[c] < 1e-3*full[c] { // subtraction loses digits
				rest[c] = kernel.SumSquares(q.w.Row(c)[t+1:])
				full[c] = rest[c]
			}
		}
		q.rank++
		if err := j.step(1); err != nil {
			return nil, err
		}
	}
	j.finish()
	return q, nil
}

// exchange swaps two places.
func (q *pivotedQR) exchange(a, b int) {
	if a == b {
		return
	}
	x, y := q.w.Row(a), q.w.Row(b)
	for i, v := range x {
		x[i], y[i] = y[i], v
	}
	q.order[a], q.order[b] = q.order[b], q.order[a]
}

// eliminate reflects the coordinates from t on so that column t ends at its diagonal.
func (q *pivotedQR) eliminate(t int) {
	v := append([]float64(nil), q.w.Row(t)[t:]...)
	tau, beta := reflect(v)
	own := q.w.Row(t)[t:]
	clear(own)
	own[0] = beta
	kernel.Ranges(q.w.Rows-t-1, 16, func(from, to int) {
		for c := t + 1 + from; c < t+1+to; c++ {
			x := q.w.Row(c)[t:]
			kernel.Axpy(-tau*kernel.Dot(v, x), v, x)
		}
	})
}

// worst returns the pivot i and the other column j that break the bound f most, or -1.
func (q *pivotedQR) worst(f float64) (pivot, column int) {
	r, n := q.rank, q.w.Rows
	inverse := q.inverse()
	omega := make([]float64, r) // 1/omega_i squared
	for i := range r {
		omega[i] = kernel.SumSquares(inverse.Row(i))
	}
	pivot, column = -1, -1
	largest := f * f
	for c := r; c < n; c++ {
		x := q.w.Row(c)
		gamma := kernel.SumSquares(x[r:])
		for i := range r {
			ab := kernel.Dot(inverse.Row(i)[i:], x[i:r])
			if v := ab*ab + gamma*omega[i]; v > largest {
				largest, pivot, column = v, i, c
			}
		}
	}
	return pivot, column
}

// inverse returns R11⁻¹ [rank, rank], upper triangular.
func (q *pivotedQR) inverse() *Matrix {
	r, m := q.rank, q.w.Cols
	inverse := NewMatrix(r, r)
	for i := r - 1; i >= 0; i-- {
		row := inverse.Row(i)
		row[i] = 1
		for t := i + 1; t < r; t++ { // R11[i, t] is w[t, i]
			kernel.Axpy(-q.w.Data[t*m+i], inverse.Row(t), row)
		}
		kernel.Scale(1/q.w.Data[i*m+i], row)
	}
	return inverse
}

// swap exchanges pivot i and column j and restores the triangle. Pivot i moves behind the others, which leaves their columns with
// one value below the diagonal: rotations take it away. One reflection then brings the new pivot to its place.
func (q *pivotedQR) swap(i, j int) {
	r := q.rank
	for t := i; t < r-1; t++ {
		q.exchange(t, t+1)
	}
	for t := i; t < r-1; t++ {
		x := q.w.Row(t)
		h := math.Hypot(x[t], x[t+1])
		c, s := x[t]/h, x[t+1]/h
		for place := t; place < q.w.Rows; place++ {
			y := q.w.Row(place)
			y[t], y[t+1] = c*y[t]+s*y[t+1], c*y[t+1]-s*y[t]
		}
		x[t+1] = 0
	}
	q.exchange(r-1, j)
	q.eliminate(r - 1)
}

// selection reads the choice and its coefficients off the triangle.
func (q *pivotedQR) selection(swaps int) *Selection {
	r, n := q.rank, q.w.Rows
	s := &Selection{Index: append([]int(nil), q.order[:q.k]...), Coeff: NewMatrix(q.k, n), Rank: r, Swaps: swaps}
	for i, c := range s.Index {
		s.Coeff.Row(i)[c] = 1
	}
	inverse := q.inverse()
	sum := 0.0
	for c := q.k; c < n; c++ {
		x := q.w.Row(c)
		for i := range r {
			s.Coeff.Row(i)[q.order[c]] = kernel.Dot(inverse.Row(i)[i:], x[i:r])
		}
		sum += kernel.SumSquares(x[r:])
	}
	s.Error = math.Ldexp(math.Sqrt(sum), q.scale)
	return s
}
