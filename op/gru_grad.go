package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// gruGrad adds the operator that computes all gradients of a GRU. The recurrent
// part goes step by step, from the last to the first; then the gradients of W_h
// and b_h are products and sums over all tokens at once. Those of W_i, b_i and x
// are the business of the linear layer that made Gates.
func gruGrad[T kernel.Float](o *operator, s gruShape, in G.Nodes, dy *G.Node, gates, states *buffer) G.Nodes {
	t, h, n := o.tape, s.hidden, s.batch*s.seqLen
	shape := tensor.Shape{n, 3 * h}
	dhn, before := t.buffer(len(s.directions)*n*h), t.buffer(len(s.directions)*n*h)
	back := t.operator("gru.grad", shape)
	back.aux = []*buffer{gates, states, dhn, before}
	var further []*buffer
	for range s.directions[1:] {
		further = append(further, t.buffer(n*3*h))
	}
	back.aux = append(back.aux, further...)
	iDy := len(in)
	back.run = func(v []G.Value, out *tensor.Dense) error {
		g := &gruRun[T]{gruShape: s, gates: floats[T](gates), states: floats[T](states),
			dy: data[T](v[iDy]), dhn: floats[T](dhn), before: floats[T](before), dgates: [][]T{data[T](out)}}
		for _, b := range further {
			g.dgates = append(g.dgates, floats[T](b))
		}
		if err := g.bind(v[:iDy]); err != nil {
			return err
		}
		g.each(g.backward)
		for d := range s.directions {
			if err := g.weightGrads(d); err != nil {
				return err
			}
		}
		return nil
	}
	first := t.apply(back, append(append(G.Nodes{}, in...), dy)...)
	grads := make(G.Nodes, len(in))
	for d := range s.directions {
		grads[3*d], grads[3*d+1], grads[3*d+2] = first, first, first
		if d > 0 {
			grads[3*d] = t.further(first, further[d-1], shape)
		}
	}
	return grads
}

// backward goes through a piece from its last step to its first. With dh the
// gradient of h_t, of its output and of the step after it,
//
//	dn = dh (1 - z) (1 - n²)     dz = dh (h_{t-1} - n) z (1 - z)
//	dq = dn r                    dr = dn q r (1 - r)
//	dh_{t-1} = dh z + W_hrᵀ dr + W_hzᵀ dz + W_hnᵀ dq
//
// where dn, dr and dz are of the sums inside the functions, which are also the
// gradients of Gates.
func (g *gruRun[T]) backward(p *gruPiece[T]) {
	h, w := g.hidden, p.w
	size := h * w
	s, done := scratch[T](6 * size)
	defer done()
	dn, dr, dz, dq := s[:size], s[size:2*size], s[2*size:3*size], s[3*size:4*size]
	dh, tmp := s[4*size:5*size], s[5*size:6*size]
	hidden := g.hiddenRows(p.d)
	clear(dh)
	for i := p.longest - 1; i >= 0; i-- {
		t := g.token(p, i)
		row := p.b0*g.seqLen + t
		n, r, z, q := g.step(p, i)
		before := g.state(p, i)[:size]
		kernel.Transpose(tmp, w, g.dy[row*g.width()+p.d*h:], g.seqLen*g.width(), w, h, false)
		kernel.Add(dh, dh, tmp)
		g.mask(p, t, dh)

		copy(dz, before)
		kernel.Axpy(-1, n, dz)
		kernel.Mul(dz, dz, dh)
		kernel.SigmoidGrad(dz, dz, z)
		copy(dn, dh)
		kernel.Mul(dh, dh, z)
		kernel.Axpy(-1, dh, dn) // dh (1 - z)
		kernel.TanhGrad(dn, dn, n)
		kernel.Mul(dq, dn, r)
		kernel.Mul(dr, dn, q)
		kernel.SigmoidGrad(dr, dr, r)
		p.product(true, false, h, w, 3*h, 1, g.wh[p.d], h, s[size:4*size], w, 1, dh, w)

		dx := g.dgates[p.d][row*3*h:]
		kernel.Transpose(dx, g.seqLen*3*h, dr[:2*size:2*size], w, 2*h, w, false) // r and z
		kernel.Transpose(dx[2*h:], g.seqLen*3*h, dn, w, h, w, false)
		kernel.Transpose(hidden.dhn[row*h:], g.seqLen*h, dq, w, h, w, false)
		kernel.Transpose(hidden.before[row*h:], g.seqLen*h, before, w, h, w, false)
	}
	g.clearRest(p, g.dgates[p.d], 3*h, 3*h)
	g.clearRest(p, hidden.dhn, h, h)
	g.clearRest(p, hidden.before, h, h)
}

// gruRows are a direction's rows [B*T, H] that the gradient of W_h is made of:
// dq, and h before each token.
type gruRows[T kernel.Float] struct{ dhn, before []T }

func (g *gruRun[T]) hiddenRows(d int) gruRows[T] {
	size := g.batch * g.seqLen * g.hidden
	return gruRows[T]{g.dhn[d*size : (d+1)*size], g.before[d*size : (d+1)*size]}
}

// weightGrads hands the gradients of W_h and b_h of direction d to their sinks.
func (g *gruRun[T]) weightGrads(d int) error {
	h, n := g.hidden, g.batch*g.seqLen
	rows, dx := g.hiddenRows(d), g.dgates[d]
	w, b := g.directions[d].Weight, g.directions[d].Bias
	if w.wanted() {
		dst, add := w.open()
		dw, beta := data[T](dst), betaOf[T](add)
		kernel.Gemm(true, false, 2*h, h, n, 1, dx, 3*h, rows.before, h, beta, dw, h) // r and z
		kernel.Gemm(true, false, h, h, n, 1, rows.dhn, h, rows.before, h, beta, dw[2*h*h:], h)
	}
	if b.wanted() {
		dst, add := b.open()
		db := data[T](dst)
		if !add {
			clear(db)
		}
		sum, done := scratch[T](3 * h)
		kernel.ColSum(sum[:3*h], dx, n, 3*h, false)
		kernel.Add(db[:2*h], db[:2*h], sum[:2*h])
		done()
		kernel.ColSum(db[2*h:], rows.dhn, n, h, true)
	}
	return closeAll(&w, &b)
}
