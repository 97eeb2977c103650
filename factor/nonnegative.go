package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// nonNegativeGrain is how many rows of a non-negative least-squares problem a goroutine solves at a time.
const nonNegativeGrain = 16

// NonNegative solves min ||X - C W||_F over C >= 0 for X [n, r] and W [k, r], a row at a time, by Lawson and Hanson's active sets
// ("Solving Least Squares Problems", 1974, chapter 23) on the normal equations (Bro and de Jong 1997). The result is C [n, k].
// Rows of W that depend on others are left out where they do not help.
//
// Cost: k² r for W Wᵀ, and about k passes of k³/3 for each row at worst.
func NonNegative(ctx context.Context, x, w *Matrix, progress Progress) (*Matrix, error) {
	const where = "non-negative least squares"
	if err := sameWidth(where, x, w); err != nil {
		return nil, err
	}
	j := &job{ctx: ctx, progress: progress, total: x.Rows}
	exponent := exponentOf(w.maxAbs())
	scaled := w.Clone() // so that products neither overflow nor vanish
	scaled.scaleExp(-exponent)
	g, err := gram(j, scaled.Data, w.Rows, w.Cols)
	if err != nil {
		return nil, err
	}
	c := NewMatrix(x.Rows, w.Rows)
	err = eachRow(j, x.Rows, func() func(i int) {
		s := newActiveSet(w.Rows)
		b, row := make([]float64, w.Rows), make([]float64, w.Cols)
		return func(i int) {
			copy(row, x.Row(i))
			e := scaleRow(row)
			for k := range b {
				b[k] = kernel.Dot(row, scaled.Row(k))
			}
			s.solve(g, b, c.Row(i))
			for k, v := range c.Row(i) {
				c.Data[i*c.Cols+k] = math.Ldexp(v, e-exponent)
			}
		}
	})
	return c, err
}

// OnSimplex finds for each row of X [n, r] the point of the convex hull of the rows of W [k, r] that is nearest to it,
//
//	min ||p W - x||  over  p >= 0, sum(p) = 1,
//
// and returns its weights p [n, k]. With V = W - 1 xᵀ that is the hull's point of least norm, and u/sum(u) is it exactly where u
// solves the non-negative problem min ||Vᵀ u||² + (sum(u) - 1)²: on u = t p the best t leaves ||Vᵀ p||² / (1 + ||Vᵀ p||²), which
// rises with ||Vᵀ p||. So the weights sum to one up to rounding and none is negative, unlike those of a pseudo-inverse.
func OnSimplex(ctx context.Context, x, w *Matrix, progress Progress) (*Matrix, error) {
	const where = "projection onto a simplex"
	if err := sameWidth(where, x, w); err != nil {
		return nil, err
	}
	j := &job{ctx: ctx, progress: progress, total: x.Rows}
	p := NewMatrix(x.Rows, w.Rows)
	err := eachRow(j, x.Rows, func() func(i int) {
		k := w.Rows
		s := newActiveSet(k)
		v, g, ones := NewMatrix(k, w.Cols), make([]float64, k*k), make([]float64, k)
		for a := range ones {
			ones[a] = 1
		}
		return func(i int) {
			for a := range k {
				copy(v.Row(a), w.Row(a))
				kernel.Axpy(-1, x.Row(i), v.Row(a))
			}
			if most := v.maxAbs(); most > 0 {
				v.scaleExp(-exponentOf(most)) // so that neither term drowns the other
			}
			for a := range k {
				for b := range a + 1 {
					g[a*k+b] = kernel.Dot(v.Row(a), v.Row(b)) + 1
				}
			}
			mirror(g, k)
			row := p.Row(i)
			s.solve(g, ones, row)
			kernel.Scale(1/kernel.Sum(row), row) // above 0: t is 1 / (1 + ||Vᵀ p||²)
		}
	})
	return p, err
}

// sameWidth says whether both are matrices of the same number of columns.
func sameWidth(where string, x, w *Matrix) error {
	if err := x.check(where); err != nil {
		return err
	}
	if err := w.check(where); err != nil {
		return err
	}
	if x.Cols != w.Cols {
		return fmt.Errorf("factor: %s: %w: got %d x %d and %d x %d, want as many columns", where, ErrShape, x.Rows, x.Cols, w.Rows, w.Cols)
	}
	return nil
}

// scaleRow divides by a power of two, whose exponent it returns, so that the largest magnitude is near 1.
func scaleRow(row []float64) int {
	m := Matrix{1, len(row), row}
	most := m.maxAbs()
	if most == 0 {
		return 0
	}
	e := exponentOf(most)
	m.scaleExp(-e)
	return e
}

// eachRow calls what worker returns for every row; each goroutine's worker has room of its own.
func eachRow(j *job, rows int, worker func() func(i int)) error {
	const block = 1024 // rows between looks at the context
	for lo := 0; lo < rows; lo += block {
		n := min(block, rows-lo)
		kernel.Ranges(n, nonNegativeGrain, func(from, to int) {
			do := worker()
			for i := from; i < to; i++ {
				do(lo + i)
			}
		})
		if err := j.step(n); err != nil {
			return err
		}
	}
	j.finish()
	return nil
}

// activeSet is room for solving min xᵀ G x - 2 bᵀ x over x >= 0 with k unknowns.
type activeSet struct {
	k              int
	free           []bool
	index          []int
	l, z, gradient []float64
}

func newActiveSet(k int) *activeSet {
	return &activeSet{k: k, free: make([]bool, k), index: make([]int, 0, k), l: make([]float64, k*k), z: make([]float64, k), gradient: make([]float64, k)}
}

// solve writes the solution to x. Unknowns enter the free set by the steepest descent, and leave where the unconstrained solution
// of the free ones is negative, until the gradient is nowhere positive.
func (s *activeSet) solve(g, b, x []float64) {
	k := s.k
	clear(x)
	clear(s.free)
	s.index = s.index[:0]
	barred := -1 // an unknown that left as soon as it entered: rounding; it waits for another to enter
	scale := 0.0
	for a := range k {
		scale = max(scale, math.Abs(b[a]))
	}
	tolerance := 1e-13 * scale * float64(k)
	for range 3 * k {
		copy(s.gradient, b)
		for _, a := range s.index {
			kernel.Axpy(-x[a], g[a*k:(a+1)*k], s.gradient)
		}
		best := -1
		for a := range k {
			if !s.free[a] && a != barred && s.gradient[a] > tolerance && (best < 0 || s.gradient[a] > s.gradient[best]) {
				best = a
			}
		}
		if best < 0 {
			return
		}
		s.free[best] = true
		s.index = append(s.index, best)
		if !s.unconstrained(g, b) || s.z[len(s.index)-1] <= 0 {
			s.free[best] = false // depends on those that are free, up to rounding
			s.index = s.index[:len(s.index)-1]
			barred = best
			continue
		}
		barred = -1
		for {
			step, negative := 1.0, false
			for i, a := range s.index {
				if s.z[i] <= 0 {
					negative = true
					step = min(step, wayTo0(x[a], s.z[i]))
				}
			}
			if !negative {
				break
			}
			kept := s.index[:0]
			for i, a := range s.index {
				if s.z[i] <= 0 && wayTo0(x[a], s.z[i]) <= step { // at least the one that set the step
					x[a], s.free[a] = 0, false
					continue
				}
				x[a] += step * (s.z[i] - x[a])
				kept = append(kept, a)
			}
			s.index = kept
			if !s.unconstrained(g, b) {
				return // x is feasible and no worse than before
			}
		}
		for i, a := range s.index {
			x[a] = s.z[i]
		}
	}
}

// wayTo0 is the part of the way from x >= 0 to z <= 0 after which nothing is left.
func wayTo0(x, z float64) float64 {
	if x <= 0 {
		return 0
	}
	return x / (x - z)
}

// unconstrained solves for the free unknowns alone, into z, and says whether their Gram matrix is regular.
func (s *activeSet) unconstrained(g, b []float64) bool {
	n := len(s.index)
	l := s.l[:n*n]
	for i, a := range s.index {
		for j, c := range s.index[:i+1] {
			l[i*n+j] = g[a*s.k+c]
		}
		s.z[i] = b[a]
	}
	if !cholesky(l, n) {
		return false
	}
	for i, a := range s.index {
		if d := l[i*n+i]; d*d <= 1e-14*g[a*s.k+a] {
			return false
		}
	}
	choleskySolve(l, n, s.z[:n])
	return true
}
