package recommend

import (
	"slices"

	"sparrow/kernel"
)

// Sets are rows of items, a matrix of zeros and ones: row u has ones at Items[Start[u]:Start[u+1]], which ascend.
type Sets struct {
	Start   []int
	Items   []int32
	Columns int // number of items
}

// Rows is the number of rows.
func (s Sets) Rows() int { return len(s.Start) - 1 }

// Row has the items of row u.
func (s Sets) Row(u int) []int32 { return s.Items[s.Start[u]:s.Start[u+1]] }

// Has tells whether row u has the item.
func (s Sets) Has(u int, item int32) bool {
	_, has := slices.BinarySearch(s.Row(u), item)
	return has
}

// Transpose has the users of each item.
func (s Sets) Transpose() Sets {
	t := Sets{Start: make([]int, s.Columns+1), Items: make([]int32, len(s.Items)), Columns: s.Rows()}
	for _, i := range s.Items {
		t.Start[i+1]++
	}
	for i := range s.Columns {
		t.Start[i+1] += t.Start[i]
	}
	next := slices.Clone(t.Start)
	for u := range s.Rows() {
		for _, i := range s.Row(u) {
			t.Items[next[i]] = int32(u)
			next[i]++
		}
	}
	return t
}

// rowGrain is how many rows one piece of parallel work has.
const rowGrain = 64

// times computes y = X w for w [Columns, d], row-major -> [Rows, d].
func times[T kernel.Float](y []T, s Sets, w []T, d int) {
	kernel.Ranges(s.Rows(), rowGrain, func(lo, hi int) {
		for u := lo; u < hi; u++ {
			row := y[u*d : (u+1)*d]
			clear(row)
			for _, i := range s.Row(u) {
				kernel.Axpy(1, w[int(i)*d:(int(i)+1)*d], row)
			}
		}
	})
}
