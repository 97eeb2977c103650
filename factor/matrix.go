package factor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"sparrow/kernel"
)

// Errors that callers may test for with errors.Is.
var (
	ErrShape     = errors.New("wrong shape or size")
	ErrNotFinite = errors.New("value is not finite")
	ErrWeight    = errors.New("bad weight")
	ErrConverge  = errors.New("no convergence")
)

// Matrix is a row-major matrix without gaps: element (i, j) is Data[i*Cols+j].
type Matrix struct {
	Rows, Cols int
	Data       []float64
}

// NewMatrix returns a matrix of zeros.
func NewMatrix(rows, cols int) *Matrix {
	return &Matrix{Rows: rows, Cols: cols, Data: kernel.Large[float64](rows * cols)}
}

// FromFloat32 copies float32 data, row by row. A length that is not rows*cols is ErrShape.
func FromFloat32(rows, cols int, data []float32) (*Matrix, error) {
	if rows < 1 || cols < 1 || len(data) != rows*cols {
		return nil, fmt.Errorf("factor: matrix: %w: got %d values for %d x %d", ErrShape, len(data), rows, cols)
	}
	m := NewMatrix(rows, cols)
	for i, v := range data {
		m.Data[i] = float64(v)
	}
	return m, nil
}

// Row returns row i, which shares the matrix's memory.
func (m *Matrix) Row(i int) []float64 { return m.Data[i*m.Cols : (i+1)*m.Cols : (i+1)*m.Cols] }

// Clone returns a copy.
func (m *Matrix) Clone() *Matrix {
	c := NewMatrix(m.Rows, m.Cols)
	copy(c.Data, m.Data)
	return c
}

// Transpose returns the transposed copy.
func (m *Matrix) Transpose() *Matrix {
	t := NewMatrix(m.Cols, m.Rows)
	kernel.Transpose(t.Data, t.Cols, m.Data, m.Cols, m.Rows, m.Cols, false)
	return t
}

// Mul returns m b. Inner sizes that differ are a programmer's error and panic.
func (m *Matrix) Mul(b *Matrix) *Matrix {
	if m.Cols != b.Rows {
		panic(fmt.Sprintf("factor: product of %d x %d and %d x %d", m.Rows, m.Cols, b.Rows, b.Cols))
	}
	c := NewMatrix(m.Rows, b.Cols)
	kernel.Gemm(false, false, m.Rows, b.Cols, m.Cols, 1, m.Data, m.Cols, b.Data, b.Cols, 0, c.Data, c.Cols)
	return c
}

// Norm returns the Frobenius norm, without overflow on the way.
func (m *Matrix) Norm() float64 {
	scale := m.maxAbs()
	if scale == 0 || math.IsInf(scale, 0) || math.IsNaN(scale) {
		return scale
	}
	if scale > 1e-100 && scale < 1e100 {
		return math.Sqrt(kernel.SumSquares(m.Data))
	}
	exponent := exponentOf(scale)
	c := m.Clone()
	c.scaleExp(-exponent)
	return math.Ldexp(math.Sqrt(kernel.SumSquares(c.Data)), exponent)
}

// maxAbs returns the largest magnitude, or NaN if there is one.
func (m *Matrix) maxAbs() float64 {
	largest := 0.0
	for _, v := range m.Data {
		a := math.Abs(v)
		if a > largest {
			largest = a
		} else if a != a {
			return a
		}
	}
	return largest
}

// exponentOf returns e such that x / 2^e is in [1, 2).
func exponentOf(x float64) int {
	_, e := math.Frexp(x)
	return e - 1
}

// scaleExp multiplies every element by 2^e, which is exact but for underflow.
func (m *Matrix) scaleExp(e int) {
	for e != 0 { // 2^e itself may be out of range
		step := max(min(e, 1000), -1000)
		kernel.Scale(math.Ldexp(1, step), m.Data)
		e -= step
	}
}

// check says whether the matrix is one that can be factorized; where names the caller.
func (m *Matrix) check(where string) error {
	if m == nil || m.Rows < 1 || m.Cols < 1 || len(m.Data) != m.Rows*m.Cols {
		if m == nil {
			return fmt.Errorf("factor: %s: %w: got no matrix", where, ErrShape)
		}
		return fmt.Errorf("factor: %s: %w: got %d x %d with %d values", where, ErrShape, m.Rows, m.Cols, len(m.Data))
	}
	if kernel.AllFinite(m.Data) {
		return nil
	}
	for i, v := range m.Data {
		if v-v != 0 {
			return fmt.Errorf("factor: %s: %w: element (%d, %d) is %v", where, ErrNotFinite, i/m.Cols, i%m.Cols, v)
		}
	}
	return nil
}

// checkRank says whether a rank fits the matrix.
func (m *Matrix) checkRank(where string, rank int) error {
	if rank < 1 || rank > min(m.Rows, m.Cols) {
		return fmt.Errorf("factor: %s: %w: got rank %d for %d x %d, want 1 to %d", where, ErrShape, rank, m.Rows, m.Cols, min(m.Rows, m.Cols))
	}
	return nil
}

// Progress is told how many of total steps are done, in order and from one goroutine at a time. It must be quick. Steps
// take roughly equally long: columns reduced and values found, vectors coded, rows solved.
type Progress func(done, total int)

// job carries a call's context and progress.
type job struct {
	ctx         context.Context
	progress    Progress
	done, total int
}

// step reports n more steps and returns the context's error.
func (j *job) step(n int) error {
	j.done = min(j.done+n, j.total)
	if j.progress != nil && j.total > 0 && n > 0 {
		j.progress(j.done, j.total)
	}
	return j.ctx.Err()
}

// finish reports whatever is left.
func (j *job) finish() {
	if j.done < j.total {
		j.step(j.total - j.done)
	}
}

// gram returns A Aᵀ [rows, rows], of which only about half is multiplied.
func gram(j *job, a []float64, rows, cols int) ([]float64, error) {
	const block = 192 // rows of a product: enough for the kernel, and little waste on the diagonal
	g := kernel.Large[float64](rows * rows)
	for lo := 0; lo < rows; lo += block {
		if err := j.ctx.Err(); err != nil {
			return nil, err
		}
		hi := min(lo+block, rows)
		kernel.Gemm(false, true, hi-lo, hi, cols, 1, a[lo*cols:], cols, a, cols, 0, g[lo*rows:], rows)
	}
	mirror(g, rows)
	return g, nil
}

// mirror copies the lower triangle to the upper one.
func mirror(g []float64, n int) {
	const tile = 32
	for i0 := 0; i0 < n; i0 += tile {
		for j0 := 0; j0 <= i0; j0 += tile {
			for i := i0; i < min(i0+tile, n); i++ {
				for k := j0; k < min(j0+tile, i); k++ {
					g[k*n+i] = g[i*n+k]
				}
			}
		}
	}
}

// scaleCols multiplies column k of m by s[k].
func scaleCols(m *Matrix, s []float64) {
	for i := range m.Rows {
		kernel.Mul(m.Row(i), m.Row(i), s)
	}
}

// scaleRows multiplies row i of m by s[i].
func scaleRows(m *Matrix, s []float64) {
	for i, v := range s {
		kernel.Scale(v, m.Row(i))
	}
}

// descending returns the indices of x by falling value; equal values keep their order.
func descending(x []float64) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(x[b], x[a]) })
	return order
}
