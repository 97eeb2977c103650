package op

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// CachedAttention is causal attention of new tokens over a cache: it appends the
// new keys and values and computes softmax(scale q Kᵀ) V over all the tokens up
// to each query. It has no backward pass.
//
// q [B*T, H*K], k [B*T, G*K], v [B*T, G*V], nil if the cache's layout is Shared;
// slots [B]: which of the cache's sequences each row goes on with; past [B]: the
// tokens before it; fresh [B]: how many of the T new rows of a sequence count, the
// others are padding at its end and give zeros -> y [B*T, H*V]. Rows that go on with
// one sequence at different places see what those before them store: they get what
// they would get one after the other, to the last bit where T = 1. An overflowing
// cache, a slot that does not exist and two rows for one place are errors of the
// run. What a sequence gets does not depend on the other sequences, nor on its slot.
//
// The heads that share keys and values are rows of one matrix, so that every byte
// of the cache is read once for all of them. When there is one new token a
// sequence, its cache is read in pieces of keyPiece tokens, all in parallel, each
// with a softmax of its own; their results are combined in the order of the pieces
// by their log-sum-exp.
func CachedAttention(t *Tape, q, k, v, slots, past, fresh *G.Node, cache *KVCache, s AttentionShape) *G.Node {
	s = s.complete()
	operands := []*G.Node{q, k, slots, past, fresh}
	s.check("cached_attention", q, k, v)
	if v != nil {
		operands = append(operands, v)
	}
	if l := cache.CacheLayout; l.KVHeads != s.KVHeads || l.KeyDim != s.HeadDim || l.ValueDim != s.ValueDim ||
		l.Shared != (v == nil) || !l.Int8 && cache.keys.dense.Dtype() != t.Dtype {
		panic(&ShapeError{"cached_attention", "cache", tensor.Shape{l.KVHeads, l.KeyDim, l.ValueDim},
			fmt.Sprintf("[%d, %d, %d] of %v", s.KVHeads, s.HeadDim, s.ValueDim, t.Dtype)})
	}
	wantShape("cached_attention", "slots", slots, s.Batch)
	wantShape("cached_attention", "past", past, s.Batch)
	wantShape("cached_attention", "fresh", fresh, s.Batch)
	o := t.operator("cached_attention", s.output())
	pieces := s.Batch * s.Heads * ((cache.Capacity + keyPiece - 1) / keyPiece)
	if s.SeqLen > 1 {
		pieces = 0
	}
	partial := t.buffer(pieces * (s.ValueDim + 1))
	o.aux = []*buffer{partial}
	if t.Dtype == tensor.Float32 {
		o.run = cachedAttention[float32](cache, partial, s)
	} else {
		o.run = cachedAttention[float64](cache, partial, s)
	}
	return t.apply(o, operands...)
}

// keyPiece is how many cached tokens one piece of parallel work reads when there is
// one new token. It is fixed, so that results do not depend on the number of
// threads.
const keyPiece = 4 * keyBlock

func cachedAttention[T kernel.Float](c *KVCache, partial *buffer, s AttentionShape) func([]G.Value, *tensor.Dense) error {
	var tasks []cachedTask // kept, to allocate nothing in a run
	return func(in []G.Value, out *tensor.Dense) error {
		a := &cachedRun[T]{AttentionShape: s, c: c, q: data[T](in[0]), k: data[T](in[1]), y: data[T](out),
			slots: ints(in[2]), past: ints(in[3]), fresh: ints(in[4]), partial: floats[T](partial)}
		if !c.Shared {
			a.v = data[T](in[5])
		}
		for b := range s.Batch {
			if a.fresh[b] < 0 || a.fresh[b] > s.SeqLen || a.past[b] < 0 || a.past[b]+a.fresh[b] > c.Capacity {
				return fmt.Errorf("sequence %d: %d new tokens after %d, want at most %d new and %d in all",
					b, a.fresh[b], a.past[b], s.SeqLen, c.Capacity)
			}
			if slot := a.slots[b]; a.fresh[b] > 0 && (slot < 0 || slot >= c.Batch || a.taken(slot, b)) {
				return fmt.Errorf("sequence %d: slot %d of %d does not exist, or another row has its places", b, slot, c.Batch)
			}
		}
		kernel.Parallel(s.Batch*s.KVHeads, func(i int) { a.store(i/s.KVHeads, i%s.KVHeads) })
		tasks = a.plan(tasks[:0])
		kernel.Ranges(len(tasks), a.chain(len(tasks)), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				a.attend(tasks[i], tasks[i+1:hi])
			}
		})
		if s.SeqLen == 1 {
			kernel.Parallel(s.Batch*s.KVHeads, func(i int) { a.combine(i/s.KVHeads, i%s.KVHeads) })
		}
		return nil
	}
}

// cachedRun is one execution: the operands as slices.
type cachedRun[T kernel.Float] struct {
	AttentionShape
	c           *KVCache
	q, k, v, y  []T
	partial     []T // of each piece: its output for each row, [rows, V], then their log-sum-exp
	past, fresh []int
	slots       []int // of the cache
}

// cachedTask is the work on rows r0.. of key/value head g of sequence b over keys
// begin to end. piece is the place of its result in partial, -1: in y.
type cachedTask struct{ b, g, r0, rows, begin, end, piece int }

// taken tells whether one of the first n rows has a place of a slot that row n has.
func (a *cachedRun[T]) taken(slot, n int) bool {
	for b, other := range a.slots[:n] {
		if other == slot && a.past[b] < a.past[n]+a.fresh[n] && a.past[n] < a.past[b]+a.fresh[b] {
			return true
		}
	}
	return false
}

// head is the cache's first row of key/value head g of sequence b.
func (a *cachedRun[T]) head(b, g int) int { return (a.slots[b]*a.KVHeads + g) * a.c.Capacity }

// store appends the new keys and values of key/value head g of sequence b, and
// clears the output of padding.
func (a *cachedRun[T]) store(b, g int) {
	at := a.head(b, g) + a.past[b]
	for i := range a.fresh[b] {
		row := (b*a.SeqLen+i)*a.KVHeads + g
		put(a.c.keys, at+i, a.k[row*a.HeadDim:])
		if !a.c.Shared {
			put(a.c.values, at+i, a.v[row*a.ValueDim:])
		}
	}
	for r := a.fresh[b] * a.group(); r < a.foldedRows(); r++ {
		clear(a.y[a.rowAt(b, g, r)*a.ValueDim:][:a.ValueDim])
	}
}

// plan lists the tasks of a run, sequence by sequence.
func (a *cachedRun[T]) plan(tasks []cachedTask) []cachedTask {
	for b := range a.Batch {
		for g := range a.KVHeads {
			for r0, all := 0, a.fresh[b]*a.group(); r0 < all; r0 += a.blockRows() {
				t := cachedTask{b: b, g: g, r0: r0, rows: min(a.blockRows(), all-r0), piece: -1}
				t.end = a.past[b] + (r0+t.rows-1)/a.group() + 1
				if a.SeqLen > 1 || t.end <= keyPiece {
					tasks = append(tasks, t)
					continue
				}
				for last := t.end; t.begin < last; t.begin += keyPiece {
					t.end = min(last, t.begin+keyPiece)
					t.piece = t.begin / keyPiece
					tasks = append(tasks, t)
				}
			}
		}
	}
	return tasks
}

// maxChain bounds how many pieces a thread takes at once.
const maxChain = 16

// chain is how many of n tasks a thread does one after the other: with one new token
// a sequence all are short, and a thread that knows what it will do next can fetch its
// beginning meanwhile. Each thread gets four chains or more, so that all end together.
func (a *cachedRun[T]) chain(n int) int {
	if a.SeqLen > 1 {
		return 1
	}
	return max(1, min(maxChain, n/(4*kernel.Threads())))
}

// piece returns where the result of piece p for the rows of head g of sequence b
// is, and its log-sum-exp.
func (a *cachedRun[T]) piece(b, g, p int) (y, lse []T) {
	group := a.group()
	size := group * (a.ValueDim + 1)
	pieces := len(a.partial) / (a.Batch * a.KVHeads * size)
	m := a.partial[((b*a.KVHeads+g)*pieces+p)*size:][:size]
	return m[:group*a.ValueDim], m[group*a.ValueDim:]
}

// attend computes one task, before those that are next.
func (a *cachedRun[T]) attend(t cachedTask, next []cachedTask) {
	K, V := a.HeadDim, a.ValueDim
	mem, done := scratch[T](t.rows*(K+V) + attendScratch(t.rows) + a.loadScratch(t.rows))
	defer done()
	cut := func(n int) []T {
		m := mem[:n]
		mem = mem[n:]
		return m
	}
	block := attendBlock[T]{
		rows: t.rows, keyDim: K, valueDim: V, begin: t.begin, end: t.end, scale: T(a.Scale),
		sees: staircase{r0: t.r0, group: a.group(), past: a.past[t.b], limit: t.end},
	}
	block.q, block.ldq = fold(a.AttentionShape, a.q, K, cut(t.rows*K), t.b, t.g, t.r0, t.rows)
	block.y, block.ldy = foldedOutput(a.AttentionShape, a.y, V, cut(t.rows*V), t.b, t.g, t.r0)
	block.mem = cut(attendScratch(t.rows))
	block.load = a.loader(t, next, block.q, block.ldq, mem)
	if t.piece >= 0 {
		out, lse := a.piece(t.b, t.g, t.piece)
		block.y, block.ldy, block.lse = out[t.r0*V:], V, lse[t.r0:]
		attend(&block)
		return
	}
	attend(&block)
	unfold(a.AttentionShape, a.y, V, block.y, t.b, t.g, t.r0, t.rows)
}

// loadScratch is how many elements of memory a loader needs for a block of rows.
func (a *cachedRun[T]) loadScratch(rows int) int {
	return rows*a.HeadDim + keyBlock*(2*a.HeadDim+a.ValueDim)
}

// loader returns a function that brings a block of the cache, as attend wants it: in
// place where it can be read as it is stored.
// Where keys are turned when read, those of a block turn by their distance to its
// first token and the queries back by that token's angle, since only differences
// count: so the angles of one block serve all, and stay in the second-level cache.
func (a *cachedRun[T]) loader(t cachedTask, next []cachedTask, q []T, ldq int, mem []T) func(j0, cols int) cachedBlock[T] {
	K, c := a.HeadDim, a.c
	turnedQ, mem := mem[:t.rows*K], mem[t.rows*K:]
	keys, turnedK, values := mem[:keyBlock*K], mem[keyBlock*K:2*keyBlock*K], mem[2*keyBlock*K:]
	at := a.head(t.b, t.g)
	decoded := c.Int8 && (!kernel.InPlace(t.rows) || c.Shared || c.Rotary != nil)
	return func(j0, cols int) cachedBlock[T] {
		in := cachedBlock[T]{q: q, ldq: ldq}
		switch {
		case j0+keyBlock < t.end:
			in.nextK = stored[T](c.keys, at+j0+keyBlock, min(keyBlock, t.end-j0-keyBlock))
		case len(next) > 0:
			n := next[0]
			in.nextK = stored[T](c.keys, a.head(n.b, n.g)+n.begin, min(keyBlock, n.end-n.begin))
		}
		in.k = stored[T](c.keys, at+j0, cols)
		if decoded {
			in.k = decode(c.keys, at+j0, cols, keys)
		}
		switch {
		case c.Shared:
			in.v, in.nextV = in.k, in.nextK
		case decoded:
			in.v = decode(c.values, at+j0, cols, values)
		default:
			in.v = stored[T](c.values, at+j0, cols)
			in.nextV = in.v
		}
		if c.Rotary == nil {
			return in
		}
		half := K / 2
		cos, sin := rotaryRow[T](c.Rotary, j0)
		for r := range t.rows {
			row := turnedQ[r*K : (r+1)*K]
			copy(row, q[r*ldq:])
			kernel.Rotate(row[:half], row[half:], cos, sin, true)
		}
		cos, sin = rotaryRows[T](c.Rotary, 0, cols)
		kernel.RotateRows(turnedK, in.k.X, cos, sin, cols, half)
		in.q, in.ldq, in.k.X = turnedQ, K, turnedK
		return in
	}
}

// combine writes the output of the one new token of sequence b for the heads that
// read key/value head g: y = sum_p exp(lse_p - lse) y_p, lse = log sum_p exp(lse_p).
func (a *cachedRun[T]) combine(b, g int) {
	n := a.past[b] + a.fresh[b]
	if a.fresh[b] == 0 || n <= keyPiece {
		return
	}
	V := a.ValueDim
	for r := range a.group() {
		top, sum := math.Inf(-1), 0.0
		for p := 0; p*keyPiece < n; p++ {
			_, lse := a.piece(b, g, p)
			top = max(top, float64(lse[r]))
		}
		y := a.y[a.rowAt(b, g, r)*V:][:V]
		clear(y)
		for p := 0; p*keyPiece < n; p++ {
			part, lse := a.piece(b, g, p)
			weight := math.Exp(float64(lse[r]) - top)
			sum += weight
			kernel.Axpy(T(weight), part[r*V:(r+1)*V], y)
		}
		kernel.Scale(T(1/sum), y)
	}
}
