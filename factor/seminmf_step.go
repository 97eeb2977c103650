package factor

import (
	"fmt"
	"math"
	"slices"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// Sizes of starts.
const (
	startIterations = 15    // of k-means (Shafran et al. 2025)
	startRows       = 16384 // vectors at most that its centres are found from
	startSpare      = 8     // directions more than features, of which the singular vectors are the best
	startPowers     = 3     // passes that turn them towards the largest
	startFloor      = 0.01  // of the largest: what a coefficient of the multiplicative rule begins with in place of 0, which it could not leave
)

// start gives the coefficients their first values.
func (s *semi) start() (err error) {
	s.norms, s.left = make([]float64, s.n), make([]float64, s.n)
	s.g = NewMatrix(s.n, s.cfg.Features)
	switch s.cfg.Start {
	case RandomStart:
		rng.FillUniform(rng.New(s.cfg.Seed, "factor/semi-nmf", 0), s.g.Data, 0, 1)
	case SVDStart:
		err = s.startSVD()
	case KMeansStart:
		err = s.startKMeans()
	}
	if err == nil && s.cfg.Rule == Multiplicative {
		floor := startFloor * slices.Max(s.g.Data)
		for i, x := range s.g.Data {
			s.g.Data[i] = math.Max(x, floor)
		}
	}
	return err
}

// startSVD makes the coefficients A v_j for the first right singular vectors v_j, of the sign for which more of it is
// positive, without what is negative. The vectors come from powers of AᵀA (Halko, Martinsson and Tropp 2011).
func (s *semi) startSVD() error {
	k := s.cfg.Features
	l := min(k+startSpare, min(s.n, s.width))
	v := NewMatrix(l, s.width)
	rng.FillNormal(rng.New(s.cfg.Seed, "factor/semi-nmf/svd", 0), v.Data, 0, 1)
	for range startPowers {
		if err := orthonormal(s.j.ctx, v); err != nil {
			return err
		}
		next, y := NewMatrix(l, s.width), NewMatrix(min(s.n, blockRows), l)
		err := firstPass(s.j, semiNMF, s.a, func(_ int, block *Matrix) error {
			kernel.Gemm(false, true, block.Rows, l, s.width, 1, block.Data, s.width, v.Data, s.width, 0, y.Data, l)
			kernel.Gemm(true, false, l, s.width, block.Rows, 1, y.Data, l, block.Data, s.width, 1, next.Data, s.width)
			return nil
		})
		if err != nil {
			return err
		}
		v = next
	}
	d, err := ThinSVD(s.j.ctx, v, nil) // (AᵀA)^powers on the subspace: its right vectors are A's
	if err != nil {
		return err
	}
	top := &Matrix{k, s.width, d.Vt.Data[:k*s.width]}
	err = pass(s.j, semiNMF, s.a, func(at int, block *Matrix) error {
		kernel.Gemm(false, true, block.Rows, k, s.width, 1, block.Data, s.width, top.Data, s.width, 0, s.g.Data[at*k:], k)
		return nil
	})
	if err != nil {
		return err
	}
	for c := range k {
		up, down := 0.0, 0.0
		for i := range s.n {
			if x := s.g.Data[i*k+c]; x > 0 {
				up += x * x
			} else {
				down += x * x
			}
		}
		sign := 1.0
		if down > up {
			sign = -1
		}
		for i := range s.n {
			s.g.Data[i*k+c] = math.Max(0, sign*s.g.Data[i*k+c])
		}
	}
	return nil
}

// startKMeans gives each vector to the nearest of as many centres, which are those of vectors spread over all.
func (s *semi) startKMeans() error {
	k := s.cfg.Features
	some, err := sample(s.j, semiNMF, s.a, max(startRows, k))
	if err != nil {
		return err
	}
	c, err := KMeans(s.j.ctx, some, KMeansConfig{K: k, Iterations: startIterations, Restarts: 1, Seed: s.cfg.Seed}, nil)
	if err != nil {
		return err
	}
	sizes := make([]float64, k)
	for i := range sizes {
		sizes[i] = kernel.Dot(c.Centers.Row(i), c.Centers.Row(i)) / 2
	}
	p := NewMatrix(min(s.n, blockRows), k)
	return pass(s.j, semiNMF, s.a, func(at int, block *Matrix) error {
		kernel.Gemm(false, true, block.Rows, k, s.width, 1, block.Data, s.width, c.Centers.Data, s.width, 0, p.Data, k)
		for i := range block.Rows {
			best := 0
			for j, x := range p.Row(i) {
				if x-sizes[j] > p.Row(i)[best]-sizes[best] {
					best = j
				}
			}
			s.g.Row(at + i)[best] = 1
		}
		return nil
	})
}

// sums reads all vectors once and sums up what Z is solved from for the coefficients as they are; and checks and measures the
// vectors.
func (s *semi) sums() error {
	s.ga, s.gg = NewMatrix(s.cfg.Features, s.width), NewMatrix(s.cfg.Features, s.cfg.Features)
	err := firstPass(s.j, semiNMF, s.a, func(at int, block *Matrix) error {
		for i := range block.Rows {
			s.norms[at+i] = kernel.Dot(block.Row(i), block.Row(i))
		}
		s.add(s.coefficients(at, block), block)
		return nil
	})
	s.whole = kernel.Sum(s.norms)
	return err
}

// improve reads all vectors once, improves their coefficients by the rule, and sums up what Z is solved from next.
func (s *semi) improve() error {
	k := s.cfg.Features
	s.ga, s.gg = NewMatrix(k, s.width), NewMatrix(k, k)
	p, q := NewMatrix(min(s.n, blockRows), k), products(s.z)
	return pass(s.j, semiNMF, s.a, func(at int, block *Matrix) error {
		kernel.Gemm(false, true, block.Rows, k, s.width, 1, block.Data, s.width, s.z.Data, s.width, 0, p.Data, k)
		g := s.coefficients(at, block)
		s.apply(g, p, q, s.norms[at:], s.left[at:])
		s.add(g, block)
		return nil
	})
}

// coefficients are those of a block.
func (s *semi) coefficients(at int, block *Matrix) *Matrix {
	k := s.cfg.Features
	return &Matrix{block.Rows, k, s.g.Data[at*k : (at+block.Rows)*k]}
}

// add adds a block to the sums.
func (s *semi) add(g, block *Matrix) {
	k := s.cfg.Features
	kernel.Gemm(true, false, k, s.width, block.Rows, 1, g.Data, k, block.Data, s.width, 1, s.ga.Data, s.width)
	kernel.Gemm(true, false, k, k, block.Rows, 1, g.Data, k, g.Data, k, 1, s.gg.Data, k)
}

// apply applies the rule to the coefficients g of a block; p is its A Zᵀ, q is Z Zᵀ and norms are ||a||². left are the squared
// errors after it.
func (s *semi) apply(g, p, q *Matrix, norms, left []float64) {
	k := s.cfg.Features
	if s.cfg.Rule == Multiplicative {
		s.multiply(g, p, q)
	}
	r := NewMatrix(g.Rows, k) // P - G Q
	copy(r.Data, p.Data)
	kernel.Gemm(false, false, g.Rows, k, k, -1, g.Data, k, q.Data, k, 1, r.Data, k)
	kernel.Ranges(g.Rows, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if s.cfg.Rule == Coordinates {
				coordinates(g.Row(i), r.Row(i), q.Data, sweeps, 0)
			}
			left[i] = norms[i] - kernel.Dot(g.Row(i), p.Row(i)) - kernel.Dot(g.Row(i), r.Row(i))
		}
	})
}

// multiply is the multiplicative rule.
func (s *semi) multiply(g, p, q *Matrix) {
	k := s.cfg.Features
	minus, plus := NewMatrix(g.Rows, k), NewMatrix(g.Rows, k)
	negative, positive := NewMatrix(k, k), NewMatrix(k, k)
	for i, x := range q.Data {
		negative.Data[i], positive.Data[i] = math.Max(0, -x), math.Max(0, x)
	}
	kernel.Gemm(false, false, g.Rows, k, k, 1, g.Data, k, negative.Data, k, 0, minus.Data, k)
	kernel.Gemm(false, false, g.Rows, k, k, 1, g.Data, k, positive.Data, k, 0, plus.Data, k)
	const least = 1e-300 // where nothing pulls down and nothing is
	for i, x := range g.Data {
		up, down := math.Max(0, p.Data[i])+minus.Data[i], math.Max(0, -p.Data[i])+plus.Data[i]
		g.Data[i] = x * math.Sqrt(up/math.Max(down, least))
	}
}

// solve finds Z for the coefficients, and of that the largest entries.
func (s *semi) solve() error {
	k := s.cfg.Features
	inverse, err := s.inverse()
	if err != nil {
		return err
	}
	s.z = inverse.Mul(s.ga)
	if s.cfg.Keep == s.width {
		return nil
	}
	kernel.Parallel(k, func(i int) { keepLargest(s.z.Row(i), s.cfg.Keep) })
	return nil
}

// keepLargest sets all but the largest magnitudes of x to 0; of equal ones the first stay.
func keepLargest(x []float64, keep int) {
	sizes := make([]float64, len(x))
	for i, v := range x {
		sizes[i] = math.Abs(v)
	}
	slices.Sort(sizes)
	least := sizes[len(x)-keep]
	above, _ := slices.BinarySearch(sizes, math.Nextafter(least, math.Inf(1)))
	ties := keep - (len(x) - above) // that stay
	for i, v := range x {
		switch size := math.Abs(v); {
		case size < least:
			x[i] = 0
		case size == least && ties > 0:
			ties--
		case size == least:
			x[i] = 0
		}
	}
}

// inverse is (GᵀG + ridge)^-1, with no more of a ridge than makes it positive definite.
func (s *semi) inverse() (*Matrix, error) {
	k := s.cfg.Features
	size := 0.0
	for i := range k {
		size += s.gg.Data[i*k+i] / float64(k)
	}
	for ridge := 1e-13; ridge < 1; ridge *= 100 {
		l := s.gg.Clone()
		for i := range k {
			l.Data[i*k+i] += ridge*size + math.SmallestNonzeroFloat64
		}
		if !cholesky(l.Data, k) {
			continue
		}
		inverse := NewMatrix(k, k)
		kernel.Parallel(k, func(i int) {
			inverse.Data[i*k+i] = 1
			choleskySolve(l.Data, k, inverse.Row(i))
		})
		return inverse, nil
	}
	return nil, fmt.Errorf("factor: %s: %w: the coefficients have overflowed", semiNMF, ErrConverge)
}

// keep records the error of Z and G, and Z if it is the best.
func (s *semi) keep() {
	explained := 2 * kernel.Dot(s.z.Data, s.ga.Data)
	gz := s.gg.Mul(s.z)
	explained -= kernel.Dot(s.z.Data, gz.Data)
	e := 0.0
	if s.whole > 0 {
		e = math.Sqrt(math.Max(0, s.whole-explained) / s.whole)
	}
	s.errors = append(s.errors, e)
	if now := len(s.errors) - 1; s.bestZ == nil || e < s.errors[s.best] {
		s.bestZ, s.best = s.z.Clone(), now
	}
}

// settled tells whether the best error has not become much better of late.
func (s *semi) settled() bool {
	now := len(s.errors) - 1
	if now < s.cfg.Patience {
		return false
	}
	before := slices.Min(s.errors[:now-s.cfg.Patience+1])
	return before-s.errors[s.best] <= s.cfg.Tolerance*before
}

// deadShare is the share of the mean size of features' coefficients below which one is dead.
const deadShare = 1e-8

// restart gives each feature without coefficients the vector with the largest error for its own.
func (s *semi) restart() error {
	k := s.cfg.Features
	mean := 0.0
	for i := range k {
		mean += math.Sqrt(s.gg.Data[i*k+i]) / float64(k)
	}
	for c := range k {
		if math.Sqrt(s.gg.Data[c*k+c]) > deadShare*mean {
			continue
		}
		far := 0
		for i, e := range s.left {
			if e > s.left[far] {
				far = i
			}
		}
		if s.left[far] <= 0 {
			return nil // nothing is left to explain
		}
		s.left[far] = 0
		s.restarts++
		row, err := s.a.Block(far, 1)
		if err != nil {
			return err
		}
		size, floor := max(mean/math.Sqrt(float64(s.n)), math.SmallestNonzeroFloat64), 0.0
		if s.cfg.Rule == Multiplicative {
			floor = startFloor * size
		}
		for i := range s.n {
			s.g.Data[i*k+c] = floor
		}
		g := s.g.Row(far)
		g[c] = size
		copy(s.ga.Row(c), row.Data)
		kernel.Scale(g[c], s.ga.Row(c))
		for i := range k {
			s.gg.Data[c*k+i], s.gg.Data[i*k+c] = g[c]*g[i], g[c]*g[i]
		}
	}
	return nil
}

// replace lets the feature die that the others replace best: the one without which the least error would rise least,
// ||z_i||²/((GᵀG)^-1)_ii.
func (s *semi) replace() error {
	inverse, err := s.inverse()
	if err != nil {
		return err
	}
	k := s.cfg.Features
	least, at := math.Inf(1), 0
	for i := range k {
		if rise := kernel.Dot(s.z.Row(i), s.z.Row(i)) / inverse.Data[i*k+i]; rise < least {
			least, at = rise, i
		}
	}
	for i := range k {
		s.gg.Data[at*k+i], s.gg.Data[i*k+at] = 0, 0
	}
	return nil
}
