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

// Shapes: B batch, T tokens, H query heads, G key/value heads, K width of queries
// and keys, V width of values.

// AttentionShape describes an attention over sequences of one length.
type AttentionShape struct {
	Batch    int
	SeqLen   int     // tokens a sequence
	Heads    int     // query heads
	KVHeads  int     // key/value heads; head h reads number h / (Heads/KVHeads)
	HeadDim  int     // width of a query or key
	ValueDim int     // width of a value; 0: HeadDim
	Causal   bool    // token t sees tokens 0..t only
	Scale    float64 // of the scores; 0: 1/sqrt(HeadDim)
}

// Attention is softmax(scale * Q Kᵀ + mask) V for every sequence and head
// (Vaswani et al. 2017, equation 1), with grouped key/value heads (Ainslie et
// al. 2023).
//
// q [B*T, H*K], k [B*T, G*K], v [B*T, G*V] -> y [B*T, H*V]. lengths [B] integers,
// or nil, hides the keys from each sequence's length on; a sequence of length 0
// gives zeros.
//
// The work goes block by block over queries and keys with a running maximum and
// sum (Dao et al. 2022, algorithm 1), so memory is linear in T, and blocks above
// the causal diagonal are never computed. The H/G heads that share keys and values
// are rows of one matrix, token by token, so that a block of keys serves all of
// them. Forward keeps log-sum-exp of each row, from which backward recomputes the
// probabilities, or of a short sequence the probabilities themselves.
func Attention(t *Tape, q, k, v, lengths *G.Node, s AttentionShape) *G.Node {
	s = s.complete()
	s.check("attention", q, k, v)
	if lengths != nil {
		wantShape("attention", "lengths", lengths, s.Batch)
	}
	if t.Dtype == tensor.Float32 {
		return attention[float32](t, q, k, v, lengths, s)
	}
	return attention[float64](t, q, k, v, lengths, s)
}

// complete fills in what 0 stands for.
func (s AttentionShape) complete() AttentionShape {
	if s.Scale == 0 {
		s.Scale = 1 / math.Sqrt(float64(s.HeadDim))
	}
	if s.ValueDim == 0 {
		s.ValueDim = s.HeadDim
	}
	return s
}

// check panics unless q, k and v, if there is one, are what s says.
func (s AttentionShape) check(op string, q, k, v *G.Node) {
	if s.KVHeads <= 0 || s.Heads%s.KVHeads != 0 {
		panic(&ShapeError{op, "q", q.Shape(), fmt.Sprintf("%d heads in groups for %d key heads", s.Heads, s.KVHeads)})
	}
	n := s.Batch * s.SeqLen
	wantShape(op, "q", q, n, s.Heads*s.HeadDim)
	wantShape(op, "k", k, n, s.KVHeads*s.HeadDim)
	if v != nil {
		wantShape(op, "v", v, n, s.KVHeads*s.ValueDim)
	}
}

// output is the shape of y.
func (s AttentionShape) output() tensor.Shape {
	return tensor.Shape{s.Batch * s.SeqLen, s.Heads * s.ValueDim}
}

func attention[T kernel.Float](t *Tape, q, k, v, lengths *G.Node, s AttentionShape) *G.Node {
	operands := []*G.Node{q, k, v}
	if lengths != nil {
		operands = append(operands, lengths)
	}
	keeps := t.records() && s.keepsProbabilities()
	kept := t.buffer(s.Batch * s.Heads * s.SeqLen * s.keptWidth(keeps)) // [B, G, T * H/G, 1 or T]
	o := t.operator("attention", s.output())
	o.aux = []*buffer{kept}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		a := &attentionRun[T]{AttentionShape: s, reads: t.Precision, q: data[T](in[0]), k: data[T](in[1]), v: data[T](in[2]), y: data[T](out), kept: floats[T](kept), keeps: keeps}
		if err := a.setLengths(in, 3); err != nil {
			return err
		}
		blocks := s.rowBlocks()
		kernel.Parallel(s.Batch*s.KVHeads*blocks, func(i int) {
			a.forward(i/blocks/s.KVHeads, i/blocks%s.KVHeads, i%blocks*s.blockRows())
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		return attentionGrad[T](t, in, y, dy, kept, keeps, s)
	}
	return t.apply(o, operands...)
}

// keptTokens is the longest sequence whose probabilities are kept. They are of one
// block of keys; of longer sequences memory counts for more than the products saved.
const keptTokens = keyBlock / 2

// keepsProbabilities says whether forward in training keeps the probabilities: those
// of short sequences that take no more memory than queries and outputs do.
func (s AttentionShape) keepsProbabilities() bool {
	return s.SeqLen <= min(keptTokens, s.HeadDim+s.ValueDim)
}

// keptWidth is how many values of a row forward keeps: the probabilities, or
// log-sum-exp of its scores.
func (s AttentionShape) keptWidth(probabilities bool) int {
	if probabilities {
		return s.SeqLen
	}
	return 1
}

// attentionRun is one execution: the operands as slices.
type attentionRun[T kernel.Float] struct {
	AttentionShape
	reads            kernel.Precision
	q, k, v, y, kept []T
	keeps            bool // the probabilities; else kept is log-sum-exp of each row's scores
	dy, dq, dk, dv   []T
	parts            []T // further shares of dk and dv; see backward
	lengths          []int
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

// sees says which keys of sequence b the block of rows from r0 on sees.
func (a *attentionRun[T]) sees(b, r0 int) staircase {
	s := staircase{r0: r0, group: a.group(), limit: a.SeqLen, bidirectional: !a.Causal}
	if a.lengths != nil {
		s.limit = a.lengths[b]
	}
	return s
}

// forward computes rows r0.. of one block of the rows of sequence b that read
// key/value head g.
func (a *attentionRun[T]) forward(b, g, r0 int) {
	rows := min(a.blockRows(), a.foldedRows()-r0)
	mem, done := scratch[T](rows*(a.HeadDim+a.ValueDim) + attendScratch(rows))
	defer done()
	block := attendBlock[T]{
		rows: rows, keyDim: a.HeadDim, valueDim: a.ValueDim, scale: T(a.Scale), sees: a.sees(b, r0), reads: a.reads,
		mem: mem[rows*(a.HeadDim+a.ValueDim):],
	}
	block.lse, block.p = a.keptOf(b, g, r0, rows)
	block.end = block.sees.visible(rows-1, 0, a.SeqLen)
	block.q, block.ldq = fold(a.AttentionShape, a.q, a.HeadDim, mem, b, g, r0, rows)
	block.y, block.ldy = foldedOutput(a.AttentionShape, a.y, a.ValueDim, mem[rows*a.HeadDim:], b, g, r0)
	block.k, block.ldk = a.keyRows(a.k, b, g)
	block.v, block.ldv = a.valueRows(a.v, b, g)
	attend(&block)
	unfold(a.AttentionShape, a.y, a.ValueDim, block.y, b, g, r0, rows)
}

// keptOf is what forward keeps of rows r0.. that read key/value head g of sequence
// b: log-sum-exp, or else the probabilities of as many keys as the last row sees,
// which are not yet divided by their sum.
func (a *attentionRun[T]) keptOf(b, g, r0, rows int) (lse, p []T) {
	width := a.keptWidth(a.keeps)
	kept := a.kept[((b*a.KVHeads+g)*a.foldedRows()+r0)*width:][:rows*width]
	if a.keeps {
		return nil, kept
	}
	return kept, nil
}

// keyRows is the matrix of key head g of sequence b, and its row stride.
func (a *attentionRun[T]) keyRows(k []T, b, g int) ([]T, int) {
	ld := a.KVHeads * a.HeadDim
	return k[b*a.SeqLen*ld+g*a.HeadDim:], ld
}

// valueRows is keyRows of the values.
func (a *attentionRun[T]) valueRows(v []T, b, g int) ([]T, int) {
	ld := a.KVHeads * a.ValueDim
	return v[b*a.SeqLen*ld+g*a.ValueDim:], ld
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
