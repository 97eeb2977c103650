package factor

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/kernel"
)

// GRule is how SemiNMF improves the coefficients for fixed features.
type GRule int

// The rules. Both lower the error or leave it.
const (
	// Coordinates takes coefficient after coefficient of a vector and gives each the value that is best for the others:
	// g_j = max(0, g_j + (a zᵀ - g Z Zᵀ)_j/||z_j||²), exact zeros included (hierarchical least squares, Cichocki et al. 2007).
	Coordinates GRule = iota
	// Multiplicative multiplies each by sqrt((P+ + G Q-)/(P- + G Q+)), P = A Zᵀ, Q = Z Zᵀ, with x± = (|x| ± x)/2 (Ding, Li and
	// Jordan 2010, equation 9). What is 0 stays 0.
	Multiplicative
)

// GStart is where the coefficients begin.
type GStart int

// The starts.
const (
	RandomStart GStart = iota // uniform in (0, 1)
	SVDStart                  // positive parts of the left singular vectors, each with the sign that has more of it
	KMeansStart               // 1 for the cluster of each vector, else 0
)

// SemiNMFConfig says how SemiNMF works.
type SemiNMFConfig struct {
	Features   int     // k, 1 to the number of vectors
	Keep       int     // entries of a feature that are not 0; 0: all
	Rule       GRule   // of the coefficients
	Start      GStart  // of the coefficients
	Iterations int     // at most; 0 means 200
	Tolerance  float64 // ends the work when patience iterations lower the best error by less than this share; 0 means 1e-5
	Patience   int     // 0 means 30
	Seed       uint64
}

// SemiNMFFactors are A ~ G Z. Features come by falling share of A: the sum of squares of their coefficients.
type SemiNMFFactors struct {
	Z *Matrix // [k, d], of unit norm; one that explains nothing may be 0
	G *Matrix // [n, k], none negative

	Error    float64   // ||A - G Z||/||A||
	Errors   []float64 // the same after each solution for Z, the start's first; the best is kept
	Left     []float64 // ||a_i - g_i z||² of each vector
	Restarts int       // features that began anew
	Best     int       // place in Errors
}

// SemiNMF writes vectors a_i, the rows of A [n, d], as combinations of few features, the rows of Z [k, d], whose entries may
// have any sign, with coefficients that may not be negative (Ding, Li and Jordan 2010):
//
//	min ||A - G Z||, G >= 0, each feature with at most Keep entries that are not 0.
//
// The last condition (winner take all, Shafran et al. 2025) is what makes features those that a sum was made of. An iteration
// improves G, solves for Z by least squares, (GᵀG) Z = GᵀA, and keeps of each feature the Keep largest entries, of equal ones the
// first. A feature whose coefficients are all but 0 begins anew at the vector with the largest error; with Keep so does, where the
// error has stalled, the feature that the others replace best, which two halves of one or a mixture of two are. Without Keep
// and but for dead features the error never rises; with it the best iteration is kept. At last the entries kept are solved for
// again, each column of Z among the features that own it, and G is that of [Encode].
//
// A is read once an iteration, in blocks; G, and sums over the vectors, are held in memory. Cost of an iteration: 2 n d k
// multiply-adds, and n k² for G.
func SemiNMF(ctx context.Context, a Rows, cfg SemiNMFConfig, progress Progress) (*SemiNMFFactors, error) {
	n, width, err := checkRows(semiNMF, a)
	if err == nil {
		err = cfg.check(n, width)
	}
	if err != nil {
		return nil, err
	}
	cfg.fill(width)
	s := &semi{cfg: cfg, a: a, n: n, width: width, j: &job{ctx: ctx, progress: progress, total: cfg.Iterations + 2}}
	if err := s.start(); err != nil {
		return nil, err
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	return s.result()
}

const semiNMF = "semi-nmf"

func (c SemiNMFConfig) check(n, width int) error {
	switch {
	case c.Features < 1 || c.Features > n:
		return fmt.Errorf("factor: %s: %w: got %d features of %d vectors, want 1 to %d", semiNMF, ErrShape, c.Features, n, n)
	case c.Keep < 0 || c.Keep > width:
		return fmt.Errorf("factor: %s: %w: got %d entries of a feature of %d, want 0 (all) to %d", semiNMF, ErrShape, c.Keep, width, width)
	case c.Iterations < 0 || c.Patience < 0 || !(c.Tolerance >= 0):
		return fmt.Errorf("factor: %s: %w: got %d iterations, patience %d and tolerance %g, want none negative", semiNMF, ErrShape, c.Iterations, c.Patience, c.Tolerance)
	case c.Rule < Coordinates || c.Rule > Multiplicative || c.Start < RandomStart || c.Start > KMeansStart:
		return fmt.Errorf("factor: %s: %w: got rule %d and start %d, which there are not", semiNMF, ErrShape, c.Rule, c.Start)
	case c.Start == SVDStart && c.Features > min(n, width):
		return fmt.Errorf("factor: %s: %w: got %d features by singular vectors, of which %d x %d has %d", semiNMF, ErrShape, c.Features, n, width, min(n, width))
	}
	return nil
}

// fill puts the defaults in.
func (c *SemiNMFConfig) fill(width int) {
	if c.Keep == 0 {
		c.Keep = width
	}
	if c.Iterations == 0 {
		c.Iterations = 200
	}
	if c.Patience == 0 {
		c.Patience = 3 * stall
	}
	if c.Tolerance == 0 {
		c.Tolerance = 1e-5
	}
}

// semi is a factorization under way.
type semi struct {
	cfg      SemiNMFConfig
	a        Rows
	n, width int
	j        *job

	z, g     *Matrix   // [k, d], [n, k]
	ga, gg   *Matrix   // GᵀA [k, d] and GᵀG [k, k]
	whole    float64   // their sum
	norms    []float64 // ||a_i||²
	left     []float64
	errors   []float64
	restarts int
	tried    int // place in errors of the last look for a feature to replace

	bestZ *Matrix
	best  int
}

// Constants of the search. Zeros leave the multiplicative rule alone, and coordinates settle within few sweeps.
const (
	sweeps       = 3    // over a vector's coefficients in an iteration
	stall        = 10   // iterations from one look for a feature to replace to the next
	stalled      = 0.01 // the share of the error by which they must have lowered it, else one is replaced
	patienceLeft = 2 * stall
)

// run iterates until the error settles.
func (s *semi) run() error {
	if err := s.sums(); err != nil {
		return err
	}
	for {
		if err := s.solve(); err != nil {
			return err
		}
		s.keep()
		done := len(s.errors) - 1
		if err := s.j.step(1); err != nil {
			return err
		}
		if done == s.cfg.Iterations || s.settled() {
			return nil
		}
		if err := s.improve(); err != nil {
			return err
		}
		if s.cfg.Keep < s.width && done-s.tried >= stall && s.cfg.Iterations-done > patienceLeft {
			if before := s.errors[s.tried]; before-slices.Min(s.errors[s.tried:]) < stalled*before {
				if err := s.replace(); err != nil {
					return err
				}
			}
			s.tried = done
		}
		if err := s.restart(); err != nil {
			return err
		}
	}
}

// result solves for the entries of the best features once more, and gives them unit norm and their best coefficients, the largest
// first.
func (s *semi) result() (*SemiNMFFactors, error) {
	k := s.cfg.Features
	z, err := s.refit()
	if err != nil {
		return nil, err
	}
	for i := range k {
		if norm := math.Sqrt(kernel.Dot(z.Row(i), z.Row(i))); norm > 0 {
			kernel.Scale(1/norm, z.Row(i))
		}
	}
	g, left, err := Encode(s.j.ctx, z, s.a, nil)
	if err != nil {
		return nil, err
	}
	share := make([]float64, k)
	for i := range s.n {
		for c, x := range g.Row(i) {
			share[c] += x * x
		}
	}
	f := &SemiNMFFactors{Z: NewMatrix(k, s.width), G: NewMatrix(s.n, k), Errors: s.errors, Left: left, Restarts: s.restarts, Best: s.best}
	for at, c := range descending(share) {
		copy(f.Z.Row(at), z.Row(c))
		for i := range s.n {
			f.G.Data[i*k+at] = g.Data[i*k+c]
		}
	}
	if s.whole > 0 {
		f.Error = math.Sqrt(kernel.Sum(left) / s.whole)
	}
	s.j.finish()
	return f, nil
}

// refit solves for the entries of the best features that are not 0, column by column.
func (s *semi) refit() (z *Matrix, err error) {
	z = s.bestZ
	if s.cfg.Keep == s.width {
		return z, nil
	}
	if s.g, _, err = Encode(s.j.ctx, z, s.a, nil); err != nil {
		return nil, err
	}
	if err := s.sums(); err != nil {
		return nil, err
	}
	kernel.Ranges(s.width, rowGrain, func(lo, hi int) {
		for c := lo; c < hi; c++ {
			s.column(z, c)
		}
	})
	return z, nil
}

// column solves column c of z among the features that own it.
func (s *semi) column(z *Matrix, c int) {
	k := s.cfg.Features
	var own []int
	for i := range k {
		if z.Data[i*s.width+c] != 0 {
			own = append(own, i)
		}
	}
	f := len(own)
	l, x := make([]float64, f*f), make([]float64, f)
	for a, i := range own {
		for b, j := range own {
			l[a*f+b] = s.gg.Data[i*k+j]
		}
		l[a*f+a] *= 1 + 1e-12
		x[a] = s.ga.Data[i*s.width+c]
	}
	if !cholesky(l, f) {
		return // the vectors do not tell these features apart: what is there stands
	}
	choleskySolve(l, f, x)
	for a, i := range own {
		z.Data[i*s.width+c] = x[a]
	}
}
