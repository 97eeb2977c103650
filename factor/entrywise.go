package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// EntrywiseConfig says how EntrywiseLowRank works.
type EntrywiseConfig struct {
	Rank int // of the product, 1 to min(m, n)
	// Sweeps is the most that are done, each of which solves for both factors; 0 means 10.
	Sweeps int
	// Tolerance ends the work when a sweep lowers the error by less than this share; 0 means 1e-4.
	Tolerance float64
	// Floor is added to the weights after the division by their mean; 0 means DefaultFloor.
	Floor float64
}

// LowRank is a product Up Down, Up [m, r] and Down [r, n].
type LowRank struct {
	Up, Down *Matrix
	// Error is the weighted Frobenius error, Start that of the weighted decomposition it began with; weights are relative to
	// their mean.
	Error, Start float64
	Sweeps       int
}

// EntrywiseLowRank looks for the product of rank r that is nearest to a [m, n] when every entry has a weight of its own,
//
//	min sum_ij F_ij (A_ij - (Up Down)_ij)²
//
// which is the problem that FWSVD simplifies (its equation for the ideal Fisher weighting; no closed form is known). It
// begins with WeightedSVD under the weights' row and column sums and alternates: for fixed Down each row of Up is a small
// weighted least-squares problem, and the other way round. Each solution moves from the present one and pays a little for
// the way, so singular problems (a row without weights) are no exception and the error never rises. The result is a local
// minimum.
//
// Weights are as in Weights: not negative, finite, only ratios matter, zeros are floored.
//
// Cost of a sweep: 2 m n r² + (m + n) r³/3 operations.
func EntrywiseLowRank(ctx context.Context, a, weights *Matrix, cfg EntrywiseConfig, progress Progress) (*LowRank, error) {
	const where = "entrywise low rank"
	if err := a.check(where); err != nil {
		return nil, err
	}
	if err := a.checkRank(where, cfg.Rank); err != nil {
		return nil, err
	}
	if weights == nil || weights.Rows != a.Rows || weights.Cols != a.Cols || len(weights.Data) != len(a.Data) {
		return nil, fmt.Errorf("factor: %s: %w: want a weight for each entry of %d x %d", where, ErrShape, a.Rows, a.Cols)
	}
	if cfg.Sweeps < 0 || !(cfg.Tolerance >= 0) {
		return nil, fmt.Errorf("factor: %s: %w: got %d sweeps and tolerance %v, want neither negative", where, ErrShape, cfg.Sweeps, cfg.Tolerance)
	}
	if cfg.Sweeps == 0 {
		cfg.Sweeps = 10
	}
	if cfg.Tolerance == 0 {
		cfg.Tolerance = 1e-4
	}
	rows, cols := make([]float64, a.Rows), make([]float64, a.Cols)
	mean := meanOf(weights.Data)
	for i, v := range weights.Data {
		if !(v >= 0) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("factor: %s: %w: weight (%d, %d) is %v, want a number of 0 or more", where, ErrWeight, i/a.Cols, i%a.Cols, v)
		}
		rows[i/a.Cols] += v / float64(a.Cols)
		cols[i%a.Cols] += v / float64(a.Rows)
	}
	sides := Weights{Rows: rows, Cols: cols, Floor: cfg.Floor}
	f := weights.Clone()
	for i, v := range f.Data {
		if mean > 0 {
			v /= mean
		}
		f.Data[i] = v + sides.floor()
	}
	work := a.Clone()
	exponent := normalise(work)
	start, err := WeightedSVD(ctx, work, cfg.Rank, sides, nil)
	if err != nil {
		return nil, err
	}
	up, down := start.Split()
	j := &job{ctx: ctx, progress: progress, total: cfg.Sweeps * (a.Rows + a.Cols)}
	workT, fT := work.Transpose(), f.Transpose()
	result := &LowRank{}
	last := entrywiseError(work, f, up, down)
	result.Start = math.Ldexp(last, exponent)
	downT := down.Transpose()
	for result.Sweeps < cfg.Sweeps {
		if err := entrywiseHalf(j, work, f, up, down); err != nil {
			return nil, err
		}
		if err := entrywiseHalf(j, workT, fT, downT, up.Transpose()); err != nil {
			return nil, err
		}
		down = downT.Transpose()
		result.Sweeps++
		now := entrywiseError(work, f, up, down)
		small := now >= last*(1-cfg.Tolerance)
		last = now
		if small {
			break
		}
	}
	j.finish()
	for i := range up.Data {
		up.Data[i] = math.Ldexp(up.Data[i], exponent)
	}
	result.Up, result.Down, result.Error = up, down, math.Ldexp(last, exponent)
	return result, nil
}

// entrywiseError returns sqrt(sum F (A - Up Down)²).
func entrywiseError(a, f, up, down *Matrix) float64 {
	r := up.Mul(down)
	sum := 0.0
	for i := range a.Rows {
		row, weight := r.Row(i), f.Row(i)
		part := 0.0
		for k, v := range a.Row(i) {
			d := v - row[k]
			part += weight[k] * d * d
		}
		sum += part
	}
	return math.Sqrt(sum)
}

// entrywiseHalf improves each row u of up [m, r] for a fixed down [r, n]: with residual e and weights f of its row of A,
// (down diag(f) downᵀ + mu I) step = down diag(f) e. The step minimises the row's error plus mu |step|².
func entrywiseHalf(j *job, a, f, up, down *Matrix) error {
	const grain, batch = 4, 64
	const damping = 1e-12 // mu, relative to the mean of the diagonal
	r, n := up.Cols, a.Cols
	for lo := 0; lo < a.Rows; lo += batch {
		hi := min(lo+batch, a.Rows)
		kernel.Ranges(hi-lo, grain, func(from, to int) {
			scaled, normal := make([]float64, r*n), make([]float64, r*r)
			root, rest, step := make([]float64, n), make([]float64, n), make([]float64, r)
			for i := lo + from; i < lo+to; i++ {
				u, weight := up.Row(i), f.Row(i)
				kernel.GemmSerial(false, false, 1, n, r, -1, u, r, down.Data, n, 0, rest, n)
				for k, v := range a.Row(i) {
					root[k] = math.Sqrt(weight[k])
					rest[k] = (rest[k] + v) * root[k]
				}
				for k := range r {
					kernel.Mul(scaled[k*n:(k+1)*n], down.Row(k), root)
				}
				const block = 64 // lower triangle only
				for b := 0; b < r; b += block {
					e := min(b+block, r)
					kernel.GemmSerial(false, true, e-b, e, n, 1, scaled[b*n:], n, scaled, n, 0, normal[b*r:], r)
				}
				kernel.GemmSerial(false, false, r, 1, n, 1, scaled, n, rest, 1, 0, step, 1)
				trace := 0.0
				for k := range r {
					trace += normal[k*r+k]
				}
				for k := range r {
					normal[k*r+k] += damping*trace/float64(r) + 1e-300
				}
				if cholesky(normal, r) {
					choleskySolve(normal, r, step)
					kernel.Add(u, u, step)
				}
			}
		})
		if err := j.step(hi - lo); err != nil {
			return err
		}
	}
	return nil
}
