package factor

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// Selection is an interpolative decomposition A ~ A[:, Index] Coeff: every column is a mixture of a few that are kept as they are.
type Selection struct {
	Index []int
	// Coeff is [k, n]. Without a ridge the columns of Index have a unit vector, so they come back exactly.
	Coeff *Matrix
	// Rank is how many of the chosen columns are independent. Those after them in Index stand for themselves alone.
	Rank int
	// Swaps is how many exchanges StrongRRQR made after the pivots were chosen.
	Swaps int
	// Error is ||A - A[:, Index] Coeff||_F.
	Error float64
}

// ID returns an interpolative decomposition of a [m, n] by k columns: those of StrongRRQR with bound f, and their coefficients. A
// ridge of 0 gives the exact ones, R11⁻¹ R12, which are least squares and within f. With a ridge they are as Interpolate says.
func ID(ctx context.Context, a *Matrix, k int, f, ridge float64, progress Progress) (*Selection, error) {
	s, err := StrongRRQR(ctx, a, k, f, progress)
	if err != nil || ridge == 0 {
		return s, err
	}
	fitted, err := Interpolate(a, s.Index, ridge)
	if err != nil {
		return nil, err
	}
	fitted.Swaps, fitted.Rank = s.Swaps, s.Rank
	return fitted, nil
}

// Interpolate returns the best coefficients for columns that are chosen already,
//
//	T = argmin ||A - A_J T||² + ridge mean(diag(A_Jᵀ A_J)) ||T||²
//
// by QR of A_J over the root of the ridge, so that nothing is squared. Without a ridge, columns that depend on each other are
// ErrShape.
func Interpolate(a *Matrix, index []int, ridge float64) (*Selection, error) {
	const where = "interpolate"
	if err := a.check(where); err != nil {
		return nil, err
	}
	k := len(index)
	if err := a.checkRank(where, k); err != nil {
		return nil, err
	}
	if !(ridge >= 0) || math.IsInf(ridge, 0) {
		return nil, fmt.Errorf("factor: %s: %w: got ridge %v, want a number of 0 or more", where, ErrWeight, ridge)
	}
	seen := make(map[int]bool, k)
	for _, c := range index {
		if c < 0 || c >= a.Cols || seen[c] {
			return nil, fmt.Errorf("factor: %s: %w: got columns %v, want different ones of 0 to %d", where, ErrShape, index, a.Cols-1)
		}
		seen[c] = true
	}
	// The chosen columns, then all: R of the first k gives R11, of the others Qᵀ A.
	m := a.Rows
	if ridge > 0 {
		m += k
	}
	w := NewMatrix(k+a.Cols, m)
	for i := range a.Rows {
		for c, v := range a.Row(i) {
			w.Data[(k+c)*m+i] = v
		}
	}
	exponent := normalise(w)
	square := 0.0
	for t, c := range index {
		copy(w.Row(t), w.Row(k+c))
		for _, v := range w.Row(t) {
			square += v * v
		}
	}
	if ridge > 0 {
		for t := range k {
			w.Data[t*m+a.Rows+t] = math.Sqrt(ridge * square / float64(k))
		}
	}
	q := &pivotedQR{w: w, k: k, rank: k, scale: exponent}
	longest := 0.0
	for t := range k {
		q.eliminate(t)
		diagonal := math.Abs(w.Data[t*m+t])
		longest = max(longest, diagonal)
		if !(diagonal > 0x1p-52*float64(max(m, k))*longest) {
			return nil, fmt.Errorf("factor: %s: %w: column %d depends on the %d before it, so the coefficients are not defined: choose "+
				"by StrongRRQR, or give a ridge", where, ErrShape, index[t], t)
		}
	}
	inverse := q.inverse()
	right := NewMatrix(k, a.Cols)
	for c := range a.Cols {
		for t := range k {
			right.Data[t*a.Cols+c] = w.Data[(k+c)*m+t]
		}
	}
	s := &Selection{Index: slices.Clone(index), Coeff: inverse.Mul(right), Rank: k}
	if ridge == 0 {
		for i, c := range index { // exact up to rounding; now exactly
			for t := range k {
				s.Coeff.Data[t*a.Cols+c] = 0
			}
			s.Coeff.Data[i*a.Cols+c] = 1
		}
	}
	s.Error = s.errorOf(a)
	return s, nil
}

// errorOf returns ||A - A[:, Index] Coeff||_F.
func (s *Selection) errorOf(a *Matrix) float64 {
	p := a.Columns(s.Index).Mul(s.Coeff)
	for i, v := range a.Data {
		p.Data[i] -= v
	}
	return p.Norm()
}

// Sorted returns the same decomposition with Index ascending, for columns that have an order of their own, such as bands.
func (s *Selection) Sorted() *Selection {
	places := make([]int, len(s.Index))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int { return cmp.Compare(s.Index[a], s.Index[b]) })
	c := *s
	c.Index, c.Coeff = make([]int, len(places)), NewMatrix(s.Coeff.Rows, s.Coeff.Cols)
	for i, p := range places {
		c.Index[i] = s.Index[p]
		copy(c.Coeff.Row(i), s.Coeff.Row(p))
	}
	return &c
}

// Largest returns the largest magnitude of a coefficient: how much noise in a kept column may grow in another one.
func (s *Selection) Largest() float64 { return s.Coeff.maxAbs() }

// Columns returns the matrix of the given columns, in that order. A column that a lacks is a programmer's error and panics.
func (m *Matrix) Columns(index []int) *Matrix {
	c := NewMatrix(m.Rows, len(index))
	for i := range m.Rows {
		row, own := m.Row(i), c.Row(i)
		for k, j := range index {
			own[k] = row[j]
		}
	}
	return c
}
