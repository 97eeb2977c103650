package op

import (
	"math"

	"sparrow/kernel"
)

// attendBlock is a block of queries and all the keys that any of them sees.
type attendBlock[T kernel.Float] struct {
	operands[T]     // the queries, and all keys and values
	y           []T // [rows, valueDim], row stride ldy
	ldy         int
	lse         []T // [rows], receives log-sum-exp of each row's scores, or nil
	p           []T // [rows, end], receives the probabilities before division by their sum, where the keys make one block, or nil
	mem         []T // attendScratch(rows) elements
	rows        int
	keyDim      int
	valueDim    int
	begin, end  int // of the keys
	scale       T
	sees        staircase
	reads       kernel.Precision                  // of the products of keys and values in memory
	load        func(j0, cols int) cachedBlock[T] // brings a block of keys; nil: they are in memory
}

// operands are queries, keys and values, each with its row stride.
type operands[T kernel.Float] struct {
	q, k, v       []T
	ldq, ldk, ldv int
}

// cachedBlock is a block of keys and values, the queries to compare with them, and
// what to fetch while the keys and the values are at work.
type cachedBlock[T kernel.Float] struct {
	q            []T
	ldq          int
	k, v         kernel.CacheRows[T]
	nextV, nextK kernel.CacheRows[T]
}

// staircase says which keys a folded row sees: those before limit and, unless
// bidirectional, up to past plus its own token.
type staircase struct {
	r0, group     int // row r of the block is at token (r0+r) / group
	past, limit   int
	bidirectional bool
}

// visible is how many of the keys from j0 on row r sees, of at most cols.
func (s *staircase) visible(r, j0, cols int) int {
	n := s.limit
	if !s.bidirectional {
		n = min(n, s.past+(s.r0+r)/s.group+1)
	}
	return max(0, min(cols, n-j0))
}

// attendScratch is how many elements of memory attend needs for its own use.
func attendScratch(rows int) int { return rows * (keyBlock + 2) }

// attend computes y = softmax(scale q kᵀ) v over visible keys, one block of keys
// after the other, with a running maximum and sum of each row.
func attend[T kernel.Float](a *attendBlock[T]) {
	V, s := a.valueDim, a.mem
	maxes, sums := s[a.rows*keyBlock:][:a.rows], s[a.rows*(keyBlock+1):][:a.rows]
	if a.p != nil {
		s = a.p
	}
	inPlace := a.load != nil && kernel.InPlace(a.rows)
	for r := range a.rows {
		if inPlace || a.begin >= a.end { // else the first block's product overwrites y
			clear(a.y[r*a.ldy : r*a.ldy+V])
		}
		maxes[r], sums[r] = T(math.Inf(-1)), 0
	}
	for j0 := a.begin; j0 < a.end; j0 += keyBlock {
		cols := min(keyBlock, a.end-j0)
		var in cachedBlock[T]
		if a.load != nil {
			in = a.load(j0, cols)
		} else {
			in = cachedBlock[T]{q: a.q, ldq: a.ldq,
				k: kernel.CacheRows[T]{X: a.k[j0*a.ldk:], LD: a.ldk}, v: kernel.CacheRows[T]{X: a.v[j0*a.ldv:], LD: a.ldv}}
		}
		if inPlace {
			kernel.CacheScores(s, cols, in.q, in.ldq, in.k, a.rows, cols, a.keyDim, &in.nextV) // [rows, cols]
		} else {
			kernel.GemmSerialAs(a.reads, false, true, a.rows, cols, a.keyDim, 1, in.q, in.ldq, in.k.X, in.k.LD, 0, s, cols)
		}
		for r := range a.rows {
			row := s[r*cols : (r+1)*cols]
			seen := a.sees.visible(r, j0, cols)
			clear(row[seen:])
			if seen == 0 {
				continue
			}
			top := max(maxes[r], a.scale*kernel.MaxValue(row[:seen]))
			if top > maxes[r] && j0 > a.begin {
				shrink := T(math.Exp(float64(maxes[r] - top)))
				sums[r] *= shrink
				kernel.Scale(shrink, a.y[r*a.ldy:r*a.ldy+V])
			}
			maxes[r] = top
			sums[r] += kernel.ExpShift(row[:seen], row[:seen], a.scale, top)
		}
		if inPlace {
			kernel.CacheValues(a.y, a.ldy, s, cols, in.v, a.rows, cols, V, &in.nextK)
		} else {
			kernel.GemmSerialAs(a.reads, false, false, a.rows, V, cols, 1, s, cols, in.v.X, in.v.LD, betaOf[T](j0 > a.begin), a.y, a.ldy)
		}
	}
	for r := range a.rows {
		if a.lse != nil {
			a.lse[r] = maxes[r] + T(math.Log(float64(sums[r])))
		}
		if sums[r] > 0 {
			kernel.Scale(1/sums[r], a.y[r*a.ldy:r*a.ldy+V])
		}
	}
}
