package extend

import (
	"context"
	"math"
	"slices"

	"sparrow/data/tokenizers"
	"sparrow/factor"
	"sparrow/kernel"
)

// share is an old token's part in a mixture.
type share struct {
	id     int
	weight float64
}

// similar finds for each of the wanted new tokens that has a vector the k old ones whose vectors are closest to it by cosine, with
// weights softmax(cosine / temperature).
func similar(ctx context.Context, old, fresh *meanings, pieces []tokenizers.Piece, wanted []int, dim, k int, temperature float64, told factor.Progress) (map[int][]share, error) {
	var ids []int
	var table []float32 // unit vectors of old pieces
	row := make([]float32, dim)
	for id, p := range pieces {
		if p.Defined && !p.Special && old.unit(id, row) {
			ids, table = append(ids, id), append(table, row...)
		}
	}
	mixtures := map[int][]share{}
	if len(ids) == 0 {
		return mixtures, nil
	}
	const block = 256
	asked, scores := make([]float32, 0, block*dim), make([]float32, block*len(ids))
	var names []int
	flush := func() {
		n := len(names)
		kernel.Gemm(false, true, n, len(ids), dim, 1, asked, dim, table, dim, 0, scores, len(ids))
		found := make([][]share, n)
		kernel.Ranges(n, 8, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				found[i] = closest(scores[i*len(ids):(i+1)*len(ids)], ids, k, temperature)
			}
		})
		for i, name := range names {
			mixtures[name] = found[i]
		}
		names, asked = names[:0], asked[:0]
	}
	for done, id := range wanted {
		if fresh.unit(id, row) {
			if names, asked = append(names, id), append(asked, row...); len(names) == block {
				flush()
			}
		}
		if done%block == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if told != nil {
				told(done, len(wanted))
			}
		}
	}
	flush()
	if told != nil {
		told(len(wanted), len(wanted))
	}
	return mixtures, nil
}

// closest are the k largest scores, the first of equal ones, with their weights.
func closest(scores []float32, ids []int, k int, temperature float64) []share {
	best := make([]int, 0, k+1) // places, the largest score first
	for i, s := range scores {
		if len(best) == k && s <= scores[best[k-1]] {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, s, func(have int, s float32) int {
			if scores[have] >= s {
				return -1
			}
			return 1
		})
		if best = slices.Insert(best, at, i); len(best) > k {
			best = best[:k]
		}
	}
	shares, sum := make([]share, len(best)), 0.0
	for i, place := range best {
		w := math.Exp(float64(scores[place]-scores[best[0]]) / temperature)
		shares[i], sum = share{ids[place], w}, sum+w
	}
	for i := range shares {
		shares[i].weight /= sum
	}
	return shares
}
