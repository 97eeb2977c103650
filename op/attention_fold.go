package op

import "sparrow/kernel"

// Folding: the H/G heads that read one key/value head are rows of one matrix.
// Row r is head r % (H/G) of the group at token r / (H/G), so that rows follow
// each other in time and the causal mask stays a staircase.

// group is how many query heads share a key/value head.
func (s AttentionShape) group() int { return s.Heads / s.KVHeads }

// foldedRows is how many rows read one key/value head of a sequence.
func (s AttentionShape) foldedRows() int { return s.SeqLen * s.group() }

// Block sizes. Scores of one block are 64 x 256 values, which fit a core's
// second-level cache beside the keys and values that they are made from; up to
// four times as many rows when heads share the keys, because then a block of keys
// is prepared for fewer tokens, and twice as many at least without a causal mask,
// of which smaller blocks compute less that nobody sees.
const (
	queryBlock = 64
	keyBlock   = 256
)

// blockRows is how many folded rows are computed together.
func (s AttentionShape) blockRows() int {
	if !s.Causal {
		return queryBlock * min(4, max(2, s.group()))
	}
	return queryBlock * min(4, s.group())
}

// rowBlocks is how many blocks the rows of one key/value head make.
func (s AttentionShape) rowBlocks() int {
	return (s.foldedRows() + s.blockRows() - 1) / s.blockRows()
}

// rowStride is the distance of folded rows in a [B*T, H*width] matrix, in heads;
// 0 if it varies.
func (s AttentionShape) rowStride() int {
	switch {
	case s.KVHeads == 1:
		return 1
	case s.Heads == s.KVHeads:
		return s.Heads
	}
	return 0
}

// rowAt is where folded row r of key/value head g starts, in heads.
func (s AttentionShape) rowAt(b, g, r int) int {
	n := s.group()
	return (b*s.SeqLen+r/n)*s.Heads + g*n + r%n
}

// fold returns rows [r0, r0+n) of x, [B*T, H*width], as a matrix and its row
// stride: in place where the stride is constant, else copied to mem.
func fold[T kernel.Float](s AttentionShape, x []T, width int, mem []T, b, g, r0, n int) ([]T, int) {
	if step := s.rowStride(); step > 0 {
		return x[s.rowAt(b, g, r0)*width:], step * width
	}
	for r := range n {
		copy(mem[r*width:(r+1)*width], x[s.rowAt(b, g, r0+r)*width:])
	}
	return mem, width
}

// foldedOutput is where to compute rows from r0 on of y, and their stride: in
// place or in mem. unfold brings them to their place.
func foldedOutput[T kernel.Float](s AttentionShape, y []T, width int, mem []T, b, g, r0 int) ([]T, int) {
	if step := s.rowStride(); step > 0 {
		return y[s.rowAt(b, g, r0)*width:], step * width
	}
	return mem, width
}

// unfold copies rows [r0, r0+n) from mem to y unless they were computed in place.
func unfold[T kernel.Float](s AttentionShape, y []T, width int, mem []T, b, g, r0, n int) {
	if s.rowStride() > 0 {
		return
	}
	for r := range n {
		copy(y[s.rowAt(b, g, r0+r)*width:][:width], mem[r*width:])
	}
}
