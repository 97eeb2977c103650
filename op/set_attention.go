package op

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: B batch, T queries, C channels; of a set of keys: S keys, H heads, K
// head width.

// KeySet is a part of the channels of a [SetAttention] and the keys that it sees.
type KeySet struct {
	Keys        int     // S, for each element of the batch
	Heads       int     // H
	HeadDim     int     // K
	Query       int     // column of q where the first head starts
	QueryStride int     // columns of q from a head to the next; 0: HeadDim
	Out         int     // column of y where the first head starts; heads stand side by side
	Scale       float64 // of the scores; 0: 1/sqrt(HeadDim)

	// Regions, if any, are numbers of the T queries, which are the keys too, of P
	// elements of the batch, [P*T]; element b has those of b mod P. A query sees
	// the keys of its own region only.
	Regions []int32
}

// SetAttention is attention in which parts of the channels have key sets of their
// own: for every set and head
//
//	y[:, out] = softmax(scale * q[:, query] Kᵀ) V.
//
// q [B*T, C], and for each set k and v [B*S, H*K] -> y [B*T, C]. The sets' parts
// must cover the channels of q, and those of y, once.
//
// Forward in training keeps log-sum-exp of each row; backward recomputes the
// probabilities.
func SetAttention(t *Tape, q *G.Node, batch int, sets []KeySet, keysAndValues ...*G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return setAttention[float32](t, q, batch, sets, keysAndValues)
	}
	return setAttention[float64](t, q, batch, sets, keysAndValues)
}

// checkSets panics unless the operands are what the sets say; it returns the sets
// with their defaults.
func checkSets(q *G.Node, batch int, sets []KeySet, kv []*G.Node) []KeySet {
	const op = "set_attention"
	rows, c := matrix(op, "q", q)
	if batch < 1 || rows%batch != 0 || len(sets) == 0 || len(kv) != 2*len(sets) {
		panic(&ShapeError{op, "q", q.Shape(), fmt.Sprintf("rows of %d sequences, and keys and values of %d sets, not %d operands", batch, len(sets), len(kv))})
	}
	n := rows / batch
	asked, written := make([]int, c+1), make([]int, c+1)
	mark := func(columns []int, at, width int) {
		for i := at; i < at+width; i++ {
			if i < 0 || i >= c {
				i = c
			}
			columns[i]++
			if i == c {
				return
			}
		}
	}
	checked := make([]KeySet, len(sets))
	for i, s := range sets {
		if s.QueryStride == 0 {
			s.QueryStride = s.HeadDim
		}
		if s.Scale == 0 {
			s.Scale = 1 / math.Sqrt(float64(s.HeadDim))
		}
		for h := range s.Heads {
			mark(asked, s.Query+h*s.QueryStride, s.HeadDim)
		}
		mark(written, s.Out, s.Heads*s.HeadDim)
		wantShape(op, "k", kv[2*i], batch*s.Keys, s.Heads*s.HeadDim)
		wantShape(op, "v", kv[2*i+1], batch*s.Keys, s.Heads*s.HeadDim)
		if s.Regions != nil && (s.Keys != n || len(s.Regions)%n != 0 || batch%(len(s.Regions)/n) != 0) {
			panic(&ShapeError{op, "regions", tensor.Shape{len(s.Regions)}, fmt.Sprintf("one of each of %d keys, repeated over %d sequences", n, batch)})
		}
		checked[i] = s
	}
	for i := range c {
		if asked[i] != 1 || written[i] != 1 {
			panic(&ShapeError{op, "q", q.Shape(), fmt.Sprintf("parts that cover it: column %d is read %d times and written %d times", i, asked[i], written[i])})
		}
	}
	if asked[c]+written[c] > 0 {
		panic(&ShapeError{op, "q", q.Shape(), "parts inside it"})
	}
	return checked
}

func setAttention[T kernel.Float](t *Tape, q *G.Node, batch int, sets []KeySet, kv []*G.Node) *G.Node {
	sets = checkSets(q, batch, sets, kv)
	rows, c := matrix("set_attention", "q", q)
	n := rows / batch
	heads := 0
	var headOf [][2]int // set and head by their common number
	for i, s := range sets {
		for h := range s.Heads {
			headOf = append(headOf, [2]int{i, h})
		}
		heads += s.Heads
	}
	keep := t.Training() // logarithms of sums of exponentials, for the gradients
	lse := t.buffer(batch * heads * n)
	o := t.operator("set_attention", q.Shape().Clone())
	o.aux = []*buffer{lse}
	shape := setShape{sets: sets, headOf: headOf, queries: n, width: c, reads: t.Precision}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		a := setRun[T]{setShape: shape, q: data[T](in[0]), y: data[T](out), lse: floats[T](lse), kv: in[1:], keep: keep}
		blocks := (n + setBlock - 1) / setBlock
		kernel.Parallel(batch*blocks, func(i int) {
			for head := range headOf {
				a.forward(i/blocks, head, i%blocks*setBlock)
			}
		})
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		const iDy, iQ, iKV = 0, 1, 2
		back := t.operator("set_attention.grad", q.Shape().Clone())
		back.aux = []*buffer{lse}
		splits := shape.splits(batch)
		var grads, parts []*buffer
		for _, x := range kv {
			size := x.Shape().TotalSize()
			grads = append(grads, t.buffer(size))
			if splits > 1 {
				parts = append(parts, t.buffer((splits-1)*size))
			}
		}
		back.aux = append(append(back.aux, grads...), parts...)
		back.run = func(in []G.Value, out *tensor.Dense) error {
			a := setRun[T]{setShape: shape, dy: data[T](in[iDy]), q: data[T](in[iQ]), kv: in[iKV:], lse: floats[T](lse), dq: data[T](out), grads: grads, parts: parts}
			kernel.Parallel(batch*heads*splits, func(i int) { a.backward(i/splits/heads, i/splits%heads, i%splits, splits) })
			for i, p := range parts {
				sum, shares := floats[T](grads[i]), floats[T](p)
				for at := 0; at < len(shares); at += len(sum) {
					kernel.Add(sum, sum, shares[at:])
				}
			}
			return nil
		}
		dq := t.apply(back, append(G.Nodes{dy}, in...)...)
		all := G.Nodes{dq}
		for i, g := range grads {
			all = append(all, t.further(dq, g, kv[i].Shape().Clone()))
		}
		return all
	}
	return t.apply(o, append(G.Nodes{q}, kv...)...)
}

// setBlock is how many queries are multiplied with all keys at a time.
const setBlock = 128

// setShape is what every run of one operator has in common.
type setShape struct {
	sets    []KeySet
	headOf  [][2]int
	queries int // T
	width   int // C
	reads   kernel.Precision
}

// splits is how many shares the queries of one head are cut into in the backward
// pass, each with sums of its own for the keys and values, so that a few heads over
// one image keep all threads at work. It depends on the shape only, as the sums do.
func (s setShape) splits(batch int) int {
	tasks := batch * len(s.headOf)
	blocks := (s.queries + setBlock - 1) / setBlock
	return max(1, min((setTasks+tasks-1)/tasks, blocks))
}

// setTasks is how many pieces of parallel work the backward pass makes at least, if
// it has blocks of queries enough.
const setTasks = 8

// setRun is one execution: the operands as slices.
type setRun[T kernel.Float] struct {
	setShape
	q, y, lse, dy, dq []T
	kv                []G.Value
	grads             []*buffer
	parts             []*buffer // further shares of grads
	keep              bool      // lse
}

// block is the work on up to setBlock queries from i0 of element b by one head.
type block[T kernel.Float] struct {
	KeySet
	k, v, lse       []T
	rows, ldkv      int
	query, out, key int // where the block starts in q, in y, in k and v
}

func (a *setRun[T]) block(b, head, i0 int) block[T] {
	s, h := a.sets[a.headOf[head][0]], a.headOf[head][1]
	w := block[T]{KeySet: s, rows: min(setBlock, a.queries-i0), ldkv: s.Heads * s.HeadDim}
	first := (b*a.queries + i0) * a.width
	w.query, w.out = first+s.Query+h*s.QueryStride, first+s.Out+h*s.HeadDim
	w.key = b*s.Keys*w.ldkv + h*s.HeadDim
	w.k = data[T](a.kv[2*a.headOf[head][0]])[w.key:]
	w.v = data[T](a.kv[2*a.headOf[head][0]+1])[w.key:]
	w.lse = a.lse[(b*len(a.headOf)+head)*a.queries+i0:][:w.rows]
	return w
}

// scores writes q Kᵀ, with -Inf where a query must not look.
func (a *setRun[T]) scores(w block[T], s []T, b, i0 int) {
	kernel.GemmSerialAs(a.reads, false, true, w.rows, w.Keys, w.HeadDim, 1, a.q[w.query:], a.width, w.k, w.ldkv, 0, s, w.Keys)
	if w.Regions == nil {
		return
	}
	regions := w.Regions[b%(len(w.Regions)/w.Keys)*w.Keys:][:w.Keys]
	for r := range w.rows {
		row := s[r*w.Keys : (r+1)*w.Keys]
		for j := range row {
			if regions[j] != regions[i0+r] {
				row[j] = T(math.Inf(-1))
			}
		}
	}
}

func (a *setRun[T]) forward(b, head, i0 int) {
	w := a.block(b, head, i0)
	s, done := scratch[T](w.rows*w.Keys + w.rows)
	defer done()
	s, sums := s[:w.rows*w.Keys], s[w.rows*w.Keys:]
	a.scores(w, s, b, i0)
	for r := range w.rows {
		row := s[r*w.Keys : (r+1)*w.Keys]
		top := T(w.Scale) * kernel.MaxValue(row)
		sums[r] = kernel.ExpShift(row, row, T(w.Scale), top)
		if a.keep {
			w.lse[r] = top + T(math.Log(float64(sums[r])))
		}
	}
	y := a.y[w.out:]
	kernel.GemmSerialAs(a.reads, false, false, w.rows, w.HeadDim, w.Keys, 1, s, w.Keys, w.v, w.ldkv, 0, y, a.width)
	for r := range w.rows {
		kernel.Scale(1/sums[r], y[r*a.width:][:w.HeadDim])
	}
}

// backward computes, of one head of element b, dq of every splits-th block of
// queries from block split on, and their share of dk and dv. With P the
// probabilities, row by row: dV = Pᵀ dY, dP = dY Vᵀ, dS = scale P (dP - sum(P dP)),
// dQ = dS K, dK = dSᵀ Q.
func (a *setRun[T]) backward(b, head, split, splits int) {
	set := a.headOf[head][0]
	share := func(i int) []T {
		if split == 0 {
			return floats[T](a.grads[i])
		}
		return floats[T](a.parts[i])[(split-1)*a.grads[i].n:]
	}
	dks, dvs := share(2*set), share(2*set+1)
	for i0 := split * setBlock; i0 < a.queries; i0 += splits * setBlock {
		w := a.block(b, head, i0)
		dk, dv := dks[w.key:], dvs[w.key:]
		n := w.rows * w.Keys
		mem, done := scratch[T](2 * n)
		p, dp := mem[:n], mem[n:2*n]
		a.scores(w, p, b, i0)
		dy := a.dy[w.out:]
		kernel.GemmSerialAs(a.reads, false, true, w.rows, w.Keys, w.HeadDim, 1, dy, a.width, w.v, w.ldkv, 0, dp, w.Keys)
		for r := range w.rows {
			prow, dprow := p[r*w.Keys:(r+1)*w.Keys], dp[r*w.Keys:(r+1)*w.Keys]
			kernel.ExpShift(prow, prow, T(w.Scale), w.lse[r])
			kernel.SoftmaxGradRow(dprow, prow, dprow, kernel.Dot(prow, dprow), T(w.Scale))
		}
		beta := betaOf[T](i0 > split*setBlock)
		kernel.GemmSerialAs(a.reads, true, false, w.Keys, w.HeadDim, w.rows, 1, p, w.Keys, dy, a.width, beta, dv, w.ldkv)
		kernel.GemmSerialAs(a.reads, true, false, w.Keys, w.HeadDim, w.rows, 1, dp, w.Keys, a.q[w.query:], a.width, beta, dk, w.ldkv)
		dq := a.dq[w.query:]
		kernel.GemmSerialAs(a.reads, false, false, w.rows, w.HeadDim, w.Keys, 1, dp, w.Keys, w.k, w.ldkv, 0, dq, a.width)
		done()
	}
}
