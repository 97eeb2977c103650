package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// backwardTasks is how many pieces of parallel work the backward pass makes at
// least, if it has rows enough.
const backwardTasks = 8

// splits is how many shares the rows of one key/value head are cut into, each with
// sums of its own for dk and dv. It depends on the shape only, so that the sums
// come out the same for any number of threads.
func (s AttentionShape) splits() int {
	heads := max(1, s.Batch*s.KVHeads)
	return min((backwardTasks+heads-1)/heads, max(1, s.rowBlocks()))
}

func attentionGrad[T kernel.Float](t *Tape, in G.Nodes, y, dy *G.Node, kept *buffer, keeps bool, s AttentionShape) G.Nodes {
	const iDy, iY, iQ, iK, iV, iLengths = 0, 1, 2, 3, 4, 5
	k, v := in[1], in[2]
	dk, dv := t.buffer(k.Shape().TotalSize()), t.buffer(v.Shape().TotalSize())
	back := t.operator("attention.grad", in[0].Shape().Clone(), iQ)
	back.aux = []*buffer{kept, dk, dv}
	splits := s.splits()
	var parts *buffer
	if splits > 1 {
		parts = t.buffer((splits - 1) * (dk.n + dv.n))
		back.aux = append(back.aux, parts)
	}
	back.run = func(in []G.Value, out *tensor.Dense) error {
		a := &attentionRun[T]{AttentionShape: s, reads: t.Precision, q: data[T](in[iQ]), k: data[T](in[iK]), v: data[T](in[iV]), y: data[T](in[iY]), kept: floats[T](kept), keeps: keeps,
			dy: data[T](in[iDy]), dq: data[T](out), dk: floats[T](dk), dv: floats[T](dv)}
		if parts != nil {
			a.parts = floats[T](parts)
		}
		if err := a.setLengths(in, iLengths); err != nil {
			return err
		}
		kernel.Parallel(s.Batch*s.KVHeads*splits, func(i int) {
			a.backward(i/splits/s.KVHeads, i/splits%s.KVHeads, i%splits, splits)
		})
		for p := range splits - 1 {
			part := a.parts[p*(dk.n+dv.n):]
			kernel.Ranges(dk.n, elementGrain, func(lo, hi int) { kernel.Add(a.dk[lo:hi], a.dk[lo:hi], part[lo:hi]) })
			kernel.Ranges(dv.n, elementGrain, func(lo, hi int) { kernel.Add(a.dv[lo:hi], a.dv[lo:hi], part[dk.n+lo:dk.n+hi]) })
		}
		return nil
	}
	dq := t.apply(back, append(G.Nodes{dy, y}, in...)...)
	return G.Nodes{dq, t.further(dq, dk, k.Shape().Clone()), t.further(dq, dv, v.Shape().Clone()), nil}[:len(in)]
}

// backward computes dq of every splits-th block of the rows that read key/value
// head g of sequence b, from block split on, and their share of its dk and dv.
// With P the probabilities, row by row:
// dV = Pᵀ dY, dP = dY Vᵀ, dS = scale P (dP - sum(dY Y)), dQ = dS K, dK = dSᵀ Q.
func (a *attentionRun[T]) backward(b, g, split, splits int) {
	dks, dvs := a.dk, a.dv
	if split > 0 {
		at := (split - 1) * (len(a.dk) + len(a.dv))
		dks, dvs = a.parts[at:at+len(a.dk)], a.parts[at+len(a.dk):at+len(a.dk)+len(a.dv)]
	}
	dk, ldk := a.keyRows(dks, b, g)
	dv, ldv := a.valueRows(dvs, b, g)
	// Without a causal mask, all rows see the same keys, so the first block may overwrite dk and dv.
	untouched := 0
	if !a.Causal && split < a.rowBlocks() {
		sees := a.sees(b, 0)
		untouched = sees.visible(0, 0, a.SeqLen)
	}
	for i := untouched; i < a.SeqLen; i++ {
		clear(dk[i*ldk : i*ldk+a.HeadDim])
		clear(dv[i*ldv : i*ldv+a.ValueDim])
	}
	for block := split; block < a.rowBlocks(); block += splits {
		a.backwardBlock(dk, dv, b, g, block*a.blockRows(), a.Causal || block > split)
	}
}

// backwardBlock adds the shares of rows r0.. to dk and dv, or without add writes them.
func (a *attentionRun[T]) backwardBlock(dk, dv []T, b, g, r0 int, add bool) {
	K, V := a.HeadDim, a.ValueDim
	rows := min(a.blockRows(), a.foldedRows()-r0)
	lse, kept := a.keptOf(b, g, r0, rows)
	mem, done := scratch[T](rows * (2*keyBlock + 2*K + 2*V + 1))
	defer done()
	take := func(width int) []T {
		m := mem[:rows*width]
		mem = mem[rows*width:]
		return m
	}
	p, dp, dqi, delta := take(keyBlock), take(keyBlock), take(K), take(1)
	q, ldq := fold(a.AttentionShape, a.q, K, take(K), b, g, r0, rows)
	dy, ldy := fold(a.AttentionShape, a.dy, V, take(V), b, g, r0, rows)
	if kept != nil {
		p = kept
	} else {
		y, _ := fold(a.AttentionShape, a.y, V, take(V), b, g, r0, rows)
		for r := range rows {
			delta[r] = kernel.Dot(dy[r*ldy:r*ldy+V], y[r*ldy:r*ldy+V])
		}
	}
	keys, ldk := a.keyRows(a.k, b, g)
	values, ldv := a.valueRows(a.v, b, g)
	sees := a.sees(b, r0)
	end := sees.visible(rows-1, 0, a.SeqLen)
	beta := betaOf[T](add)
	dqs, lddq := dqi, K
	if step := a.rowStride(); step > 0 && end <= keyBlock {
		dqs, lddq = a.dq[a.rowAt(b, g, r0)*K:], step*K // dq may be q: its rows are not read after the last product
	}
	if end == 0 {
		for r := range rows {
			clear(dqs[r*lddq : r*lddq+K])
		}
	}
	for j0 := 0; j0 < end; j0 += keyBlock {
		cols := min(keyBlock, end-j0)
		k, v := keys[j0*ldk:], values[j0*ldv:]
		if kept == nil {
			kernel.GemmSerialAs(a.reads, false, true, rows, cols, K, 1, q, ldq, k, ldk, 0, p, cols)
		}
		kernel.GemmSerialAs(a.reads, false, true, rows, cols, V, 1, dy, ldy, v, ldv, 0, dp, cols)
		for r := range rows {
			prow, dprow := p[r*cols:(r+1)*cols], dp[r*cols:(r+1)*cols]
			seen := sees.visible(r, j0, cols)
			clear(dprow[seen:])
			if kept == nil {
				clear(prow[seen:])
			}
			if seen > 0 {
				if kept == nil {
					kernel.ExpShift(prow[:seen], prow[:seen], T(a.Scale), lse[r])
				} else {
					kernel.Scale(1/kernel.Sum(prow[:seen]), prow[:seen])
					delta[r] = kernel.Dot(prow[:seen], dprow[:seen]) // the same sum; y need not be read
				}
				kernel.SoftmaxGradRow(dprow[:seen], prow[:seen], dprow[:seen], delta[r], T(a.Scale))
			}
		}
		kernel.GemmSerialAs(a.reads, true, false, cols, V, rows, 1, p, cols, dy, ldy, beta, dv[j0*ldv:], ldv)
		kernel.GemmSerialAs(a.reads, true, false, cols, K, rows, 1, dp, cols, q, ldq, beta, dk[j0*ldk:], ldk)
		kernel.GemmSerialAs(a.reads, false, false, rows, K, cols, 1, dp, cols, k, ldk, betaOf[T](j0 > 0), dqs, lddq)
	}
	if lddq == K && &dqs[0] == &dqi[0] {
		for r := range rows { // dq may be q: its rows are not read again
			copy(a.dq[a.rowAt(b, g, r0+r)*K:][:K], dqi[r*K:(r+1)*K])
		}
	}
}
