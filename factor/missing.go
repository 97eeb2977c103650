package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// MissingConfig says how MissingLowRank works.
type MissingConfig struct {
	Rank int // of the product, 1 to min(m, n)
	// Sweeps is how often both factors are solved for; 0 means 10.
	Sweeps int
	// Ridge is the weight of the factors' squares, in the unit of the squared data; 0 means 1e-3, which suits data whose noise has
	// variance 1.
	Ridge float64
}

// MissingLowRank looks for the product of rank r that is nearest to the known entries of a [m, n],
//
//	min sum_known (A_ij - (Up Down)_ij)² + ridge (||Up||² + ||Down||²)
//
// by alternating least squares: for fixed Down each row of Up is a ridge regression on the entries that the row knows, and the other
// way round; the sum never rises. It begins with the eigenvectors of the Gram matrix that the known pairs estimate, G_ij m / m_ij, where
// m_ij counts the rows that know both columns. (With entries missing by chance at a share 1-p this divides by p² beside the diagonal
// and by p on it; with whole rows missing it divides by p everywhere, as it must.)
//
// known has an entry for each of a's; what a holds elsewhere is not read. A row or column without a known entry becomes 0. The result
// is turned so that Down has orthonormal rows, the most telling first, and Upᵀ Up is diagonal. Error is the root of the sum over known
// entries, Start that of the first half sweep.
//
// Cost of a sweep: 2 |known| r² + (m + n) r³/3 operations.
func MissingLowRank(ctx context.Context, a *Matrix, known []bool, cfg MissingConfig, progress Progress) (*LowRank, error) {
	const where = "missing low rank"
	if a == nil || a.Rows < 1 || a.Cols < 1 || len(a.Data) != a.Rows*a.Cols {
		return nil, a.check(where)
	}
	if err := a.checkRank(where, cfg.Rank); err != nil {
		return nil, err
	}
	if len(known) != len(a.Data) {
		return nil, fmt.Errorf("factor: %s: %w: got %d marks for %d x %d, want one for each entry", where, ErrShape, len(known), a.Rows, a.Cols)
	}
	if cfg.Sweeps < 0 || !(cfg.Ridge >= 0) || math.IsInf(cfg.Ridge, 0) {
		return nil, fmt.Errorf("factor: %s: %w: got %d sweeps and ridge %v, want neither negative", where, ErrShape, cfg.Sweeps, cfg.Ridge)
	}
	if cfg.Sweeps == 0 {
		cfg.Sweeps = 10
	}
	if cfg.Ridge == 0 {
		cfg.Ridge = 1e-3
	}
	work := NewMatrix(a.Rows, a.Cols)
	for i, yes := range known {
		if v := a.Data[i]; yes {
			if v-v != 0 {
				return nil, fmt.Errorf("factor: %s: %w: element (%d, %d) is %v", where, ErrNotFinite, i/a.Cols, i%a.Cols, v)
			}
			work.Data[i] = v
		}
	}
	j := &job{ctx: ctx, progress: progress, total: 2*cfg.Sweeps + 1}
	down, err := missingStart(j, work, known, cfg.Rank)
	if err != nil {
		return nil, err
	}
	workT, knownT := work.Transpose(), make([]bool, len(known))
	for i := range a.Rows {
		for c := range a.Cols {
			knownT[c*a.Rows+i] = known[i*a.Cols+c]
		}
	}
	up := NewMatrix(a.Rows, cfg.Rank)
	downT := down.Transpose()
	result := &LowRank{Sweeps: cfg.Sweeps}
	for sweep := range cfg.Sweeps {
		missingHalf(work, known, up, downT, cfg.Ridge)
		if err := j.step(1); err != nil {
			return nil, err
		}
		if sweep == 0 {
			result.Start = missingError(work, known, up, downT)
		}
		missingHalf(workT, knownT, downT, up, cfg.Ridge)
		if err := j.step(1); err != nil {
			return nil, err
		}
	}
	result.Error = missingError(work, known, up, downT)
	result.Up, result.Down, err = principal(ctx, up, downT)
	return result, err
}

// missingStart returns the first eigenvectors of the Gram matrix that the known entries estimate, as rows [rank, n].
func missingStart(j *job, zeroed *Matrix, known []bool, rank int) (*Matrix, error) {
	n := zeroed.Cols
	marks := NewMatrix(zeroed.Rows, n)
	for i, yes := range known {
		if yes {
			marks.Data[i] = 1
		}
	}
	g, err := gram(j, zeroed.Transpose().Data, n, zeroed.Rows)
	if err != nil {
		return nil, err
	}
	pairs, err := gram(j, marks.Transpose().Data, n, zeroed.Rows)
	if err != nil {
		return nil, err
	}
	for i, count := range pairs {
		if count > 0 {
			g[i] *= float64(zeroed.Rows) / count
		}
	}
	_, vectors, err := symmetricEigen(&job{ctx: j.ctx}, g, n, rank)
	if err != nil {
		return nil, err
	}
	return &Matrix{Rows: rank, Cols: n, Data: vectors}, j.step(1)
}

// missingHalf solves for each row u of up [m, r], given right [n, r]: (sum_known v vᵀ + ridge I) u = sum_known a v.
func missingHalf(a *Matrix, known []bool, up, right *Matrix, ridge float64) {
	const grain = 16
	r, n := up.Cols, a.Cols
	kernel.Ranges(a.Rows, grain, func(from, to int) {
		rows, values, normal := make([]float64, n*r), make([]float64, n), make([]float64, r*r)
		for i := from; i < to; i++ {
			count := 0
			for c, yes := range known[i*n : (i+1)*n] {
				if yes {
					copy(rows[count*r:], right.Row(c))
					values[count] = a.Data[i*n+c]
					count++
				}
			}
			u := up.Row(i)
			clear(u)
			if count == 0 {
				continue
			}
			kernel.GemmSerial(true, false, r, r, count, 1, rows, r, rows, r, 0, normal, r)
			kernel.GemmSerial(false, false, 1, r, count, 1, values, count, rows, r, 0, u, r)
			for k := range r {
				normal[k*r+k] += ridge
			}
			if cholesky(normal, r) {
				choleskySolve(normal, r, u)
			} else { // a ridge that is lost in rounding: the row says nothing that can be trusted
				clear(u)
			}
		}
	})
}

// missingError returns sqrt(sum_known (A - up rightᵀ)²).
func missingError(a *Matrix, known []bool, up, right *Matrix) float64 {
	sum := 0.0
	for i := range a.Rows {
		u, part := up.Row(i), 0.0
		for c, v := range a.Row(i) {
			if known[i*a.Cols+c] {
				d := v - kernel.Dot(u, right.Row(c))
				part += d * d
			}
		}
		sum += part
	}
	return math.Sqrt(sum)
}

// principal turns a product up rightᵀ so that the second factor has orthonormal rows and the first has orthogonal columns.
func principal(ctx context.Context, up, right *Matrix) (left, down *Matrix, err error) {
	base, err := ThinSVD(ctx, right, nil) // right = U S Vt, so up rightᵀ = (up V S) Uᵀ
	if err != nil {
		return nil, nil, err
	}
	turn := base.Vt.Transpose()
	scaleCols(turn, base.S)
	scores := up.Mul(turn)
	r := up.Cols
	moments := NewMatrix(r, r)
	kernel.Gemm(true, false, r, r, scores.Rows, 1, scores.Data, r, scores.Data, r, 0, moments.Data, r)
	_, axes, err := SymmetricEigen(ctx, moments, r)
	if err != nil {
		return nil, nil, err
	}
	return scores.Mul(axes.Transpose()), axes.Mul(base.U.Transpose()), nil
}
