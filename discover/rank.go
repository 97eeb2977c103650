package discover

import (
	"context"
	"math"

	"sparrow/factor"
	"sparrow/internal/rng"
)

// permutations is how often domains are permuted for what chance alone gives.
const permutations = 20

// Rank is how many classes counts show: one more than the singular values of their standardised residuals
//
//	(H - E) / sqrt(E),  E = (row sum) (column sum) / total,
//
// that are above the largest one that the same examples with permuted domains have, in any of 20 permutations. Mixing classes makes
// no direction of its own, however many cells there are.
type Rank struct {
	Classes  int
	Spectrum []float64 // singular values, falling
	Chance   float64   // largest under permuted domains

	// Sure tells whether the nearest singular values are clear of chance and there is room for more classes than were found.
	Sure bool
	Full bool // every direction is used: there may be more classes than can show with so few domains
}

// clearly is by how much the last singular value that counts must exceed chance, and the next one fall short, for a sure number.
const clearly = 1.1

// rankOf measures counts [m, r]; permuted gives counts under permuted domains.
func rankOf(ctx context.Context, counts *factor.Matrix, permuted func(n int) *factor.Matrix) (*Rank, error) {
	spectrum, err := residualSpectrum(ctx, counts)
	if err != nil {
		return nil, err
	}
	k := &Rank{Classes: 1, Spectrum: spectrum}
	for n := range permutations {
		s, err := residualSpectrum(ctx, permuted(n))
		if err != nil {
			return nil, err
		}
		k.Chance = math.Max(k.Chance, s[0])
	}
	for _, s := range spectrum {
		if s > k.Chance {
			k.Classes++
		}
	}
	room := min(counts.Rows, counts.Cols) // residuals have rank one less: k classes need k - 1 directions
	k.Full = k.Classes >= room
	k.Sure = !k.Full
	if i := k.Classes - 2; i >= 0 && spectrum[i] < clearly*k.Chance {
		k.Sure = false
	}
	if i := k.Classes - 1; i < len(spectrum) && spectrum[i]*clearly > k.Chance {
		k.Sure = false
	}
	return k, nil
}

// residualSpectrum are the singular values of the standardised residuals, without those of empty rows and columns.
func residualSpectrum(ctx context.Context, counts *factor.Matrix) ([]float64, error) {
	rows, cols, total := make([]float64, counts.Rows), make([]float64, counts.Cols), 0.0
	for i := range counts.Rows {
		for d, v := range counts.Row(i) {
			rows[i] += v
			cols[d] += v
			total += v
		}
	}
	x := factor.NewMatrix(counts.Rows, counts.Cols)
	for i := range x.Rows {
		for d, v := range counts.Row(i) {
			if e := rows[i] * cols[d] / total; e > 0 {
				x.Row(i)[d] = (v - e) / math.Sqrt(e)
			}
		}
	}
	if x.Rows < x.Cols {
		x = x.Transpose()
	}
	s, err := factor.ThinSVD(ctx, x, nil)
	if err != nil {
		return nil, err
	}
	return s.S, nil
}

// permutedCounts draws counts of the examples' cells with permuted domains.
func permutedCounts(cell, domain []int, m, r int, seed uint64) func(int) *factor.Matrix {
	return func(n int) *factor.Matrix {
		return tally(cell, shuffled(domain, rng.New(seed, "discover/permuted", uint64(n)<<40)), m, r)
	}
}
