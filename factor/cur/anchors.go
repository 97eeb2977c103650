package cur

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// How is a way to choose anchors.
type How string

// The ways.
const (
	Random   How = "random"
	Clusters How = "clusters" // of each of k clusters of columns the one nearest to its centre, the largest cluster first
	Pivoted  How = "pivoted"  // by QR with column pivoting, the most telling first
	Strong   How = "strong"   // by strong rank-revealing QR, bound 1.2
)

// Hows are all ways.
var Hows = []How{Random, Clusters, Pivoted, Strong}

// Options say how Choose works.
type Options struct {
	How  How
	Seed uint64 // of Random and Clusters, and of the columns that fill up Pivoted and Strong
}

// Choose chooses k columns of r [m, n]. Pivoted and Strong find no more than r has independent columns; the rest is drawn at random.
// Means of columns should be taken off before, see Centred: what all rows share tells nothing.
func Choose(ctx context.Context, r *factor.Matrix, k int, o Options) ([]int, error) {
	if k < 1 || k > r.Cols {
		return nil, fmt.Errorf("factor: cur: %w: got %d anchors of %d columns, want 1 to %d", factor.ErrShape, k, r.Cols, r.Cols)
	}
	var index []int
	switch o.How {
	case Random:
	case Clusters:
		found, err := medoids(ctx, r, k, o.Seed)
		if err != nil {
			return nil, err
		}
		index = found
	case Pivoted, Strong:
		var s *factor.Selection
		var err error
		if most := min(k, r.Rows); o.How == Pivoted {
			s, err = factor.PivotedQR(ctx, r, most, nil)
		} else {
			s, err = factor.StrongRRQR(ctx, r, most, 1.2, nil)
		}
		if err != nil {
			return nil, err
		}
		index = s.Index[:s.Rank]
	default:
		return nil, fmt.Errorf("factor: cur: %w: anchors by %q, want one of %v", factor.ErrShape, o.How, Hows)
	}
	return fill(index, r.Cols, k, o.Seed), nil
}

// fill draws further columns until there are k.
func fill(index []int, n, k int, seed uint64) []int {
	taken := make([]bool, n)
	for _, c := range index {
		taken[c] = true
	}
	var rest []int
	for c := range n {
		if !taken[c] {
			rest = append(rest, c)
		}
	}
	draws := rng.New(seed, "factor/cur/anchors", 0)
	for i := 0; len(index) < k; i++ {
		j := i + draws.Intn(len(rest)-i)
		rest[i], rest[j] = rest[j], rest[i]
		index = append(index, rest[i])
	}
	return index
}

// medoids are the columns nearest to the centres of k clusters of columns.
func medoids(ctx context.Context, r *factor.Matrix, k int, seed uint64) ([]int, error) {
	points := r.Transpose()
	c, err := factor.KMeans(ctx, points, factor.KMeansConfig{K: k, Seed: seed, Restarts: 1, Iterations: 25}, nil)
	if err != nil {
		return nil, err
	}
	nearest, least := make([]int, k), make([]float64, k)
	for g := range k {
		nearest[g], least[g] = -1, math.Inf(1)
	}
	gap := make([]float64, points.Cols)
	for i, g := range c.Of {
		copy(gap, points.Row(i))
		kernel.Axpy(-1, c.Centers.Row(g), gap)
		if d := kernel.SumSquares(gap); d < least[g] {
			nearest[g], least[g] = i, d
		}
	}
	order := make([]int, k)
	for g := range order {
		order[g] = g
	}
	slices.SortStableFunc(order, func(a, b int) int { return c.Sizes[b] - c.Sizes[a] })
	var index []int
	for _, g := range order {
		if nearest[g] >= 0 {
			index = append(index, nearest[g])
		}
	}
	return index, nil
}

// rms is the root of a mean square.
func rms(sum float64, n int) float64 { return math.Sqrt(sum / float64(n)) }
