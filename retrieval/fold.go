package retrieval

import (
	"cmp"
	"context"
	"math"
	"slices"

	"sparrow/factor"
	"sparrow/factor/cur"
	"sparrow/kernel"
)

// fold predicts scores over vectors of items that some encoder made, from the scores seen so far (AXN, Yadav et al. 2024): a query
// vector e is fitted by ridge regression,
//
//	argmin  Σ over items seen (s_i - b - g q.v_i - e.v_i)² + lambda |e|²
//
// where q is the encoder's vector of the query, so that e is what the scorer wants otherwise. b and g are all but free.
type fold struct {
	query   []float64
	vectors *factor.Matrix // [n, d]
	cosines []float64
	factor  *cur.Cholesky
	right   []float64
}

// free is by how much the features of b and g are enlarged: their ridge is that of e over its square.
const free = 30

func newFold(query []float64, vectors *factor.Matrix, lambda float64) *fold {
	f := &fold{query: query, vectors: vectors, cosines: make([]float64, vectors.Rows), factor: cur.Scaled(vectors.Cols+2, lambda), right: make([]float64, vectors.Cols+2)}
	kernel.Gemm(false, true, 1, vectors.Rows, vectors.Cols, 1, query, vectors.Cols, vectors.Data, vectors.Cols, 0, f.cosines, vectors.Rows)
	return f
}

func (f *fold) See(item int, score float64) error {
	x := append([]float64{free, free * f.cosines[item]}, f.vectors.Row(item)...)
	kernel.Axpy(score, x, f.right)
	f.factor.Update(x)
	return nil
}

func (f *fold) Predict(out []float64) {
	w := slices.Clone(f.right)
	f.factor.Solve(w)
	kernel.Gemm(false, true, 1, f.vectors.Rows, f.vectors.Cols, 1, w[2:], f.vectors.Cols, f.vectors.Data, f.vectors.Cols, 0, out, f.vectors.Rows)
	for i := range out {
		out[i] += free*w[0] + free*w[1]*f.cosines[i]
	}
}

// foldRidges are those that the ridge of a fold is chosen from; vectors have length 1.
var foldRidges = []float64{1e-3, 1e-2, 0.1, 0.3, 1, 3, 10, 100}

// chooseFold is the ridge with the least error on anchor queries, whose scores are all known: the 50 items nearest by the vectors are
// seen, those of the next 200 predicted.
func chooseFold(ctx context.Context, queries [][]float32, scores, vectors *factor.Matrix) (float64, error) {
	const most, seen, asked = 32, 50, 200
	sums := make([]float64, len(foldRidges))
	for i := range min(most, len(queries)) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		at := i * len(queries) / min(most, len(queries))
		q := wide(queries[at])
		order := descending(newFold(q, vectors, 1).cosines)
		known := min(seen, len(order)/2)
		out := make([]float64, vectors.Rows)
		for l, lambda := range foldRidges {
			f := newFold(q, vectors, lambda)
			for _, item := range order[:known] {
				if err := f.See(item, scores.Row(at)[item]); err != nil {
					return 0, err
				}
			}
			f.Predict(out)
			for _, item := range order[known:min(known+asked, len(order))] {
				sums[l] += (out[item] - scores.Row(at)[item]) * (out[item] - scores.Row(at)[item])
			}
		}
	}
	best := 0
	for i, s := range sums {
		if s < sums[best] {
			best = i
		}
	}
	return foldRidges[best], nil
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// descending are the places of x by falling value; equal ones keep their order.
func descending(x []float64) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(x[b], x[a]) })
	return order
}

// roots are those of squares that rounding may leave below 0.
func roots(squares []float64) []float64 {
	out := make([]float64, len(squares))
	for i, v := range squares {
		out[i] = math.Sqrt(max(v, 0))
	}
	return out
}
