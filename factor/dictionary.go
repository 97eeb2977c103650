package factor

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// Update is a rule that improves a dictionary for fixed supports.
type Update int

// The rules: both lower the error or leave it, and give atoms unit norm.
const (
	// MOD solves for all atoms at once, (CᵀC) D = Cᵀ X (method of optimal directions, Engan et al. 1999).
	MOD Update = iota
	// KSVD takes atom after atom and does one power step on what the others leave of its users: the atom, then its
	// coefficients (approximate K-SVD, Rubinstein et al. 2008, algorithm 5).
	KSVD
)

// LearnConfig says how LearnDictionary works.
type LearnConfig struct {
	Atoms    int // K, 1 or more; may exceed the width
	Nonzeros int // s, 1 to Atoms
	Sweeps   int // of coding and update, before the last coding; 0 only codes
	Update   Update
	// MinUsers is the number of vectors below which an atom is replaced by the vector that is coded worst; 0 means 2.
	MinUsers int
	Seed     uint64 // of the vectors that the first atoms are
}

// Coding is a dictionary with vectors coded in it.
type Coding struct {
	Dictionary *Matrix // [K, b], rows of unit norm
	Codes      *Codes
	Error      float64   // ||X - C D||_F
	Errors     []float64 // the same after each coding; the best is kept
	Reseeded   int       // atoms replaced on the way
}

// LearnDictionary looks for atoms D [K, b] in which each row of x [n, b] is a sum of s: min ||X - C D||_F with s nonzeros
// in each row of C. Sweeps alternate orthogonal matching pursuit and an update of the atoms. A vector's old code stays
// where the new one is worse. The result is the best coding met.
//
// A warm start continues from an earlier coding of similar vectors (equal K and b; its codes are used if they fit x), as a
// factorizer does that follows weights in training. Without one the first atoms are random rows of x.
func LearnDictionary(ctx context.Context, x *Matrix, cfg LearnConfig, warm *Coding, progress Progress) (*Coding, error) {
	const where = "dictionary"
	if err := x.check(where); err != nil {
		return nil, err
	}
	if err := cfg.check(where); err != nil {
		return nil, err
	}
	l := &learner{cfg: cfg, exponent: 0, j: &job{ctx: ctx, progress: progress, total: (cfg.Sweeps + 1) * x.Rows}}
	l.x = x.Clone()
	l.exponent = normalise(l.x)
	l.groups = []*Codes{newCodes(x.Rows, cfg.Nonzeros)}
	var codes []*Codes
	if warm != nil {
		if err := cfg.checkWarm(where, x, warm.Dictionary); err != nil {
			return nil, err
		}
		l.dictionary = warm.Dictionary.Clone()
		if warm.Codes != nil {
			codes = []*Codes{warm.Codes}
		}
	}
	if err := l.learn(codes); err != nil {
		return nil, err
	}
	return &Coding{Dictionary: l.dictionary, Codes: l.groups[0], Error: l.error, Errors: l.errors, Reseeded: l.reseeded}, nil
}

func (c LearnConfig) check(where string) error {
	switch {
	case c.Atoms < 1:
		return fmt.Errorf("factor: %s: %w: got %d atoms, want 1 or more", where, ErrShape, c.Atoms)
	case c.Nonzeros < 1 || c.Nonzeros > c.Atoms:
		return fmt.Errorf("factor: %s: %w: got %d nonzeros for %d atoms, want 1 to %d", where, ErrShape, c.Nonzeros, c.Atoms, c.Atoms)
	case c.Sweeps < 0 || c.MinUsers < 0:
		return fmt.Errorf("factor: %s: %w: got %d sweeps and at least %d users, want neither negative", where, ErrShape, c.Sweeps, c.MinUsers)
	case c.Update != MOD && c.Update != KSVD:
		return fmt.Errorf("factor: %s: %w: got update %d, want MOD or KSVD", where, ErrShape, c.Update)
	}
	return nil
}

func (c LearnConfig) checkWarm(where string, x, dictionary *Matrix) error {
	if dictionary == nil || dictionary.Rows != c.Atoms {
		return fmt.Errorf("factor: %s: %w: the warm start's dictionary is not one of %d atoms", where, ErrShape, c.Atoms)
	}
	return checkDictionary(where, x, dictionary, c.Nonzeros)
}

// learner learns one dictionary for groups of equally many vectors, stacked in x; a group has its own number of nonzeros.
type learner struct {
	j          *job
	cfg        LearnConfig
	x          *Matrix // scaled by 2^-exponent
	exponent   int
	dictionary *Matrix
	groups     []*Codes
	error      float64
	errors     []float64
	reseeded   int
}

// group returns the vectors of a group.
func (l *learner) group(g int) *Matrix {
	n := l.groups[g].Vectors
	return &Matrix{n, l.x.Cols, l.x.Data[g*n*l.x.Cols : (g+1)*n*l.x.Cols]}
}

// learn runs all sweeps; warm codes are used if they fit.
func (l *learner) learn(warm []*Codes) error {
	if l.dictionary == nil {
		l.dictionary = l.start()
	}
	has := l.adopt(warm)
	best, bestGroups, bestError := l.dictionary.Clone(), []*Codes(nil), math.Inf(1)
	keep := func(now float64) {
		l.errors = append(l.errors, math.Ldexp(now, l.exponent))
		if now < bestError || bestGroups == nil {
			bestError = now
			copy(best.Data, l.dictionary.Data)
			bestGroups = make([]*Codes, len(l.groups))
			for g, c := range l.groups {
				bestGroups[g] = &Codes{c.Vectors, c.Nonzeros, slices.Clone(c.Index), slices.Clone(c.Values)}
			}
		}
	}
	for sweep := 0; ; sweep++ {
		now, err := l.code(has)
		if err != nil {
			return err
		}
		has = true
		keep(now)
		if sweep == l.cfg.Sweeps {
			break
		}
		if err := l.update(); err != nil {
			return err
		}
	}
	l.dictionary, l.groups, l.error = best, bestGroups, math.Ldexp(bestError, l.exponent)
	for _, c := range l.groups {
		c.scaleExp(l.exponent)
	}
	l.j.finish()
	return nil
}

// start returns distinct random rows of x, normalised; random directions where they run out.
func (l *learner) start() *Matrix {
	d := NewMatrix(l.cfg.Atoms, l.x.Cols)
	r := rng.New(l.cfg.Seed, "factor/dictionary", 0)
	order := make([]int, l.x.Rows)
	for i := range order {
		order[i] = i
	}
	next := 0
	for k := range d.Rows {
		for ; next < len(order); next++ { // Fisher and Yates, as far as needed
			at := next + r.Intn(len(order)-next)
			order[next], order[at] = order[at], order[next]
			if unitRow(d.Row(k), l.x.Row(order[next])) {
				next++
				break
			}
		}
		for kernel.Dot(d.Row(k), d.Row(k)) == 0 {
			rng.FillNormal(r, d.Row(k), 0, 1)
			unitRow(d.Row(k), d.Row(k))
		}
	}
	return d
}

// unitRow sets dst to src/||src|| and says whether src is not zero.
func unitRow(dst, src []float64) bool {
	largest := 0.0
	for _, v := range src {
		largest = max(largest, math.Abs(v))
	}
	if largest == 0 {
		return false
	}
	for i, v := range src {
		dst[i] = v / largest
	}
	kernel.Scale(1/math.Sqrt(kernel.Dot(dst, dst)), dst)
	return true
}

// adopt takes over codes that have the right shape and valid atoms.
func (l *learner) adopt(warm []*Codes) bool {
	if len(warm) != len(l.groups) {
		return false
	}
	for g, c := range warm {
		want := l.groups[g]
		if c == nil || c.Vectors != want.Vectors || c.Nonzeros != want.Nonzeros || len(c.Index) != len(want.Index) || len(c.Values) != len(want.Values) {
			return false
		}
		for i, k := range c.Index {
			if k < 0 || int(k) >= l.cfg.Atoms || i%c.Nonzeros > 0 && k <= c.Index[i-1] || c.Values[i]-c.Values[i] != 0 {
				return false
			}
		}
	}
	for g, c := range warm {
		copy(l.groups[g].Index, c.Index)
		copy(l.groups[g].Values, c.Values)
		l.groups[g].scaleExp(-l.exponent)
	}
	return true
}

// code codes all vectors anew and returns the error; where there is an old code that is better, it stays.
func (l *learner) code(hasOld bool) (float64, error) {
	sum := 0.0
	for g, old := range l.groups {
		x := l.group(g)
		fresh := newCodes(old.Vectors, old.Nonzeros)
		if err := code(l.j, x, l.dictionary, fresh); err != nil {
			return 0, err
		}
		rest := l.rowErrors(x, fresh)
		if hasOld {
			for i, before := range l.rowErrors(x, old) {
				if before < rest[i] {
					rest[i] = before
					index, values := fresh.row(i)
					oldIndex, oldValues := old.row(i)
					copy(index, oldIndex)
					copy(values, oldValues)
				}
			}
		}
		l.groups[g] = fresh
		sum += kernel.Sum(rest)
	}
	return math.Sqrt(sum), nil
}

// rowErrors returns the squared error of each vector.
func (l *learner) rowErrors(x *Matrix, c *Codes) []float64 {
	p := c.Product(l.dictionary)
	rest := make([]float64, x.Rows)
	kernel.Ranges(x.Rows, codeGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := p.Row(i)
			kernel.Axpy(-1, x.Row(i), row)
			rest[i] = kernel.Dot(row, row)
		}
	})
	return rest
}
