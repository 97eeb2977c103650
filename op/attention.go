package op

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: B batch, T tokens, H query heads, G key/value heads, K head width.

// AttentionShape describes an attention over sequences of one length.
type AttentionShape struct {
	Batch   int
	SeqLen  int     // tokens a sequence
	Heads   int     // query heads
	KVHeads int     // key/value heads; head h reads number h / (Heads/KVHeads)
	HeadDim int     // width of a head
	Causal  bool    // token t sees tokens 0..t only
	Scale   float64 // of the scores; 0: 1/sqrt(HeadDim)
}

// Attention is softmax(scale * Q Kᵀ + mask) V for every sequence and head
// (Vaswani et al. 2017, equation 1), with grouped key/value heads (Ainslie et
// al. 2023).
//
// q [B*T, H*K], k and v [B*T, G*K] -> y [B*T, H*K]. lengths [B] integers, or nil,
// hides the keys from each sequence's length on; a sequence of length 0 gives
// zeros.
//
// The work goes block by block over queries and keys with a running maximum and
// sum (Dao et al. 2022, algorithm 1), so memory is linear in T, and blocks above
// the causal diagonal are never computed. Forward keeps log-sum-exp of each row;
// backward recomputes the probabilities from it.
func Attention(t *Tape, q, k, v, lengths *G.Node, s AttentionShape) *G.Node {
	if s.Scale == 0 {
		s.Scale = 1 / math.Sqrt(float64(s.HeadDim))
	}
	s.check("attention", q, k, v)
	if lengths != nil {
		wantShape("attention", "lengths", lengths, s.Batch)
	}
	if t.Dtype == tensor.Float32 {
		return attention[float32](t, q, k, v, lengths, s)
	}
	return attention[float64](t, q, k, v, lengths, s)
}

// check panics unless q, k and v are what s says.
func (s AttentionShape) check(op string, q, k, v *G.Node) {
	if s.KVHeads <= 0 || s.Heads%s.KVHeads != 0 {
		panic(&ShapeError{op, "q", q.Shape(), fmt.Sprintf("%d heads in groups for %d key heads", s.Heads, s.KVHeads)})
	}
	n := s.Batch * s.SeqLen
	wantShape(op, "q", q, n, s.Heads*s.HeadDim)
	wantShape(op, "k", k, n, s.KVHeads*s.HeadDim)
	wantShape(op, "v", v, n, s.KVHeads*s.HeadDim)
}

func attention[T kernel.Float](t *Tape, q, k, v, lengths *G.Node, s AttentionShape) *G.Node {
	operands := []*G.Node{q, k, v}
	if lengths != nil {
		operands = append(operands, lengths)
	}
	lse := t.buffer(s.Batch * s.Heads * s.SeqLen)
	o := t.operator("attention", q.Shape().Clone())
	o.aux = []*buffer{lse}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		a := &attentionRun[T]{AttentionShape: s, q: data[T](in[0]), k: data[T](in[1]), v: data[T](in[2]), y: data[T](out), lse: floats[T](lse)}
		if err := a.setLengths(in, 3); err != nil {
			return err
		}
		blocks := (s.SeqLen + queryBlock - 1) / queryBlock
		kernel.Parallel(s.Batch*s.Heads*blocks, func(i int) {
			a.forward(i/blocks/s.Heads, i/blocks%s.Heads, i%blocks*queryBlock)
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		const iDy, iY, iQ, iK, iV, iLengths = 0, 1, 2, 3, 4, 5
		dk, dv := t.buffer(k.Shape().TotalSize()), t.buffer(v.Shape().TotalSize())
		back := t.operator("attention.grad", q.Shape().Clone(), iQ)
		back.aux = []*buffer{lse, dk, dv}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			a := &attentionRun[T]{AttentionShape: s, q: data[T](in[iQ]), k: data[T](in[iK]), v: data[T](in[iV]), y: data[T](in[iY]), lse: floats[T](lse),
				dy: data[T](in[iDy]), dq: data[T](out), dk: floats[T](dk), dv: floats[T](dv)}
			if err := a.setLengths(in, iLengths); err != nil {
				return err
			}
			kernel.Parallel(s.Batch*s.KVHeads, func(i int) { a.backward(i/s.KVHeads, i%s.KVHeads) })
			return nil
		}
		dq := t.apply(back, append(G.Nodes{dy, y}, in...)...)
		return G.Nodes{dq, t.further(dq, dk, k.Shape().Clone()), t.further(dq, dv, v.Shape().Clone()), nil}[:len(in)]
	}
	return t.apply(o, operands...)
}

// Block sizes: scores of one block are 64 x 256 values, which fit a core's
// second-level cache beside the keys and values that they are made from.
const (
	queryBlock = 64
	keyBlock   = 256
)

// attentionRun is one execution: the operands as slices.
type attentionRun[T kernel.Float] struct {
	AttentionShape
	q, k, v, y, lse []T
	dy, dq, dk, dv  []T
	lengths         []int
}

func (a *attentionRun[T]) setLengths(in []G.Value, i int) error {
	if i >= len(in) {
		return nil
	}
	a.lengths = ints(in[i])
	for b, n := range a.lengths {
		if n < 0 || n > a.SeqLen {
			return fmt.Errorf("length %d of sequence %d, want 0 to %d", n, b, a.SeqLen)
		}
	}
	return nil
}

// keys is the number of keys that some query before end sees.
func (a *attentionRun[T]) keys(b, end int) int {
	n := a.SeqLen
	if a.lengths != nil {
		n = a.lengths[b]
	}
	if a.Causal {
		n = min(n, end)
	}
	return n
}

// visible is how many of the keys from j0 on query i of sequence b sees, of at
// most cols.
func (a *attentionRun[T]) visible(b, i, j0, cols int) int {
	return max(0, min(cols, a.keys(b, i+1)-j0))
}

// forward computes rows i0.. of one block of queries of sequence b, head h.
func (a *attentionRun[T]) forward(b, h, i0 int) {
	K, hk, gk := a.HeadDim, a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	rows := min(queryBlock, a.SeqLen-i0)
	g := h / (a.Heads / a.KVHeads)
	row, col := (b*a.SeqLen+i0)*hk+h*K, b*a.SeqLen*gk+g*K
	attend(attendBlock[T]{
		y: a.y[row:], q: a.q[row:], ldq: hk, k: a.k[col:], v: a.v[col:], ldk: gk,
		lse: a.lse[(b*a.Heads+h)*a.SeqLen+i0:], rows: rows, headDim: K, keys: a.keys(b, i0+rows), scale: T(a.Scale),
		visible: func(r, j0, cols int) int { return a.visible(b, i0+r, j0, cols) },
	})
}

// attendBlock is a block of up to queryBlock queries and all the keys that any
// of them sees.
type attendBlock[T kernel.Float] struct {
	y, q    []T // [rows, headDim], row stride ldq
	k, v    []T // [keys, headDim], row stride ldk
	lse     []T // [rows], receives log-sum-exp of each row's scores, or nil
	ldq     int
	ldk     int
	rows    int
	headDim int
	keys    int
	scale   T
	visible func(r, j0, cols int) int // how many of keys j0.. to j0+cols row r sees
}

// attend computes y = softmax(scale q kᵀ) v over visible keys, one block of keys
// after the other, with a running maximum and sum of each row.
func attend[T kernel.Float](a attendBlock[T]) {
	K := a.headDim
	s, done := scratch[T](queryBlock*keyBlock + 2*queryBlock)
	defer done()
	maxes, sums := s[queryBlock*keyBlock:][:a.rows], s[queryBlock*keyBlock+queryBlock:][:a.rows]
	for r := range a.rows {
		clear(a.y[r*a.ldq : r*a.ldq+K])
		maxes[r], sums[r] = T(math.Inf(-1)), 0
	}
	for j0 := 0; j0 < a.keys; j0 += keyBlock {
		cols := min(keyBlock, a.keys-j0)
		kernel.GemmSerial(false, true, a.rows, cols, K, 1, a.q, a.ldq, a.k[j0*a.ldk:], a.ldk, 0, s, cols) // [rows, cols]
		for r := range a.rows {
			row := s[r*cols : (r+1)*cols]
			seen := a.visible(r, j0, cols)
			clear(row[seen:])
			if seen == 0 {
				continue
			}
			top := max(maxes[r], a.scale*kernel.MaxValue(row[:seen]))
			if top > maxes[r] && j0 > 0 {
				shrink := T(math.Exp(float64(maxes[r] - top)))
				sums[r] *= shrink
				kernel.Scale(shrink, a.y[r*a.ldq:r*a.ldq+K])
			}
			maxes[r] = top
			sums[r] += kernel.ExpShift(row[:seen], row[:seen], a.scale, top)
		}
		kernel.GemmSerial(false, false, a.rows, K, cols, 1, s, cols, a.v[j0*a.ldk:], a.ldk, 1, a.y, a.ldq)
	}
	for r := range a.rows {
		if a.lse != nil {
			a.lse[r] = maxes[r] + T(math.Log(float64(sums[r])))
		}
		if sums[r] > 0 {
			kernel.Scale(1/sums[r], a.y[r*a.ldq:r*a.ldq+K])
		}
	}
}

// backward computes dq of all heads that read key/value head g of sequence b,
// and its dk and dv. With P the probabilities, row by row:
// dV = Pᵀ dY, dP = dY Vᵀ, dS = scale P (dP - sum(dY Y)), dQ = dS K, dK = dSᵀ Q.
func (a *attentionRun[T]) backward(b, g int) {
	K, gk := a.HeadDim, a.KVHeads*a.HeadDim
	at := b*a.SeqLen*gk + g*K
	for i := range a.SeqLen {
		clear(a.dk[at+i*gk : at+i*gk+K])
		clear(a.dv[at+i*gk : at+i*gk+K])
	}
	group := a.Heads / a.KVHeads
	for h := g * group; h < (g+1)*group; h++ {
		for i0 := 0; i0 < a.SeqLen; i0 += queryBlock {
			a.backwardBlock(b, h, g, i0)
		}
	}
}

func (a *attentionRun[T]) backwardBlock(b, h, g, i0 int) {
	K, hk, gk := a.HeadDim, a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	rows := min(queryBlock, a.SeqLen-i0)
	first := (b*a.SeqLen+i0)*hk + h*K
	q, y, dy, dq := a.q[first:], a.y[first:], a.dy[first:], a.dq[first:]
	lse := a.lse[(b*a.Heads+h)*a.SeqLen+i0:][:rows]
	mem, done := scratch[T](2*queryBlock*keyBlock + queryBlock*K + queryBlock)
	defer done()
	p, dp := mem[:queryBlock*keyBlock], mem[queryBlock*keyBlock:2*queryBlock*keyBlock]
	dqi, delta := mem[2*queryBlock*keyBlock:][:rows*K], mem[2*queryBlock*keyBlock+queryBlock*K:][:rows]
	clear(dqi)
	for r := range rows {
		delta[r] = kernel.Dot(dy[r*hk:r*hk+K], y[r*hk:r*hk+K])
	}
	end := a.keys(b, i0+rows)
	for j0 := 0; j0 < end; j0 += keyBlock {
		cols := min(keyBlock, end-j0)
		at := (b*a.SeqLen+j0)*gk + g*K
		k, v := a.k[at:], a.v[at:]
		kernel.GemmSerial(false, true, rows, cols, K, 1, q, hk, k, gk, 0, p, cols)
		kernel.GemmSerial(false, true, rows, cols, K, 1, dy, hk, v, gk, 0, dp, cols)
		for r := range rows {
			prow, dprow := p[r*cols:(r+1)*cols], dp[r*cols:(r+1)*cols]
			seen := a.visible(b, i0+r, j0, cols)
			clear(prow[seen:])
			clear(dprow[seen:])
			if seen > 0 {
				kernel.ExpShift(prow[:seen], prow[:seen], T(a.Scale), lse[r])
				kernel.SoftmaxGradRow(dprow[:seen], prow[:seen], dprow[:seen], delta[r], T(a.Scale))
			}
		}
		kernel.GemmSerial(true, false, cols, K, rows, 1, p, cols, dy, hk, 1, a.dv[at:], gk)
		kernel.GemmSerial(true, false, cols, K, rows, 1, dp, cols, q, hk, 1, a.dk[at:], gk)
		kernel.GemmSerial(false, false, rows, K, cols, 1, dp, cols, k, gk, 1, dqi, K)
	}
	for r := range rows {
		copy(dq[r*hk:r*hk+K], dqi[r*K:(r+1)*K]) // dq may be q: its block is not read again
	}
}

var scratchPool = sync.Pool{New: func() any { return new([]float64) }}

// scratch borrows n elements of private memory, contents undefined.
func scratch[T kernel.Float](n int) (s []T, done func()) {
	p := scratchPool.Get().(*[]float64)
	if len(*p) < n {
		*p = make([]float64, n) // large enough for either type
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&(*p)[0])), n), func() { scratchPool.Put(p) }
}
