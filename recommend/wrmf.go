package recommend

import (
	"fmt"
	"math"

	"sparrow/kernel"
)

// WRMF is weighted regularised matrix factorization (Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets",
// ICDM 2008, eq. 3): rows U and V minimise
//
//	Σ_ui c_ui (x_ui - u_u . v_i)² + λ (Σ_u |u_u|² + Σ_i |v_i|²),    c_ui = 1 + α x_ui
//
// by turns, each a ridge regression for every row (eq. 4).
type WRMF struct {
	D             int
	Alpha, Lambda float64
}

// Half solves for the rows of to [x.Rows(), D] with those of from [x.Columns, D] held, and returns the mean square error of the
// interactions, (1 - u.v)². In float64 sums and solutions are of that type, the rows stay float32.
func (w WRMF) Half(to, from []float32, x Sets, double bool) (float64, error) {
	if double {
		return half(w, to, widened(from), x)
	}
	return half(w, to, from, x)
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func half[T kernel.Float](w WRMF, to []float32, from []T, x Sets) (float64, error) {
	f := newFold[T](w, from)
	n, d := x.Rows(), w.D
	pieces := (n + rowGrain - 1) / rowGrain
	sums, errs := make([]float64, pieces), make([]error, pieces)
	kernel.Ranges(n, rowGrain, func(lo, hi int) {
		b := f.buffer()
		piece := lo / rowGrain
		for u := lo; u < hi; u++ {
			if err := b.solve(x.Row(u), nil); err != nil {
				errs[piece] = fmt.Errorf("recommend: row %d: %w", u, err)
				return
			}
			for k, v := range b.y {
				to[u*d+k] = float32(v)
			}
			for _, i := range x.Row(u) {
				e := 1 - float64(kernel.Dot(b.y, from[int(i)*d:(int(i)+1)*d]))
				sums[piece] += e * e
			}
		}
	})
	var sum float64
	for i, s := range sums {
		if errs[i] != nil {
			return 0, errs[i]
		}
		sum += s
	}
	return sum / float64(max(len(x.Items), 1)), nil
}

// Fold finds the vector of a user by his clicks alone, with the vectors of the items held.
type Fold struct {
	fold[float32]
}

// NewFold prepares to fold in users over the vectors of items v [items, D].
func NewFold(w WRMF, v []float32) *Fold { return &Fold{newFold(w, v)} }

// Vector fills u [D] with the vector of who clicked these items. Around a vector near, nil: zero, it minimises
//
//	Σ_S (1+α) (1 - u.v)² + Σ_{not S} (u.v - near.v)² + λ |u - near|²
//
// which with near = 0 is the step of WRMF for a user.
func (f *Fold) Vector(u []float32, clicks []int32, near []float32) error {
	if err := checkClicks(clicks, len(f.v)/f.w.D); err != nil {
		return err
	}
	b := f.buffer()
	err := b.solve(clicks, near)
	copy(u, b.y)
	return err
}

// fold is what the ridge regressions of all rows share.
type fold[T kernel.Float] struct {
	w    WRMF
	v    []T
	gram []T // Vᵀ V + λ I
}

func newFold[T kernel.Float](w WRMF, v []T) fold[T] {
	d := w.D
	f := fold[T]{w: w, v: v, gram: make([]T, d*d)}
	kernel.Gemm(true, false, d, d, len(v)/d, 1, v, d, v, d, 0, f.gram, d)
	for k := range d {
		f.gram[k*d+k] += T(w.Lambda)
	}
	return f
}

// buffer is the memory of a solution.
func (f *fold[T]) buffer() *folding[T] {
	d := f.w.D
	return &folding[T]{f: f, a: make([]T, d*d), y: make([]T, d)}
}

type folding[T kernel.Float] struct {
	f    *fold[T]
	a    []T // the matrix, then its Cholesky factor
	y    []T // the right side, then the solution
	rows []T // vectors of the clicks
}

// solve solves (Vᵀ V + α Σ_S v vᵀ + λ I) (u - near) = Σ_S (1 + α) (1 - near.v) v.
func (b *folding[T]) solve(clicks []int32, near []float32) error {
	d, alpha := b.f.w.D, T(b.f.w.Alpha)
	copy(b.a, b.f.gram)
	clear(b.y)
	b.rows = b.rows[:0]
	start := make([]T, 0, d)
	for _, x := range near {
		start = append(start, T(x))
	}
	for _, i := range clicks {
		v := b.f.v[int(i)*d : (int(i)+1)*d]
		b.rows = append(b.rows, v...)
		wanted := 1 + alpha
		if len(start) > 0 {
			wanted *= 1 - kernel.Dot(start, v)
		}
		kernel.Axpy(wanted, v, b.y)
	}
	if len(clicks) > 0 && alpha != 0 {
		kernel.GemmSerial(true, false, d, d, len(clicks), alpha, b.rows, d, b.rows, d, 1, b.a, d)
	}
	if err := cholesky(b.a, d); err != nil {
		return err
	}
	substitute(b.a, b.y, d)
	if len(start) > 0 {
		kernel.Axpy(1, start, b.y)
	}
	return nil
}

// cholesky makes of the lower half of a [d, d] its factor L, a = L Lᵀ.
func cholesky[T kernel.Float](a []T, d int) error {
	for i := range d {
		row := a[i*d : (i+1)*d]
		for j := range i {
			row[j] = (row[j] - kernel.Dot(row[:j], a[j*d:j*d+j])) / a[j*d+j]
		}
		x := row[i] - kernel.Dot(row[:i], row[:i])
		if !(x > 0) {
			return fmt.Errorf("the equations of a row have no solution (%g at %d); want a larger lambda", x, i)
		}
		row[i] = T(math.Sqrt(float64(x)))
	}
	return nil
}

// substitute solves L Lᵀ x = y in place.
func substitute[T kernel.Float](l, y []T, d int) {
	for i := range d {
		y[i] = (y[i] - kernel.Dot(l[i*d:i*d+i], y[:i])) / l[i*d+i]
	}
	for i := d - 1; i >= 0; i-- {
		y[i] /= l[i*d+i]
		kernel.Axpy(-y[i], l[i*d:i*d+i], y[:i])
	}
}
