package factor

import (
	"context"
	"fmt"
	"math"

	"sparrow/kernel"
)

// OMPErrors returns what OMP with 0, 1, ... up to `nonzeros` atoms leaves of x [n, b], under weights of its rows and columns:
//
//	errors[s] = sum_ij rows_i cols_j (x - C_s D)_ij²
//
// One pursuit tells them all: the atoms of a code with s are the first s of one with more, with other coefficients. nil
// weights are all 1. Weights that do not fit x are ErrShape, negative or infinite ones ErrWeight; else errors are as OMP's.
func OMPErrors(ctx context.Context, x, dictionary *Matrix, nonzeros int, rows, cols []float64, progress Progress) ([]float64, error) {
	const where = "omp errors"
	if err := x.check(where); err != nil {
		return nil, err
	}
	if err := checkDictionary(where, x, dictionary, nonzeros); err != nil {
		return nil, err
	}
	if err := checkErrorWeights(where, "row", rows, x.Rows); err != nil {
		return nil, err
	}
	if err := checkErrorWeights(where, "column", cols, x.Cols); err != nil {
		return nil, err
	}
	scaled := x.Clone()
	exponent := normalise(scaled)
	j := &job{ctx: ctx, progress: progress, total: x.Rows}
	g, err := gram(j, dictionary.Data, dictionary.Rows, dictionary.Cols)
	if err != nil {
		return nil, err
	}
	parts := NewMatrix((x.Rows+codeGrain-1)/codeGrain, nonzeros+1) // a row a task, added in order
	for lo := 0; lo < x.Rows; lo += codeBatch {
		hi := min(lo+codeBatch, x.Rows)
		kernel.Ranges(hi-lo, codeGrain, func(from, to int) {
			part := &Matrix{to - from, x.Cols, scaled.Data[(lo+from)*x.Cols : (lo+to)*x.Cols]}
			var weights []float64
			if rows != nil {
				weights = rows[lo+from : lo+to]
			}
			ompErrors(part, dictionary, g, weights, cols, parts.Row((lo+from)/codeGrain))
		})
		if err := j.step(hi - lo); err != nil {
			return nil, err
		}
	}
	errors := make([]float64, nonzeros+1)
	for i := range parts.Rows {
		kernel.Add(errors, errors, parts.Row(i))
	}
	for s := range errors {
		errors[s] = math.Ldexp(errors[s], 2*exponent)
	}
	j.finish()
	return errors, nil
}

func checkErrorWeights(where, side string, w []float64, want int) error {
	if w == nil {
		return nil
	}
	if len(w) != want {
		return fmt.Errorf("factor: %s: %w: got %d %s weights for %d", where, ErrShape, len(w), side, want)
	}
	for i, v := range w {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("factor: %s: %w: %s weight %d is %v, want a number of 0 or more", where, ErrWeight, side, i, v)
		}
	}
	return nil
}

// ompErrors adds those of a few vectors to sums [s + 1].
func ompErrors(x, dictionary *Matrix, gram, rows, cols, sums []float64) {
	atoms, s := dictionary.Rows, len(sums)-1
	correlations := make([]float64, x.Rows*atoms)
	kernel.GemmSerial(false, true, x.Rows, atoms, x.Cols, 1, x.Data, x.Cols, dictionary.Data, x.Cols, 0, correlations, atoms)
	p, index, values := newPursuit(gram, atoms, s), make([]int32, s), make([]float64, s)
	rest := make([]float64, x.Cols)
	for i := range x.Rows {
		last := 0.0
		add := func() {
			copy(rest, x.Row(i))
			for t, k := range p.chosen {
				kernel.Axpy(-p.c[t], dictionary.Row(int(k)), rest)
			}
			last = 0
			for c, v := range rest {
				if cols != nil {
					last += cols[c] * v * v
				} else {
					last += v * v
				}
			}
			if rows != nil {
				last *= rows[i]
			}
			sums[len(p.chosen)] += last
		}
		p.chosen, p.each = p.chosen[:0], add
		add()
		p.run(correlations[i*atoms:(i+1)*atoms], index, values)
		for n := len(p.chosen) + 1; n <= s; n++ { // nothing was left to explain
			sums[n] += last
		}
	}
}
