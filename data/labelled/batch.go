package labelled

import "sparrow/data"

// Batch is B examples padded to one length T. The slices are reused from batch to batch.
type Batch struct {
	SeqLen  int       // T, of this batch
	N       int       // rows that are examples, at least 1; they come first
	Tokens  []int     // [B, T], the padding id beyond a row's length
	Types   []int     // [B, T], 0 or 1; 0 beyond a row's length
	Lengths []int     // [B]; 0 for rows that are none
	Labels  []int     // [B]; IgnoredTarget for rows that are none, and 0 for regression
	Scores  []float64 // [B]; 0 for classes and rows that are none
	Index   []int     // [B], the examples in their split; -1 for rows that are none
}

// fill sets the batch to the given examples, cut to seqLen tokens, in rows rows.
func (b *Batch) fill(x *Examples, indices []int32, rows, seqLen int) {
	b.SeqLen, b.N = seqLen, len(indices)
	b.Tokens, b.Types = data.Resized(b.Tokens, rows*seqLen), data.Resized(b.Types, rows*seqLen)
	b.Lengths, b.Labels, b.Index = data.Resized(b.Lengths, rows), data.Resized(b.Labels, rows), data.Resized(b.Index, rows)
	b.Scores = data.Resized(b.Scores, rows)
	clear(b.Types)
	for row := range rows {
		tokens, types := b.Tokens[row*seqLen:(row+1)*seqLen], b.Types[row*seqLen:(row+1)*seqLen]
		n := 0
		b.Lengths[row], b.Labels[row], b.Scores[row], b.Index[row] = 0, data.IgnoredTarget, 0, -1
		if row < len(indices) {
			i := int(indices[row])
			n = min(x.Length(i), seqLen)
			x.copyTokens(tokens[:n], types[:n], i)
			b.Lengths[row], b.Index[row] = n, i
			b.Labels[row], b.Scores[row] = x.answer(i)
		}
		for j := n; j < seqLen; j++ {
			tokens[j] = x.pad
		}
	}
}
