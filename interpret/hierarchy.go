package interpret

import (
	"cmp"
	"context"
	"slices"

	"sparrow/factor"
	"sparrow/task"
)

// Level are features of the features below: Z_below ~ G Z, of which each is a combination.
type Level struct {
	Features int     `json:"features"`
	Error    float64 `json:"error"`
	Edges    []Edge  `json:"edges"` // from below, by the feature below
}

// Edge says that a feature below has some of one above.
type Edge struct {
	Below  int     `json:"below"`
	Above  int     `json:"above"`
	Weight float64 `json:"weight"` // coefficient over the largest of the feature above
}

// leastEdge is the weight below which an edge is none.
const leastEdge = 0.3

// Hierarchy factorizes the features of each snmf set again, by fewer and fewer, and writes the folder with the trees.
func (f *Folder) Hierarchy(ctx context.Context, sizes []int) error {
	for _, s := range f.Sets {
		if s.Method != SNMF {
			continue
		}
		tree, err := s.tree(ctx, sizes, f.Config.Interpret)
		if err != nil {
			return err
		}
		s.Tree = tree
	}
	return f.rewrite()
}

// tree is the hierarchy above a set.
func (s *Set) tree(ctx context.Context, sizes []int, cfg Settings) (levels []Level, err error) {
	below := s.Z
	for _, k := range sizes {
		if k < 1 || k >= below.Rows {
			return nil, task.Refusef("a level of %d features above %d of layer %d; want fewer on each level, and 1 at least", k, below.Rows, s.Layer)
		}
		// A feature of features has the entries of those below it, as many as there are on the mean.
		keep := min(below.Cols, (cfg.keep(below.Cols)*s.Z.Rows+k-1)/k)
		nmf, err := factor.SemiNMF(ctx, below, factor.SemiNMFConfig{Features: k, Keep: keep, Iterations: cfg.Iterations, Start: factor.KMeansStart, Seed: cfg.Seed}, nil)
		if err != nil {
			return nil, err
		}
		level := Level{Features: k, Error: nmf.Error}
		most := make([]float64, k)
		for i := range nmf.G.Rows {
			for c, x := range nmf.G.Row(i) {
				most[c] = max(most[c], x)
			}
		}
		for i := range nmf.G.Rows {
			for c, x := range nmf.G.Row(i) {
				if x > 0 && x >= leastEdge*most[c] {
					level.Edges = append(level.Edges, Edge{i, c, rounded(x / most[c])})
				}
			}
		}
		levels, below = append(levels, level), nmf.Z
	}
	return levels, nil
}

// Children are the features below each of a level, the one with the largest weight first.
func (l Level) Children() [][]Edge {
	all := make([][]Edge, l.Features)
	for _, e := range l.Edges {
		all[e.Above] = append(all[e.Above], e)
	}
	for _, c := range all {
		slices.SortStableFunc(c, func(a, b Edge) int { return cmp.Compare(b.Weight, a.Weight) })
	}
	return all
}
