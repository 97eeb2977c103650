package factor

import (
	"context"
	"math"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// SVD is a decomposition A ~ U diag(S) Vt: U [m, r] with orthonormal columns, S descending and not negative, Vt [r, n]
// with orthonormal rows. (A weighted decomposition is orthonormal under its weights only.)
type SVD struct {
	U  *Matrix
	S  []float64
	Vt *Matrix
	// Error is the measured ||A - U diag(S) Vt||_F of a truncated, randomized or weighted decomposition, under its
	// weights. It is 0 for a thin one, whose error is a rounding.
	Error float64
	// Bound is a lower bound of the error of any other product of that rank, so Error/Bound - 1 is at most what is
	// lost. For a thin decomposition it is 0.
	Bound float64
}

// Rank returns the number of singular values kept.
func (d *SVD) Rank() int { return len(d.S) }

// Split returns the two factors of a low-rank layer y = up (down x): up = U diag(sqrt S) [m, r] and
// down = diag(sqrt S) Vt [r, n].
func (d *SVD) Split() (up, down *Matrix) {
	up, down = d.U.Clone(), d.Vt.Clone()
	r := len(d.S)
	for k, s := range d.S {
		root := math.Sqrt(s)
		kernel.Scale(root, down.Row(k))
		for i := range up.Rows {
			up.Data[i*r+k] *= root
		}
	}
	return up, down
}

// Product returns U diag(S) Vt [m, n].
func (d *SVD) Product() *Matrix {
	left := d.U.Clone()
	scaleCols(left, d.S)
	return left.Mul(d.Vt)
}

// Truncate returns the first r terms, with the error that this adds to a thin decomposition of A. A rank that d does not
// have is ErrShape.
func (d *SVD) Truncate(r int) (*SVD, error) {
	if r < 1 || r > len(d.S) {
		return nil, (&Matrix{Rows: len(d.S), Cols: len(d.S)}).checkRank("truncate", r)
	}
	u := NewMatrix(d.U.Rows, r)
	for i := range u.Rows {
		copy(u.Row(i), d.U.Row(i)[:r])
	}
	discarded := (&Matrix{Rows: 1, Cols: len(d.S) - r, Data: d.S[r:]}).Norm()
	return &SVD{U: u, S: append([]float64(nil), d.S[:r]...), Vt: &Matrix{r, d.Vt.Cols, append([]float64(nil), d.Vt.Data[:r*d.Vt.Cols]...)},
		Error: math.Hypot(d.Error, discarded), Bound: math.Hypot(d.Bound, discarded)}, nil
}

// levelRange is how far down from the largest singular value one level of ThinSVD goes. A Gram matrix knows the square of
// a singular value s to about epsilon s_1², so a level's values and vectors are off by epsilon s_1/s at most: 1/levelRange
// roundings, about 1e-14 of the largest.
const levelRange = 1.0 / 64

// ThinSVD returns the singular value decomposition of a [m, n] with all min(m, n) values.
//
// Singular values are accurate to about 1e-14 of the largest, like LAPACK's, and vectors orthonormal to rounding, whatever
// the condition of a; exact zeros get some orthonormal vectors. An element that is not finite is ErrNotFinite.
//
// A Gram matrix A Aᵀ squares the condition number: its small eigenvalues are noise. So the decomposition goes by levels:
// the Gram matrix's eigenvectors give B = Uᵀ A, whose rows are orthogonal up to epsilon s_1². The rows that are not small
// (levelRange) are made orthogonal, large before small, which changes none by more than epsilon s_1/levelRange, and are
// right vectors times singular values. The small rows, now cleared of the large ones' directions, are a matrix whose
// largest singular value is the next smaller one, and begin the next level.
//
// Cost, m <= n: about 5 m² n + 6 m³ operations if no level is added, nearly all in matrix products.
func ThinSVD(ctx context.Context, a *Matrix, progress Progress) (*SVD, error) {
	if err := a.check("svd"); err != nil {
		return nil, err
	}
	wide, transposed := a.Clone(), false
	if a.Rows > a.Cols {
		wide, transposed = a.Transpose(), true
	}
	j := &job{ctx: ctx, progress: progress, total: 2 * wide.Rows}
	exponent := normalise(wide)
	l := &levels{j: j, m: wide.Rows, n: wide.Cols, work: wide.Data,
		u: make([]float64, wide.Rows*wide.Rows), v: make([]float64, wide.Rows*wide.Cols), s: make([]float64, wide.Rows)}
	if err := l.run(); err != nil {
		return nil, err
	}
	j.finish()
	return l.result(exponent, transposed), nil
}

// normalise scales a by a power of two such that its largest magnitude is in [1, 2), and returns the exponent.
func normalise(a *Matrix) int {
	largest := a.maxAbs()
	if largest == 0 {
		return 0
	}
	exponent := exponentOf(largest)
	a.scaleExp(-exponent)
	return exponent
}

// levels is the state of a thin decomposition of an [m, n] matrix, m <= n. Rows [done, m) of u and work satisfy
// work = u A - (what the finished rows explain).
type levels struct {
	j          *job
	m, n, done int
	work       []float64 // [m - done, n], the rows still to be decomposed
	u          []float64 // [m, m], left vectors as rows
	v          []float64 // [m, n], right vectors as rows
	s          []float64
	seed       uint64
}

func (l *levels) run() error {
	for i := range l.m {
		l.u[i*l.m+i] = 1
	}
	floor := -1.0 // below this a remainder is rounding
	zero := false // the remaining singular values are 0, and work is random
	scale := 1.0  // of work
	for l.done < l.m {
		rest := &Matrix{l.m - l.done, l.n, l.work}
		size := rest.Norm()
		if size*scale <= floor || size == 0 {
			zero, scale, floor = true, 1, -1
			l.fill()
			continue
		}
		e := normalise(rest)
		scale = math.Ldexp(scale, e)
		found, err := l.level(zero, scale)
		if err != nil {
			return err
		}
		if floor < 0 && !zero {
			floor = 2 * epsilon * l.s[0]
		}
		if err := l.j.step(found); err != nil {
			return err
		}
	}
	return nil
}

// level decomposes work as far as one Gram matrix goes and returns how many singular values it found.
func (l *levels) level(zero bool, scale float64) (int, error) {
	m, n := l.m-l.done, l.n
	g, err := gram(l.j, l.work, m, n)
	if err != nil {
		return 0, err
	}
	values, vectors, err := symmetricEigen(l.j, g, m, m)
	if err != nil {
		return 0, err
	}
	b := make([]float64, m*n)
	kernel.Gemm(false, false, m, n, m, 1, vectors, m, l.work, n, 0, b, n)
	if err := l.j.ctx.Err(); err != nil {
		return 0, err
	}
	found := 1
	for found < m && values[found] >= levelRange*levelRange*values[0] {
		found++
	}
	top := l.v[l.done*n : (l.done+found)*n]
	copy(top, b)
	norms, err := orthogonalise(l.j, top, found, n)
	if err != nil {
		return 0, err
	}
	if !zero { // else any vectors do on the left
		u := make([]float64, m*l.m)
		if l.done == 0 {
			copy(u, vectors)
		} else {
			kernel.Gemm(false, false, m, l.m, m, 1, vectors, m, l.u[l.done*l.m:], l.m, 0, u, l.m)
		}
		copy(l.u[l.done*l.m:], u)
		for i, s := range norms {
			l.s[l.done+i] = s * scale
		}
	}
	l.done += found
	l.work = b[found*n:]
	l.clear()
	return found, nil
}

// clear takes the directions of all finished right vectors out of work.
func (l *levels) clear() {
	rows := l.m - l.done
	if rows == 0 || l.done == 0 {
		return
	}
	c := make([]float64, rows*l.done)
	kernel.Gemm(false, true, rows, l.done, l.n, 1, l.work, l.n, l.v, l.n, 0, c, l.done)
	kernel.Gemm(false, false, rows, l.n, l.done, -1, c, l.done, l.v, l.n, 1, l.work, l.n)
}

// fill makes work a random matrix whose rows are orthogonal to the finished right vectors: its own right vectors complete
// them.
func (l *levels) fill() {
	l.seed++
	rng.FillNormal(rng.New(l.seed, "factor/complete", 0), l.work, 0, 1)
	l.clear()
	l.clear()
}

// orthogonalise makes the nearly orthogonal rows of x [rows, cols], large ones first, orthonormal and returns their
// norms. Each row gives up its components along the rows before it: x -= L x with L the strictly lower part of the scaled
// Gram matrix, which leaves the square of the deviation; so one or two rounds are enough.
func orthogonalise(j *job, x []float64, rows, cols int) ([]float64, error) {
	norms := make([]float64, rows)
	const grain = 16
	unit := func(store bool) {
		kernel.Ranges(rows, grain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				row := x[i*cols : (i+1)*cols]
				norm := math.Sqrt(kernel.Dot(row, row))
				if store {
					norms[i] = norm
				}
				if norm > 0 {
					kernel.Scale(1/norm, row)
				}
			}
		})
	}
	unit(true)
	const rounds = 8 // the deviation is squared in each
	const enough = 8 * epsilon
	for range rounds {
		g, err := gram(j, x, rows, cols)
		if err != nil {
			return nil, err
		}
		worst := 0.0
		for i := range rows {
			for _, v := range g[i*rows : i*rows+i] {
				worst = max(worst, math.Abs(v))
			}
			clear(g[i*rows+i : (i+1)*rows])
		}
		if worst <= enough {
			break
		}
		// In place: blocks of rows from the last to the first read rows above them only, and their own.
		const block = 192
		part := make([]float64, block*cols)
		for lo := (rows - 1) / block * block; lo >= 0; lo -= block {
			hi := min(lo+block, rows)
			kernel.Gemm(false, false, hi-lo, cols, hi, 1, g[lo*rows:], rows, x, cols, 0, part, cols)
			kernel.Ranges(hi-lo, grain, func(from, to int) {
				kernel.Axpy(-1, part[from*cols:to*cols], x[(lo+from)*cols:(lo+to)*cols])
			})
		}
		unit(false)
		if worst*worst*float64(rows) <= enough {
			break
		}
	}
	return norms, nil
}

// result puts the factors into the caller's orientation and scale, in descending order.
func (l *levels) result(exponent int, transposed bool) *SVD {
	order := descending(l.s)
	u, v := NewMatrix(l.m, l.m), NewMatrix(l.m, l.n)
	s := make([]float64, l.m)
	for i, at := range order {
		s[i] = math.Ldexp(l.s[at], exponent)
		copy(u.Row(i), l.u[at*l.m:(at+1)*l.m])
		copy(v.Row(i), l.v[at*l.n:(at+1)*l.n])
	}
	return oriented(u, s, v, transposed)
}

// oriented returns the decomposition whose left and right vectors are the rows of u and v, or the reverse.
func oriented(u *Matrix, s []float64, v *Matrix, transposed bool) *SVD {
	if transposed {
		u, v = v, u
	}
	return &SVD{U: u.Transpose(), S: s, Vt: v}
}
