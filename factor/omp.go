package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// Codes are the sparse coefficients of vectors in a dictionary: vector i is the sum over t of
// Values[i*Nonzeros+t] times atom Index[i*Nonzeros+t]. Every vector has exactly Nonzeros distinct atoms, ascending; a
// coefficient may be 0.
type Codes struct {
	Vectors, Nonzeros int
	Index             []int32
	Values            []float64
}

// newCodes returns codes without atoms.
func newCodes(vectors, nonzeros int) *Codes {
	return &Codes{Vectors: vectors, Nonzeros: nonzeros, Index: make([]int32, vectors*nonzeros), Values: make([]float64, vectors*nonzeros)}
}

// row returns the atoms and coefficients of vector i.
func (c *Codes) row(i int) ([]int32, []float64) {
	lo, hi := i*c.Nonzeros, (i+1)*c.Nonzeros
	return c.Index[lo:hi], c.Values[lo:hi]
}

// Product returns the vectors that the codes stand for, [Vectors, b] for a dictionary [K, b].
func (c *Codes) Product(dictionary *Matrix) *Matrix {
	m := NewMatrix(c.Vectors, dictionary.Cols)
	kernel.Ranges(c.Vectors, codeGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			index, values := c.row(i)
			for t, k := range index {
				kernel.Axpy(values[t], dictionary.Row(int(k)), m.Row(i))
			}
		}
	})
	return m
}

// codeGrain is how many vectors a task codes, codeBatch how many between two looks at the context.
const (
	codeGrain = 64
	codeBatch = 4096
)

// OMP codes each row of x [n, b] with `nonzeros` atoms of a dictionary [K, b] by orthogonal matching pursuit: take the
// atom with the largest correlation to what is left, refit all coefficients by least squares, repeat.
//
// This is batch OMP (Rubinstein, Zibulevsky and Elad 2008, algorithm 3): correlations with the residual come from the Gram
// matrix of the atoms, and its Cholesky factor grows by a row an atom. An atom that depends on those already taken is
// passed over; when nothing is left to explain, atoms with coefficient 0 fill up.
//
// Atoms must have unit norm or be zero: a dictionary that breaks this is ErrShape. So is nonzeros outside 1 to K.
//
// Cost for each vector: K b for the correlations and K s²/2 for their updates, in multiply-adds.
func OMP(ctx context.Context, x, dictionary *Matrix, nonzeros int, progress Progress) (*Codes, error) {
	if err := x.check("omp"); err != nil {
		return nil, err
	}
	if err := checkDictionary("omp", x, dictionary, nonzeros); err != nil {
		return nil, err
	}
	c := newCodes(x.Rows, nonzeros)
	j := &job{ctx: ctx, progress: progress, total: x.Rows}
	scaled, exponent := x, 0
	if largest := x.maxAbs(); largest > 0 {
		exponent = exponentOf(largest)
		scaled = x.Clone()
		scaled.scaleExp(-exponent)
	}
	if err := code(j, scaled, dictionary, c); err != nil {
		return nil, err
	}
	c.scaleExp(exponent)
	return c, nil
}

// scaleExp multiplies every coefficient by 2^e.
func (c *Codes) scaleExp(e int) { (&Matrix{c.Vectors, c.Nonzeros, c.Values}).scaleExp(e) }

// checkDictionary says whether a dictionary and an occupancy fit the vectors.
func checkDictionary(where string, x, dictionary *Matrix, nonzeros int) error {
	if err := dictionary.check(where); err != nil {
		return fmt.Errorf("%w (the dictionary)", err)
	}
	if dictionary.Cols != x.Cols {
		return fmt.Errorf("factor: %s: %w: atoms of width %d for vectors of width %d", where, ErrShape, dictionary.Cols, x.Cols)
	}
	if nonzeros < 1 || nonzeros > dictionary.Rows {
		return fmt.Errorf("factor: %s: %w: got %d nonzeros for %d atoms, want 1 to %d", where, ErrShape, nonzeros, dictionary.Rows, dictionary.Rows)
	}
	const slack = 1e-6 // a dictionary that was stored in float32
	for k := range dictionary.Rows {
		norm := kernel.Dot(dictionary.Row(k), dictionary.Row(k))
		if norm != 0 && math.Abs(norm-1) > slack {
			return fmt.Errorf("factor: %s: %w: atom %d has norm %g, want 1", where, ErrShape, k, math.Sqrt(norm))
		}
	}
	return nil
}

// code is OMP on checked input.
func code(j *job, x, dictionary *Matrix, c *Codes) error {
	atoms := dictionary.Rows
	g, err := gram(j, dictionary.Data, atoms, dictionary.Cols)
	if err != nil {
		return err
	}
	for lo := 0; lo < x.Rows; lo += codeBatch {
		hi := min(lo+codeBatch, x.Rows)
		kernel.Ranges(hi-lo, codeGrain, func(from, to int) {
			p := newPursuit(g, atoms, c.Nonzeros)
			correlations := make([]float64, (to-from)*atoms)
			kernel.GemmSerial(false, true, to-from, atoms, x.Cols, 1, x.Data[(lo+from)*x.Cols:], x.Cols, dictionary.Data, x.Cols, 0, correlations, atoms)
			for i := from; i < to; i++ {
				index, values := c.row(lo + i)
				p.run(correlations[(i-from)*atoms:(i-from+1)*atoms], index, values)
			}
		})
		if err := j.step(hi - lo); err != nil {
			return err
		}
	}
	return nil
}

// pursuit is the workspace of one vector after the other.
type pursuit struct {
	atoms  int
	gram   []float64 // [K, K]
	now    []float64 // [K], correlations with the residual
	l      []float64 // [s, s], Cholesky factor of the chosen atoms' Gram matrix
	w, c   []float64 // [s]
	chosen []int32
	closed []bool // [K], chosen or dependent
	each   func() // is called with each atom more, when chosen and c are those of the code so far; may be nil
}

func newPursuit(gram []float64, atoms, s int) *pursuit {
	return &pursuit{atoms: atoms, gram: gram, now: make([]float64, atoms), l: make([]float64, s*s), w: make([]float64, s),
		c: make([]float64, s), chosen: make([]int32, 0, s), closed: make([]bool, atoms)}
}

// run codes the vector whose correlations with the atoms are given.
func (p *pursuit) run(correlations []float64, index []int32, values []float64) {
	const dependent = 1e-10 // squared distance of an atom from the span of the chosen ones
	const explained = 4 * epsilon
	s := len(index)
	copy(p.now, correlations)
	clear(p.closed)
	p.chosen = p.chosen[:0]
	first := 0.0
	for len(p.chosen) < s {
		best, largest := -1, explained*first
		for k, v := range p.now {
			if a := math.Abs(v); a > largest && !p.closed[k] {
				best, largest = k, a
			}
		}
		if best < 0 {
			break
		}
		first = max(first, largest)
		p.closed[best] = true
		n := len(p.chosen)
		w := p.w[:n]
		for t, k := range p.chosen {
			w[t] = p.gram[best*p.atoms+int(k)]
		}
		for t := range w { // L w = the new atom's products with the chosen ones
			for u := range t {
				w[t] -= p.l[t*s+u] * w[u]
			}
			w[t] /= p.l[t*s+t]
		}
		rest := p.gram[best*p.atoms+best]
		for t, v := range w {
			rest -= v * v
			p.l[n*s+t] = v
		}
		if rest <= dependent {
			continue
		}
		p.l[n*s+n] = math.Sqrt(rest)
		p.chosen = append(p.chosen, int32(best))
		p.solve(correlations, s)
		if p.each != nil {
			p.each()
		}
		if n+1 < s {
			copy(p.now, correlations)
			for t, k := range p.chosen {
				kernel.Axpy(-p.c[t], p.gram[int(k)*p.atoms:(int(k)+1)*p.atoms], p.now)
			}
		}
	}
	p.write(index, values)
}

// solve sets c to the least-squares coefficients of the chosen atoms.
func (p *pursuit) solve(correlations []float64, s int) {
	n := len(p.chosen)
	c := p.c[:n]
	for t, k := range p.chosen {
		c[t] = correlations[k]
		for u := range t {
			c[t] -= p.l[t*s+u] * c[u]
		}
		c[t] /= p.l[t*s+t]
	}
	for t := n - 1; t >= 0; t-- {
		for u := t + 1; u < n; u++ {
			c[t] -= p.l[u*s+t] * c[u]
		}
		c[t] /= p.l[t*s+t]
	}
}

// write stores the code in ascending order of atoms, filled up with atoms that are not used.
func (p *pursuit) write(index []int32, values []float64) {
	n := len(p.chosen)
	copy(index, p.chosen)
	copy(values, p.c[:n])
	if n < len(index) {
		clear(p.closed)
		for _, k := range p.chosen {
			p.closed[k] = true
		}
		for k := 0; n < len(index); k++ {
			if !p.closed[k] {
				index[n], values[n] = int32(k), 0
				n++
			}
		}
	}
	for i := 1; i < len(index); i++ { // a few elements
		for k := i; k > 0 && index[k] < index[k-1]; k-- {
			index[k], index[k-1] = index[k-1], index[k]
			values[k], values[k-1] = values[k-1], values[k]
		}
	}
}
