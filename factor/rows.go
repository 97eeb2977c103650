package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// Rows are vectors that are read in blocks, pass after pass, so that they need not fit in memory. A Matrix is one.
type Rows interface {
	// Size is how many vectors there are, and how long each is.
	Size() (n, width int)
	// Block is the vectors [at, at+count). What it returns is valid until the next call.
	Block(at, count int) (*Matrix, error)
}

// Size implements Rows.
func (m *Matrix) Size() (n, width int) { return m.Rows, m.Cols }

// Block implements Rows: a view.
func (m *Matrix) Block(at, count int) (*Matrix, error) {
	return &Matrix{Rows: count, Cols: m.Cols, Data: m.Data[at*m.Cols : (at+count)*m.Cols]}, nil
}

// blockRows are the vectors of a block: enough for the kernel, and few enough that their products stay in the cache.
const blockRows = 1024

// checkRows says whether x are vectors that can be factorized.
func checkRows(where string, x Rows) (n, width int, err error) {
	if m, ok := x.(*Matrix); ok && (m == nil || m.Rows < 1 || m.Cols < 1 || len(m.Data) != m.Rows*m.Cols) {
		return 0, 0, m.check(where)
	}
	if n, width = x.Size(); n < 1 || width < 1 {
		return 0, 0, fmt.Errorf("factor: %s: %w: got %d vectors of %d values, want one of each at least", where, ErrShape, n, width)
	}
	return n, width, nil
}

// firstPass is pass that refuses vectors with values that are not finite.
func firstPass(j *job, where string, x Rows, f func(at int, block *Matrix) error) error {
	return pass(j, where, x, func(at int, block *Matrix) error {
		if err := block.check(where); err != nil {
			return fmt.Errorf("%w, of the vectors from %d on", err, at)
		}
		return f(at, block)
	})
}

// pass reads all vectors once, in order.
func pass(j *job, where string, x Rows, f func(at int, block *Matrix) error) error {
	n, width := x.Size()
	for at := 0; at < n; at += blockRows {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		count := min(blockRows, n-at)
		b, err := x.Block(at, count)
		if err != nil {
			return err
		}
		if b.Rows != count || b.Cols != width {
			return fmt.Errorf("factor: %s: %w: got a block of %d x %d, want %d x %d", where, ErrShape, b.Rows, b.Cols, count, width)
		}
		if err := f(at, b); err != nil {
			return err
		}
	}
	return nil
}

// sample takes every so many-th vector, at most limit.
func sample(j *job, where string, x Rows, limit int) (*Matrix, error) {
	n, width := x.Size()
	stride := (n + limit - 1) / limit
	s := NewMatrix((n+stride-1)/stride, width)
	err := firstPass(j, where, x, func(at int, block *Matrix) error {
		for i := range block.Rows {
			if (at+i)%stride == 0 {
				copy(s.Row((at+i)/stride), block.Row(i))
			}
		}
		return nil
	})
	return s, err
}

// Encode finds, for each vector of x [n, d], the combination of the rows of z [k, d] with coefficients that are not negative
// which is nearest to it,
//
//	min ||x_i - g_i z||, g_i >= 0,
//
// and returns the coefficients [n, k] and what they leave of each, ||x_i - g_i z||². Coordinates are solved for in turn
// from max(0, x z_j/||z_j||²) on, until no step lowers ||x_i||² by more than its share encodeTolerance, at most encodeSweeps times
// each; coefficients of rows that are 0 are 0. Vectors of other lengths are ErrShape.
//
// Cost: k d multiply-adds a vector and k for each coordinate that changes.
func Encode(ctx context.Context, z *Matrix, x Rows, progress Progress) (g *Matrix, left []float64, err error) {
	const where = "encode"
	if err := z.check(where); err != nil {
		return nil, nil, err
	}
	n, width, err := checkRows(where, x)
	if err != nil {
		return nil, nil, err
	}
	if width != z.Cols {
		return nil, nil, fmt.Errorf("factor: %s: %w: got vectors of %d values for features of %d", where, ErrShape, width, z.Cols)
	}
	j := &job{ctx: ctx, progress: progress, total: n}
	g, left = NewMatrix(n, z.Rows), make([]float64, n)
	p, q := NewMatrix(min(n, blockRows), z.Rows), products(z)
	err = firstPass(j, where, x, func(at int, block *Matrix) error {
		kernel.Gemm(false, true, block.Rows, z.Rows, width, 1, block.Data, width, z.Data, width, 0, p.Data, z.Rows)
		kernel.Ranges(block.Rows, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				whole := kernel.Dot(block.Row(i), block.Row(i))
				left[at+i] = nonNegative(g.Row(at+i), p.Row(i), q.Data, whole)
			}
		})
		return j.step(block.Rows)
	})
	if err != nil {
		return nil, nil, err
	}
	return g, left, nil
}

// rowGrain is how many vectors a task of the pool takes.
const rowGrain = 32

// Constants of Encode: 1e-12 of the squared norm is a millionth of the norm.
const (
	encodeSweeps    = 200
	encodeTolerance = 1e-12
)

// products returns z zᵀ.
func products(z *Matrix) *Matrix {
	q := NewMatrix(z.Rows, z.Rows)
	kernel.Gemm(false, true, z.Rows, z.Rows, z.Cols, 1, z.Data, z.Cols, z.Data, z.Cols, 0, q.Data, z.Rows)
	return q
}

// nonNegative sets the coefficients g of a vector of squared norm whole by p = x zᵀ and Q = z zᵀ, and
// returns the squared error.
func nonNegative(g, p, q []float64, whole float64) float64 {
	k := len(g)
	for i := range g {
		g[i] = 0
		if size := q[i*k+i]; size > 0 {
			g[i] = math.Max(0, p[i]/size)
		}
	}
	r := append([]float64(nil), p...)
	for i, x := range g {
		if x != 0 {
			kernel.Axpy(-x, q[i*k:(i+1)*k], r)
		}
	}
	coordinates(g, r, q, encodeSweeps, encodeTolerance*whole)
	return math.Max(0, whole-kernel.Dot(g, p)-kernel.Dot(g, r)) // 2 g p - g Q g = g p + g r
}

// coordinates does sweeps over the coefficients g [k] of one vector: each in turn takes the value that is best for the others
// as they are, or 0. r is x zᵀ - g Q, with Q = z zᵀ [k, k], and stays so. It ends early when a sweep's steps lower the squared
// error by less than enough.
func coordinates(g, r, q []float64, sweeps int, enough float64) {
	k := len(g)
	for range sweeps {
		gain := 0.0
		for i := range k {
			size := q[i*k+i]
			if size <= 0 {
				continue
			}
			step := math.Max(r[i]/size, -g[i])
			if step == 0 {
				continue
			}
			g[i] += step
			gain = max(gain, step*step*size)
			kernel.Axpy(-step, q[i*k:(i+1)*k], r)
		}
		if gain <= enough {
			return
		}
	}
}
