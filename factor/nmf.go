package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// Divergence is what a non-negative factorization minimises.
type Divergence int

const (
	// Frobenius is ||X - C W||², by coordinate descent over columns and rows (HALS, Cichocki and Phan 2009).
	Frobenius Divergence = iota
	// KL is sum X log(X / (C W)) - X + C W, the likelihood of counts, by multiplicative steps (Lee and Seung 2001).
	KL
)

// NMFConfig says how NMF works.
type NMFConfig struct {
	Rank       int
	Loss       Divergence
	Iterations int     // at most; 0 means 1000
	Tolerance  float64 // ends the work when ten iterations lower the loss by less than this share; 0 means 1e-5
	Seed       uint64  // of the random start
	// Start are the first rows of W [k, r], as of Separable; nil: both factors start at random.
	Start *Matrix
}

// NMFactors is a product C W of non-negative factors.
type NMFactors struct {
	C          *Matrix // [m, k]
	W          *Matrix // [k, r]
	Loss       float64 // squared Frobenius error, or the divergence
	Iterations int
}

// leastFactor keeps the factors above zero, where no step leads back from.
const leastFactor = 1e-12

// NMF looks for non-negative C [m, k] and W [k, r] with X ~ C W for a non-negative X [m, r]. The loss never rises. The result is
// a local minimum; unless X is nearly separable another start may find another (see Separable for one that is found directly).
//
// Cost of an iteration: 4 m r k operations, of KL twice that.
func NMF(ctx context.Context, x *Matrix, cfg NMFConfig, progress Progress) (*NMFactors, error) {
	const where = "non-negative factorization"
	if err := x.checkNonNegative(where); err != nil {
		return nil, err
	}
	if err := x.checkRank(where, cfg.Rank); err != nil {
		return nil, err
	}
	if cfg.Iterations < 0 || !(cfg.Tolerance >= 0) || cfg.Loss != Frobenius && cfg.Loss != KL {
		return nil, fmt.Errorf("factor: %s: %w: got %d iterations, tolerance %v and loss %d, want neither negative and Frobenius or KL", where, ErrShape, cfg.Iterations, cfg.Tolerance, cfg.Loss)
	}
	if cfg.Iterations == 0 {
		cfg.Iterations = 1000
	}
	if cfg.Tolerance == 0 {
		cfg.Tolerance = 1e-5
	}
	work := x.Clone()
	exponent := normalise(work)
	f, err := cfg.start(ctx, where, x, work, exponent)
	if err != nil {
		return nil, err
	}
	j := &job{ctx: ctx, progress: progress, total: cfg.Iterations}
	step, loss := f.hals, f.frobenius
	if cfg.Loss == KL {
		step, loss = f.multiply, f.divergence
	}
	last := loss(work)
	for f.Iterations < cfg.Iterations {
		step(work)
		f.Iterations++
		if err := j.step(1); err != nil {
			return nil, err
		}
		if f.Iterations%10 == 0 {
			now := loss(work)
			if !(now < last*(1-cfg.Tolerance)) {
				break
			}
			last = now
		}
	}
	j.finish()
	f.Loss = math.Ldexp(loss(work), exponent)
	if cfg.Loss == Frobenius {
		f.Loss = math.Ldexp(f.Loss, exponent)
	}
	f.C.scaleExp(exponent)
	return f, nil
}

// start makes the first factors, of x scaled.
func (cfg NMFConfig) start(ctx context.Context, where string, x, work *Matrix, exponent int) (*NMFactors, error) {
	f := &NMFactors{C: NewMatrix(x.Rows, cfg.Rank), W: NewMatrix(cfg.Rank, x.Cols)}
	if cfg.Start != nil {
		if err := cfg.Start.checkNonNegative(where); err != nil {
			return nil, err
		}
		if cfg.Start.Rows != cfg.Rank || cfg.Start.Cols != x.Cols {
			return nil, fmt.Errorf("factor: %s: %w: got a start of %d x %d, want %d x %d", where, ErrShape, cfg.Start.Rows, cfg.Start.Cols, cfg.Rank, x.Cols)
		}
		copy(f.W.Data, cfg.Start.Data)
		c, err := NonNegative(ctx, work, f.W, nil)
		if err != nil {
			return nil, err
		}
		f.C = c
	} else {
		r := rng.New(cfg.Seed, "factor/nmf", 0)
		scale := math.Sqrt(kernel.Sum(work.Data) / float64(len(work.Data)) / float64(cfg.Rank)) // so that C W has X's mean
		rng.FillUniform(r, f.C.Data, 0, 2*scale)
		rng.FillUniform(r, f.W.Data, 0, 2*scale)
	}
	for _, m := range []*Matrix{f.C, f.W} {
		for i, v := range m.Data {
			m.Data[i] = max(v, leastFactor)
		}
	}
	return f, nil
}

// hals solves for each column of C and then for each row of W with all others fixed.
func (f *NMFactors) hals(x *Matrix) {
	halsHalf(x, f.C, f.W)
	ct, wt := f.C.Transpose(), f.W.Transpose()
	halsHalf(x.Transpose(), wt, ct)
	f.W = wt.Transpose()
}

// halsHalf improves c [m, k] for X ~ C W: C_j <- max(0, C_j + (X W_jᵀ - C W W_jᵀ) / ||W_j||²).
func halsHalf(x, c, w *Matrix) {
	k := c.Cols
	wt := w.Transpose()
	xw := x.Mul(wt) // [m, k]
	ww := w.Mul(wt) // [k, k]
	kernel.Ranges(c.Rows, nonNegativeGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := c.Row(i)
			for j := range k {
				if d := ww.Data[j*k+j]; d > 0 {
					row[j] = max(leastFactor, row[j]+(xw.Data[i*k+j]-kernel.Dot(row, ww.Row(j)))/d)
				}
			}
		}
	})
}

func (f *NMFactors) frobenius(x *Matrix) float64 {
	p := f.C.Mul(f.W)
	kernel.Axpy(-1, x.Data, p.Data)
	return kernel.SumSquares(p.Data)
}

// multiply is a multiplicative step: C <- C (X/(C W)) Wᵀ / (1 Wᵀ), then W likewise.
func (f *NMFactors) multiply(x *Matrix) {
	half := func(x, c, w *Matrix) {
		ratio := c.Mul(w)
		for i, v := range ratio.Data {
			ratio.Data[i] = x.Data[i] / max(v, leastFactor*leastFactor)
		}
		up := ratio.Mul(w.Transpose()) // [m, k]
		for j := range w.Rows {
			sum := kernel.Sum(w.Row(j))
			for i := range c.Rows {
				c.Data[i*c.Cols+j] = max(leastFactor, c.Data[i*c.Cols+j]*up.Data[i*c.Cols+j]/sum)
			}
		}
	}
	half(x, f.C, f.W)
	wt := f.W.Transpose()
	half(x.Transpose(), wt, f.C.Transpose())
	f.W = wt.Transpose()
}

func (f *NMFactors) divergence(x *Matrix) float64 {
	sum := 0.0
	for i, p := range f.C.Mul(f.W).Data {
		if v := x.Data[i]; v > 0 {
			sum += v * math.Log(v/p)
		}
		sum += p - x.Data[i]
	}
	return sum
}

// Separation is a choice of rows that all other rows mix.
type Separation struct {
	Rows      []int     // of the matrix, in the order in which they were chosen
	Vertices  *Matrix   // [k, r]: those rows, each divided by its sum
	Residuals []float64 // norm of each when it was chosen, less what the earlier ones explain: falls to 0 where the rank is below k
}

// Separable finds k rows of the non-negative matrix h [m, r] of which the other rows are mixtures, up to their sums: successive
// projection (Araújo et al. 2001; Gillis and Vavasis 2014), pivoted QR without Q. Rows are divided by their sums; then k times the row
// with the largest residual norm is chosen and its direction taken from all residuals. Rows whose sum is below floor (a share of the
// largest) have no direction worth a choice and are left out.
//
// Cost: 2 m r k operations.
func Separable(ctx context.Context, h *Matrix, k int, floor float64) (*Separation, error) {
	const where = "separable factorization"
	if err := h.checkNonNegative(where); err != nil {
		return nil, err
	}
	if err := h.checkRank(where, k); err != nil {
		return nil, err
	}
	n, sums, most := h.Clone(), make([]float64, h.Rows), 0.0
	for i := range sums {
		sums[i] = kernel.Sum(h.Row(i))
		most = max(most, sums[i])
	}
	used := 0
	for i, sum := range sums {
		if sum == 0 || sum < floor*most {
			clear(n.Row(i))
			continue
		}
		for c, v := range n.Row(i) {
			n.Row(i)[c] = v / sum
		}
		used++
	}
	if used < k {
		return nil, fmt.Errorf("factor: %s: %w: %d of %d rows have enough in them, want %d or more", where, ErrShape, used, h.Rows, k)
	}
	s := &Separation{Vertices: NewMatrix(k, h.Cols)}
	residual := n.Clone()
	taken := make([]bool, h.Rows)
	direction := make([]float64, h.Cols)
	for range k {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		best, longest := -1, 0.0
		for i := range residual.Rows {
			if taken[i] || sums[i] == 0 || sums[i] < floor*most {
				continue
			}
			if d := kernel.Dot(residual.Row(i), residual.Row(i)); best < 0 || d > longest {
				best, longest = i, d
			}
		}
		taken[best] = true
		s.Residuals = append(s.Residuals, math.Sqrt(longest))
		copy(s.Vertices.Row(len(s.Rows)), n.Row(best))
		s.Rows = append(s.Rows, best)
		if !unitRow(direction, residual.Row(best)) {
			continue // nothing is left: the rank is lower
		}
		for i := range residual.Rows {
			kernel.Axpy(-kernel.Dot(residual.Row(i), direction), direction, residual.Row(i))
		}
	}
	return s, nil
}

// checkNonNegative says whether the matrix is one of numbers of 0 or more; where names the caller.
func (m *Matrix) checkNonNegative(where string) error {
	if err := m.check(where); err != nil {
		return err
	}
	for i, v := range m.Data {
		if v < 0 {
			return fmt.Errorf("factor: %s: %w: element (%d, %d) is %v, want 0 or more", where, ErrShape, i/m.Cols, i%m.Cols, v)
		}
	}
	return nil
}
