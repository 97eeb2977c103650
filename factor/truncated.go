package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

const (
	// truncatedRange is the smallest kept singular value, relative to the largest, for which one Gram matrix is enough:
	// values and product are off by about epsilon/truncatedRange = 4e-12 of the largest, and the right vectors, before they
	// are made orthogonal, by epsilon/truncatedRange² = 6e-8.
	truncatedRange = 0x1p-14
	// truncatedExcess is what the measured error of a truncation may exceed the best one by, relative to that and to ||A||,
	// before the thin decomposition is computed instead.
	truncatedExcess = 1e-9
)

// TruncatedSVD returns the first `rank` terms of the singular value decomposition of a [m, n]: the best approximation of
// that rank in the Frobenius norm (Eckart and Young). Error is measured, Bound is the energy of the singular values left
// out; the two agree to truncatedExcess, or the thin decomposition is used.
//
// It takes the eigenvectors of the smaller Gram matrix, of which only `rank` are computed. When the last kept value is
// below truncatedRange of the first, or most values are wanted, it cuts ThinSVD instead.
//
// Cost, m <= n: m² n + 4 m n rank + 4/3 m³ + 2 m² rank operations.
func TruncatedSVD(ctx context.Context, a *Matrix, rank int, progress Progress) (*SVD, error) {
	if err := a.check("truncated svd"); err != nil {
		return nil, err
	}
	if err := a.checkRank("truncated svd", rank); err != nil {
		return nil, err
	}
	if 3*rank <= 2*min(a.Rows, a.Cols) {
		d, err := truncate(ctx, a, rank, progress)
		if d != nil || err != nil {
			return d, err
		}
	}
	d, err := ThinSVD(ctx, a, progress)
	if err != nil {
		return nil, err
	}
	return d.Truncate(rank)
}

// truncate goes by one Gram matrix; it returns nil where that is not accurate enough.
func truncate(ctx context.Context, a *Matrix, rank int, progress Progress) (*SVD, error) {
	wide, transposed := a.Clone(), false
	if a.Rows > a.Cols {
		wide, transposed = a.Transpose(), true
	}
	m, n := wide.Rows, wide.Cols
	j := &job{ctx: ctx, progress: progress, total: 2 * m}
	exponent := normalise(wide)
	g, err := gram(j, wide.Data, m, n)
	if err != nil {
		return nil, err
	}
	trace := 0.0
	for i := range m {
		trace += g[i*m+i]
	}
	values, vectors, err := symmetricEigen(j, g, m, rank)
	if err != nil {
		return nil, err
	}
	if !(values[rank-1] > truncatedRange*truncatedRange*values[0]) {
		return nil, nil
	}
	v := NewMatrix(rank, n)
	kernel.Gemm(false, false, rank, n, m, 1, vectors, m, wide.Data, n, 0, v.Data, n)
	projected := v.Clone()
	s, err := orthogonalise(j, v.Data, rank, n)
	if err != nil {
		return nil, err
	}
	remains, known, err := pythagoras(j, trace, vectors, projected, s, v)
	if err != nil {
		return nil, err
	}
	order := descending(s)
	u := &Matrix{rank, m, vectors}
	if !sorted(order) { // neighbours that agree to rounding
		u, v = permuted(u, order), permuted(v, order)
		s = permuted(&Matrix{rank, 1, s}, order).Data
	}

	// The check: what is left of A against the eigenvalues left out.
	if !known {
		left := u.Clone()
		scaleRows(left, s)
		kernel.Gemm(true, false, m, n, rank, -1, left.Data, m, v.Data, n, 1, wide.Data, n)
		remains = wide.Norm()
	}
	discarded := 0.0
	for _, value := range values[rank:] {
		discarded += max(value, 0)
	}
	best := math.Sqrt(discarded)
	if remains > best+truncatedExcess*(best+math.Sqrt(trace)) {
		return nil, nil
	}
	for i := range s {
		s[i] = math.Ldexp(s[i], exponent)
	}
	j.finish()
	d := oriented(u, s, v, transposed)
	d.Error, d.Bound = math.Ldexp(remains, exponent), math.Ldexp(min(best, remains), exponent)
	return d, nil
}

// pythagoras measures ||A - U S V|| from B = Uᵀ A, with U's columns in the rows of u, without forming it: for orthonormal
// columns A - U B is orthogonal to U (B - S V), so
//
//	||A - U S V||² = ||A||² - ||B||² + ||B - S V||²
//
// known is false where the difference says too little: U is not orthonormal enough, or nearly nothing is left of A.
func pythagoras(j *job, trace float64, u []float64, b *Matrix, s []float64, v *Matrix) (remains float64, known bool, err error) {
	const (
		slack = 1e-11 // of the squares, by which the norm is then off at most slack/share/2 = 5e-10 of ||A||
		share = 1e-2
	)
	rank := b.Rows
	g, err := gram(j, u, rank, len(u)/rank)
	if err != nil {
		return 0, false, err
	}
	for i := range rank {
		g[i*rank+i]--
	}
	off := (&Matrix{rank, rank, g}).Norm()
	square := trace - kernel.SumSquares(b.Data)
	for i, x := range s {
		kernel.Axpy(-x, v.Row(i), b.Row(i))
	}
	square += kernel.SumSquares(b.Data)
	return math.Sqrt(max(square, 0)), off <= slack && square >= share*share*trace, nil
}

// sorted says whether an order is that of the numbers.
func sorted(order []int) bool {
	for i, at := range order {
		if i != at {
			return false
		}
	}
	return true
}

// permuted returns the rows of m in an order.
func permuted(m *Matrix, order []int) *Matrix {
	p := NewMatrix(len(order), m.Cols)
	for i, at := range order {
		copy(p.Row(i), m.Row(at))
	}
	return p
}

// RandomizedConfig says how RandomizedSVD samples.
type RandomizedConfig struct {
	Rank       int    // singular values to find, 1 to min(m, n)
	Oversample int    // random directions beyond Rank; more are more accurate; 0 means 10
	Power      int    // power iterations, each of which sharpens the spectrum; 0 is allowed, 2 is usual
	Seed       uint64 // of the random directions
}

// RandomizedSVD approximates the first Rank terms of the singular value decomposition of a [m, n] from random samples of
// its range: Q = orth((A Aᵀ)^Power A Ω), then the decomposition of Qᵀ A (Halko, Martinsson and Tropp 2011, algorithms 4.4
// and 5.1, with orthonormalisation between the powers).
//
// Error is measured. Bound is a lower bound of the best error, from AᵀA = BᵀB + EᵀE with B = QᵀA and E = A - QB, which
// gives sigma_i(A)² <= sigma_i(B)² + ||E||²; it is 0 where the sample has missed too much to say. On spectra that fall
// slowly the last values are a few percent low: screen ranks with it, and use TruncatedSVD for the result.
//
// Cost: (4 Power + 4) m n (Rank + Oversample) operations.
func RandomizedSVD(ctx context.Context, a *Matrix, cfg RandomizedConfig, progress Progress) (*SVD, error) {
	if err := a.check("randomized svd"); err != nil {
		return nil, err
	}
	if err := a.checkRank("randomized svd", cfg.Rank); err != nil {
		return nil, err
	}
	if cfg.Oversample < 0 || cfg.Power < 0 {
		return nil, fmt.Errorf("factor: randomized svd: %w: got oversample %d and power %d, want neither negative", ErrShape, cfg.Oversample, cfg.Power)
	}
	if cfg.Oversample == 0 {
		cfg.Oversample = 10
	}
	work := a.Clone()
	exponent := normalise(work)
	j := &job{ctx: ctx, progress: progress, total: 2*cfg.Power + 3}
	d, sample, err := sampledSVD(dense{work}, cfg, j)
	if err != nil {
		return nil, err
	}
	whole, kept := kernel.SumSquares(work.Data), sumOfSquares(d.S)
	missed := max(whole-sample, 0)
	product := d.Product()
	kernel.Axpy(-1, product.Data, work.Data)
	d.Error = math.Ldexp(work.Norm(), exponent)
	const rounding = 1e-14
	d.Bound = math.Ldexp(math.Sqrt(max(0, whole-kept-float64(cfg.Rank)*missed-rounding*whole)), exponent)
	for i, s := range d.S {
		d.S[i] = math.Ldexp(s, exponent)
	}
	j.finish()
	return d, nil
}

// Products is a matrix A [m, n] that is known by its products with others, such as a sparse one.
type Products interface {
	Size() (m, n int)
	Times(x *Matrix) *Matrix           // X A of X [l, m]: [l, n]
	TimesTransposed(x *Matrix) *Matrix // X Aᵀ of X [l, n]: [l, m]
	SumSquares() float64               // of all elements
}

// dense is a matrix as its products.
type dense struct{ *Matrix }

func (a dense) Size() (m, n int) { return a.Rows, a.Cols }

func (a dense) Times(x *Matrix) *Matrix { return x.Mul(a.Matrix) }

func (a dense) TimesTransposed(x *Matrix) *Matrix {
	y := NewMatrix(x.Rows, a.Rows)
	kernel.Gemm(false, true, x.Rows, a.Rows, a.Cols, 1, x.Data, a.Cols, a.Data, a.Cols, 0, y.Data, a.Rows)
	return y
}

func (a dense) SumSquares() float64 { return kernel.SumSquares(a.Data) }

// RandomizedProducts is [RandomizedSVD] of a matrix that is not held as a whole. Its Error is that of exact singular values,
// sqrt(||A||² - sum of S²), and Bound is 0.
func RandomizedProducts(ctx context.Context, a Products, cfg RandomizedConfig, progress Progress) (*SVD, error) {
	m, n := a.Size()
	if cfg.Rank < 1 || cfg.Rank > min(m, n) || cfg.Oversample < 0 || cfg.Power < 0 {
		return nil, fmt.Errorf("factor: randomized svd: %w: got rank %d, oversample %d and power %d for %d x %d, want a rank of 1 to %d and the others not negative",
			ErrShape, cfg.Rank, cfg.Oversample, cfg.Power, m, n, min(m, n))
	}
	if cfg.Oversample == 0 {
		cfg.Oversample = 10
	}
	j := &job{ctx: ctx, progress: progress, total: 2*cfg.Power + 3}
	d, _, err := sampledSVD(a, cfg, j)
	if err != nil {
		return nil, err
	}
	d.Error, d.Bound = math.Sqrt(max(0, a.SumSquares()-sumOfSquares(d.S))), 0
	j.finish()
	return d, nil
}

// sampledSVD are the first Rank terms of what Rank + Oversample samples see, without errors, and the sum of squares of all that they
// see.
func sampledSVD(a Products, cfg RandomizedConfig, j *job) (d *SVD, sample float64, err error) {
	m, n := a.Size()
	l := min(cfg.Rank+cfg.Oversample, min(m, n))
	q, err := sampleRange(a, l, cfg, j)
	if err != nil {
		return nil, 0, err
	}
	if d, err = ThinSVD(j.ctx, a.Times(q), nil); err != nil {
		return nil, 0, err
	}
	if err := j.step(1); err != nil {
		return nil, 0, err
	}
	sample = sumOfSquares(d.S)
	if d, err = d.Truncate(cfg.Rank); err != nil {
		return nil, 0, err
	}
	u := NewMatrix(m, cfg.Rank)
	kernel.Gemm(true, false, m, cfg.Rank, l, 1, q.Data, m, d.U.Data, cfg.Rank, 0, u.Data, cfg.Rank)
	d.U = u
	return d, sample, nil
}

// sumOfSquares adds in order.
func sumOfSquares(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

// sampleRange returns an orthonormal basis, as rows [l, m], of what (A Aᵀ)^Power A makes of l random directions.
func sampleRange(a Products, l int, cfg RandomizedConfig, j *job) (*Matrix, error) {
	_, n := a.Size()
	omega := NewMatrix(l, n)
	rng.FillNormal(rng.New(cfg.Seed, "factor/randomized", 0), omega.Data, 0, 1)
	for power := 0; ; power++ {
		q := a.TimesTransposed(omega)
		if err := orthonormal(j.ctx, q); err != nil {
			return nil, err
		}
		if err := j.step(1); err != nil || power == cfg.Power {
			return q, err
		}
		omega = a.Times(q)
		if err := orthonormal(j.ctx, omega); err != nil {
			return nil, err
		}
		if err := j.step(1); err != nil {
			return nil, err
		}
	}
}

// orthonormal replaces the rows of x [r, n], r <= n, by an orthonormal basis of their span.
func orthonormal(ctx context.Context, x *Matrix) error {
	d, err := ThinSVD(ctx, x, nil)
	if err != nil {
		return err
	}
	copy(x.Data, d.Vt.Data)
	return nil
}
