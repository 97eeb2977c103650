package op

import (
	G "gorgonia.org/gorgonia"

	"sparrow/kernel"
)

// tokenBlock is how many rows the sparse products take at a time: each is
// transposed, so that a nonzero is one multiply-add over consecutive rows.
const tokenBlock = 256

// sparsity finds the places of S by rows and by columns. It keeps neither the row
// nor the column of a value, which would take as much memory as the value itself.
type sparsity struct {
	rows, cols int
	places     []int32
	rowStart   []int32 // [rows+1], into places
}

func newSparsity(places []int32, rows, cols int) *sparsity {
	s := &sparsity{rows: rows, cols: cols, places: places, rowStart: make([]int32, rows+1)}
	k := 0
	for i := range rows {
		for k < len(places) && int(places[k]) < (i+1)*cols {
			k++
		}
		s.rowStart[i+1] = int32(k)
	}
	return s
}

// column of value k, which is in row i.
func (s *sparsity) column(i int, k int32) int { return int(s.places[k]) - i*s.cols }

// columnTable is how many integers sortByColumn needs.
func columnTable(cols, values int) int { return cols + values }

// sortByColumn lists the values in the order of their columns, then rows:
// byColumn[colEnd[j-1]:colEnd[j]] are those of column j. Both lie in table. Two
// passes over the places cost little beside the products of one block of tokens, so
// this is done in each backward pass and no layer keeps such a list.
func (s *sparsity) sortByColumn(table []int32) (colEnd, byColumn []int32) {
	colEnd, byColumn = table[:s.cols], table[s.cols:]
	clear(colEnd)
	each := func(f func(j int, k int32)) {
		for i := range s.rows {
			for k := s.rowStart[i]; k < s.rowStart[i+1]; k++ {
				f(s.column(i, k), k)
			}
		}
	}
	each(func(j int, _ int32) { colEnd[j]++ })
	start := int32(0)
	for j, n := range colEnd {
		colEnd[j] = start // becomes the end as the column fills
		start += n
	}
	each(func(j int, k int32) {
		byColumn[colEnd[j]] = k
		colEnd[j]++
	})
	return colEnd, byColumn
}

// factoredForward computes y = factor (x Aᵀ) Bᵀ + x Sᵀ + b and leaves x Aᵀ in hidden.
func (s *sparseLayer[T]) factoredForward(v []G.Value, y, hidden, work []T) {
	x, values := data[T](v[iX]), data[T](v[iValues])
	kernel.GemmAs(s.reads(), false, true, s.n, s.rank, s.in, 1, x, s.in, data[T](v[iDown]), s.in, 0, hidden, s.rank)
	bias := s.bias(v)
	for t0 := 0; t0 < s.n; t0 += tokenBlock {
		nb := min(tokenBlock, s.n-t0)
		xt, yt := work[:s.in*nb], work[s.in*nb:(s.in+s.out)*nb]
		transposed(xt, x[t0*s.in:], nb, s.in)
		kernel.Ranges(s.out, 16, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				row := yt[i*nb : (i+1)*nb]
				clear(row)
				if bias != nil {
					for t := range row {
						row[t] = bias[i]
					}
				}
				for k := s.sparse.rowStart[i]; k < s.sparse.rowStart[i+1]; k++ {
					j := s.sparse.column(i, k)
					kernel.Axpy(values[k], xt[j*nb:(j+1)*nb], row)
				}
			}
		})
		kernel.Ranges(nb, 64, func(lo, hi int) {
			kernel.Transpose(y[(t0+lo)*s.out:], s.out, yt[lo:], nb, s.out, hi-lo, false)
		})
	}
	kernel.GemmAs(s.reads(), false, true, s.n, s.out, s.rank, s.factor(v), hidden, s.rank, data[T](v[iUp]), s.rank, 1, y, s.out)
}

// transposed sets dst [cols, rows] to the transpose of src [rows, cols].
func transposed[T kernel.Float](dst, src []T, rows, cols int) {
	kernel.Ranges(cols, 64, func(lo, hi int) {
		kernel.Transpose(dst[lo*rows:], rows, src[lo:], cols, rows, hi-lo, false)
	})
}

// factoredBackward writes each block of dx after the last read of that block of x,
// whose place it may take.
func (s *sparseLayer[T]) factoredBackward(g *sparseGrad[T]) {
	x, down, up, values := data[T](g.v[iX]), data[T](g.v[iDown]), data[T](g.v[iUp]), data[T](g.v[iValues])
	var colEnd, byColumn []int32
	if g.dx != nil {
		colEnd, byColumn = s.sparse.sortByColumn(g.table)
	}
	block := min(s.n, tokenBlock)
	dh, work := g.work[(s.in+s.out)*block:], g.work[:(s.in+s.out)*block]
	kernel.GemmAs(s.reads(), false, false, s.n, s.rank, s.out, 1, g.dy, s.out, up, s.rank, 0, dh, s.rank) // dy B
	kernel.GemmAs(s.reads(), true, false, s.out, s.rank, s.n, 1, g.dy, s.out, floats[T](s.hidden), s.rank, 0, g.dUp, s.rank)
	kernel.GemmAs(s.reads(), true, false, s.rank, s.in, s.n, 1, dh, s.rank, x, s.in, 0, g.dDown, s.in)
	var dv []T
	if s.Values.wanted() {
		dst, add := s.Values.open()
		if dv = data[T](dst); !add {
			clear(dv)
		}
	}
	for t0 := 0; t0 < s.n; t0 += tokenBlock {
		nb := min(tokenBlock, s.n-t0)
		xt, dyt := work[:s.in*nb], work[s.in*nb:(s.in+s.out)*nb]
		transposed(dyt, g.dy[t0*s.out:], nb, s.out)
		if dv != nil {
			transposed(xt, x[t0*s.in:], nb, s.in)
			kernel.Ranges(s.out, 16, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					row := dyt[i*nb : (i+1)*nb]
					for k := s.sparse.rowStart[i]; k < s.sparse.rowStart[i+1]; k++ {
						j := s.sparse.column(i, k)
						dv[k] += kernel.Dot(row, xt[j*nb:(j+1)*nb])
					}
				}
			})
		}
		if g.dx == nil {
			continue
		}
		kernel.Ranges(s.in, 16, func(lo, hi int) {
			for j := lo; j < hi; j++ {
				row := xt[j*nb : (j+1)*nb] // x's block has been read
				clear(row)
				start := int32(0)
				if j > 0 {
					start = colEnd[j-1]
				}
				for _, k := range byColumn[start:colEnd[j]] {
					i := int(uint32(s.sparse.places[k]) / uint32(s.in))
					kernel.Axpy(values[k], dyt[i*nb:(i+1)*nb], row)
				}
			}
		})
		kernel.Ranges(nb, 64, func(lo, hi int) {
			kernel.Transpose(g.dx[(t0+lo)*s.in:], s.in, xt[lo:], nb, s.in, hi-lo, g.add)
		})
	}
	if g.dx != nil {
		kernel.GemmAs(s.reads(), false, false, s.n, s.in, s.rank, s.factor(g.v), dh, s.rank, down, s.in, 1, g.dx, s.in)
	}
}
