package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

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
	m, n := a.Rows, a.Cols
	l := min(cfg.Rank+cfg.Oversample, min(m, n))
	j := &job{ctx: ctx, progress: progress, total: 2*cfg.Power + 3}

	omega := NewMatrix(l, n)
	rng.FillNormal(rng.New(cfg.Seed, "factor/randomized", 0), omega.Data, 0, 1)
	q := NewMatrix(l, m) // as rows
	for power := 0; ; power++ {
		kernel.Gemm(false, true, l, m, n, 1, omega.Data, n, work.Data, n, 0, q.Data, m)
		if err := orthonormal(ctx, q); err != nil {
			return nil, err
		}
		if err := j.step(1); err != nil {
			return nil, err
		}
		if power == cfg.Power {
			break
		}
		omega = q.Mul(work)
		if err := orthonormal(ctx, omega); err != nil {
			return nil, err
		}
		if err := j.step(1); err != nil {
			return nil, err
		}
	}
	d, err := ThinSVD(ctx, q.Mul(work), nil)
	if err != nil {
		return nil, err
	}
	if err := j.step(1); err != nil {
		return nil, err
	}
	whole, sample := kernel.SumSquares(work.Data), 0.0
	for _, s := range d.S {
		sample += s * s
	}
	missed := max(whole-sample, 0)
	if d, err = d.Truncate(cfg.Rank); err != nil {
		return nil, err
	}
	u := NewMatrix(m, cfg.Rank)
	kernel.Gemm(true, false, m, cfg.Rank, l, 1, q.Data, m, d.U.Data, cfg.Rank, 0, u.Data, cfg.Rank)
	d.U = u
	kept := 0.0
	for _, s := range d.S {
		kept += s * s
	}
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

// orthonormal replaces the rows of x [r, n], r <= n, by an orthonormal basis of their span.
func orthonormal(ctx context.Context, x *Matrix) error {
	d, err := ThinSVD(ctx, x, nil)
	if err != nil {
		return err
	}
	copy(x.Data, d.Vt.Data)
	return nil
}
