package labelled

import "sparrow/data"

// Batch is B examples padded to one length T. The slices are reused from batch to batch. Pairs whose texts are apart have two
// rows each of tokens, types and lengths, 2n and 2n+1.
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
	if x.apart {
		b.fillApart(x, indices, rows)
		return
	}
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

// fillApart is fill of pairs whose texts are apart.
func (b *Batch) fillApart(x *Examples, indices []int32, rows int) {
	n := b.SeqLen
	b.Tokens, b.Types, b.Lengths = data.Resized(b.Tokens, 2*rows*n), data.Resized(b.Types, 2*rows*n), data.Resized(b.Lengths, 2*rows)
	clear(b.Types)
	clear(b.Lengths)
	for i := range b.Tokens {
		b.Tokens[i] = x.pad
	}
	for row := range rows {
		b.Labels[row], b.Scores[row], b.Index[row] = data.IgnoredTarget, 0, -1
		if row >= len(indices) {
			continue
		}
		i := int(indices[row])
		b.Index[row] = i
		b.Labels[row], b.Scores[row] = x.answer(i)
		for side, text := range x.Texts(i) {
			at := 2*row + side
			b.Lengths[at] = copy(b.Tokens[at*n:(at+1)*n], text)
		}
	}
}
