package recommend

import (
	"math"

	"sparrow/kernel"
)

// Similar finds, for the items from lo to hi, the n.K items that are most similar: with n_i the users of an item, and those of both,
//
//	sim(i, j) = n_ij / (sqrt(n_i n_j) + shrink)
//
// the cosine of the columns of X, less where few users say so (Sarwar et al. 2001; the shrinkage as in Bell and Koren 2007). users is
// X transposed. It returns the mean of 1 - the similarity of the nearest. n.Nearest and n.Similar are filled.
func (n Neighbours) Find(x, users Sets, shrink float64, lo, hi int) float64 {
	apart := make([]float64, hi-lo)
	kernel.Ranges(hi-lo, rowGrain, func(from, to int) {
		both := make([]float32, n.N)
		for at := from; at < to; at++ {
			i := lo + at
			clear(both)
			for _, u := range users.Row(i) {
				for _, j := range x.Row(int(u)) {
					both[j]++
				}
			}
			own := float64(len(users.Row(i)))
			for j, c := range both {
				if c == 0 || j == i {
					both[j] = 0
					continue
				}
				both[j] = float32(float64(c) / (math.Sqrt(own*float64(len(users.Row(j)))) + shrink))
			}
			top := Top(both, n.K, nil, nil)
			for k := range n.K {
				to := i*n.K + k
				if n.Nearest[to], n.Similar[to] = -1, 0; k < len(top) && top[k].Score > 0 {
					n.Nearest[to], n.Similar[to] = top[k].Item, top[k].Score
				}
			}
			apart[at] = 1 - float64(n.Similar[i*n.K])
		}
	})
	var sum float64
	for _, a := range apart {
		sum += a
	}
	return sum / float64(max(len(apart), 1))
}
