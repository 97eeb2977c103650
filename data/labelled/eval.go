package labelled

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// EvalSet is a fixed list of evaluation batches. It depends on nothing but the examples and the three numbers it was made
// from, so a checkpoint evaluates to the same digits each time.
type EvalSet struct {
	examples  *Examples
	batchSize int
	buckets   []int
	order     []int32 // by length
}

// EvalBatches selects limit examples spread evenly over the list, since files are often sorted by class, or all when limit
// is 0 or more than there are; and lays them out in the order of their length, which costs the least padding. Longer ones
// are cut to their first maxLen tokens; 0: none is. A batch size below 1 and a negative limit or length are programmer's
// errors and panic.
func EvalBatches(examples *Examples, batchSize, maxLen, limit int) *EvalSet {
	if batchSize < 1 || maxLen < 0 || limit < 0 {
		panic(fmt.Sprintf("data: EvalBatches: batch size %d, length %d, limit %d; want at least 1, 0, 0", batchSize, maxLen, limit))
	}
	n := examples.Len()
	take := n
	if limit > 0 {
		take = min(n, limit)
	}
	s := &EvalSet{examples: examples, batchSize: batchSize}
	if n == 0 {
		return s
	}
	s.buckets = examples.buckets(maxLen)
	for i := range take {
		s.order = append(s.order, int32(i*n/take))
	}
	if maxLen == 0 {
		maxLen = math.MaxInt
	}
	slices.SortStableFunc(s.order, func(a, b int32) int {
		return cmp.Compare(min(examples.Length(int(a)), maxLen), min(examples.Length(int(b)), maxLen))
	})
	return s
}

// Len returns the number of examples over all batches.
func (s *EvalSet) Len() int { return len(s.order) }

// SeqLens returns the lengths to which batches may be padded, ascending.
func (s *EvalSet) SeqLens() []int { return slices.Clone(s.buckets) }

// Batches returns the number of batches.
func (s *EvalSet) Batches() int { return (len(s.order) + s.batchSize - 1) / s.batchSize }

// Batch sets batch to batch i; Batch.Index says which examples it has. A wrong i panics.
func (s *EvalSet) Batch(i int, batch *Batch) {
	if i < 0 || i >= s.Batches() {
		panic(fmt.Sprintf("data: EvalSet.Batch(%d), want a batch in [0, %d)", i, s.Batches()))
	}
	rows := s.order[i*s.batchSize : min((i+1)*s.batchSize, len(s.order))]
	longest := s.examples.Length(int(rows[len(rows)-1]))
	batch.fill(s.examples, rows, s.batchSize, s.buckets[bucketOf(s.buckets, longest)])
}
