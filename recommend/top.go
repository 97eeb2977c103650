package recommend

import (
	"cmp"
	"slices"
)

// Scored is an item and its score.
type Scored struct {
	Item  int32
	Score float32
}

// Top are the k items with the highest scores, the best first and of equal ones the first by number. skip are left out, which
// ascend; only, if not nil, says which items there are to choose from.
func Top(scores []float32, k int, skip []int32, only []bool) []Scored {
	best := make([]Scored, 0, k+1)
	var least Scored // of a full list, its last
	for i, x := range scores {
		if len(skip) > 0 && int(skip[0]) == i {
			skip = skip[1:]
			continue
		}
		if len(best) == k && !(x > least.Score) || only != nil && !only[i] || x != x {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, x, func(have Scored, x float32) int {
			if have.Score >= x {
				return -1
			}
			return 1
		})
		if best = slices.Insert(best, at, Scored{int32(i), x}); len(best) > k {
			best = best[:k]
		}
		if len(best) > 0 {
			least = best[len(best)-1]
		}
	}
	return best
}

// compare orders scored items, the best first and of equal ones the first by number.
func compare(a, b Scored) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Item, b.Item))
}
