package factor

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// KMeansConfig says how KMeans works.
type KMeansConfig struct {
	K          int // clusters, 1 to the number of points
	Restarts   int // of which the best is kept; 0 means 5
	Iterations int // at most, of each; 0 means 100
	Seed       uint64
}

// Clusters are groups of points around centres.
type Clusters struct {
	Centers *Matrix // [K, d]: means of their points
	Of      []int   // of each point
	Sizes   []int   // points of each cluster; 0 only where there are fewer distinct points than clusters
	Inertia float64 // sum of the squared distances of points and their centres
}

// KMeans looks for K centres with the least sum of squared distances of the points, rows of x [n, d], to the nearest: Lloyd's
// iterations from starts drawn by k-means++ (Arthur and Vassilvitskii 2007). A cluster that loses all its points takes the one that
// is farthest from its centre. Equal seeds give equal clusters for any number of threads.
//
// Cost of an iteration: 2 n K d operations.
func KMeans(ctx context.Context, x *Matrix, cfg KMeansConfig, progress Progress) (*Clusters, error) {
	const where = "k-means"
	if err := x.check(where); err != nil {
		return nil, err
	}
	if cfg.K < 1 || cfg.K > x.Rows {
		return nil, fmt.Errorf("factor: %s: %w: got %d clusters for %d points, want 1 to %d", where, ErrShape, cfg.K, x.Rows, x.Rows)
	}
	if cfg.Restarts < 0 || cfg.Iterations < 0 {
		return nil, fmt.Errorf("factor: %s: %w: got %d restarts and %d iterations, want neither negative", where, ErrShape, cfg.Restarts, cfg.Iterations)
	}
	if cfg.Restarts == 0 {
		cfg.Restarts = 5
	}
	if cfg.Iterations == 0 {
		cfg.Iterations = 100
	}
	work := x.Clone()
	exponent := normalise(work)
	l := &lloyd{x: work, norms: make([]float64, x.Rows), k: cfg.K}
	for i := range l.norms {
		l.norms[i] = kernel.Dot(work.Row(i), work.Row(i))
	}
	j := &job{ctx: ctx, progress: progress, total: cfg.Restarts * cfg.Iterations}
	var best *Clusters
	for restart := range cfg.Restarts {
		r := rng.New(cfg.Seed, "factor/k-means", uint64(restart)<<40)
		l.start(r)
		for n := range cfg.Iterations {
			if err := j.step(1); err != nil {
				return nil, err
			}
			if !l.improve() {
				if err := j.step(cfg.Iterations - n - 1); err != nil {
					return nil, err
				}
				break
			}
		}
		if c := l.clusters(); best == nil || c.Inertia < best.Inertia {
			best = c
		}
	}
	best.Centers.scaleExp(exponent)
	best.Inertia = math.Ldexp(best.Inertia, 2*exponent)
	return best, nil
}

// Nearest returns the centre that is nearest to a point, the first of several, and the squared distance.
func (c *Clusters) Nearest(x []float64) (k int, distance float64) {
	distance = math.Inf(1)
	for i := range c.Centers.Rows {
		sum := 0.0
		for d, v := range c.Centers.Row(i) {
			sum += (x[d] - v) * (x[d] - v)
		}
		if sum < distance {
			k, distance = i, sum
		}
	}
	return k, distance
}

// lloyd is one k-means under way.
type lloyd struct {
	x         *Matrix
	norms     []float64 // squared, of the points
	k         int
	centers   *Matrix
	of        []int     // nil: not assigned yet
	distances []float64 // squared, to the nearest centre
}

// start draws centres by k-means++: each next one with a probability that grows with its squared distance to those there are.
func (l *lloyd) start(r *rng.Source) {
	l.centers, l.of = NewMatrix(l.k, l.x.Cols), nil
	l.distances = make([]float64, l.x.Rows)
	for i := range l.distances {
		l.distances[i] = math.Inf(1)
	}
	at := r.Intn(l.x.Rows)
	for k := range l.k {
		copy(l.centers.Row(k), l.x.Row(at))
		center := l.centers.Row(k)
		kernel.Ranges(l.x.Rows, codeGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				sum := 0.0
				for d, v := range l.x.Row(i) {
					sum += (v - center[d]) * (v - center[d])
				}
				l.distances[i] = min(l.distances[i], sum)
			}
		})
		total := kernel.Sum(l.distances)
		at = r.Intn(l.x.Rows) // all points are centres already
		if draw := r.Float64() * total; total > 0 {
			for i, d := range l.distances {
				if draw -= d; draw < 0 && d > 0 {
					at = i
					break
				}
			}
		}
	}
}

// improve assigns the points and moves the centres to their means; false: no assignment changed.
func (l *lloyd) improve() bool {
	of := l.assign()
	if l.of != nil && slices.Equal(of, l.of) {
		return false
	}
	l.of = of
	sizes := make([]int, l.k)
	clear(l.centers.Data)
	for i, k := range of {
		sizes[k]++
		kernel.Axpy(1, l.x.Row(i), l.centers.Row(k))
	}
	for k, n := range sizes {
		if n > 0 {
			kernel.Scale(1/float64(n), l.centers.Row(k))
		}
	}
	for k, n := range sizes {
		if n > 0 {
			continue
		}
		far := 0
		for i, d := range l.distances {
			if d > l.distances[far] {
				far = i
			}
		}
		copy(l.centers.Row(k), l.x.Row(far))
		l.distances[far] = 0 // another empty cluster takes another
	}
	return true
}

// assign returns the nearest centre of each point, the first of several, and notes the squared distances.
func (l *lloyd) assign() []int {
	of := make([]int, l.x.Rows)
	centers := make([]float64, l.k)
	for k := range centers {
		centers[k] = kernel.Dot(l.centers.Row(k), l.centers.Row(k))
	}
	const block = 512
	products := make([]float64, min(block, l.x.Rows)*l.k)
	for lo := 0; lo < l.x.Rows; lo += block {
		n := min(block, l.x.Rows-lo)
		kernel.Gemm(false, true, n, l.k, l.x.Cols, 1, l.x.Data[lo*l.x.Cols:], l.x.Cols, l.centers.Data, l.centers.Cols, 0, products, l.k)
		for i := range n {
			best, least := 0, math.Inf(1)
			for k, p := range products[i*l.k : (i+1)*l.k] {
				if d := centers[k] - 2*p; d < least {
					best, least = k, d
				}
			}
			of[lo+i], l.distances[lo+i] = best, max(0, least+l.norms[lo+i])
		}
	}
	return of
}

// clusters is what has been found; distances are computed anew, without cancellation.
func (l *lloyd) clusters() *Clusters {
	c := &Clusters{Centers: l.centers, Of: l.assign(), Sizes: make([]int, l.k)}
	for i, k := range c.Of {
		c.Sizes[k]++
		for d, v := range l.x.Row(i) {
			c.Inertia += (v - l.centers.Row(k)[d]) * (v - l.centers.Row(k)[d])
		}
	}
	return c
}
