package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// rowGrain is how many rows of a matrix one piece of parallel work covers. It is
// fixed, so that sums over rows come out the same for any number of threads.
const rowGrain = 64

// RMSNorm is y = x / sqrt(mean(x²) + eps) * w, over the last dimension
// (Zhang and Sennrich 2019, equation 4).
//
// x [N, D], w [D] -> y [N, D].
func RMSNorm(x *G.Node, w Param, eps float64) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return norm[float32](x, w, nil, eps)
	}
	return norm[float64](x, w, nil, eps)
}

// LayerNorm is y = (x - mean(x)) / sqrt(var(x) + eps) * w + b, over the last
// dimension, with the biased variance (Ba, Kiros and Hinton 2016).
//
// x [N, D], w [D], b [D] -> y [N, D].
func LayerNorm(x *G.Node, w, b Param, eps float64) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return norm[float32](x, w, &b, eps)
	}
	return norm[float64](x, w, &b, eps)
}

// norm is a layer norm, or without b an RMS norm. Forward keeps mean and
// 1/deviation of each row.
func norm[T kernel.Float](x *G.Node, w Param, b *Param, eps float64) *G.Node {
	name := "rms_norm"
	if b != nil {
		name = "layer_norm"
	}
	n, d := matrix(name, "x", x)
	wantShape(name, "weight", w.Node, d)
	operands := []*G.Node{x, w.Node}
	if b != nil {
		wantShape(name, "bias", b.Node, d)
		operands = append(operands, b.Node)
	}
	t := w.tape
	mean, rstd := t.buffer(n), t.buffer(n)
	o := t.operator(name, tensor.Shape{n, d})
	o.aux = []*buffer{mean, rstd}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, w, y := data[T](in[0]), data[T](in[1]), data[T](out)
		mean, rstd := floats[T](mean), floats[T](rstd)
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			if b == nil {
				kernel.RMSNorm(y[lo*d:hi*d], x[lo*d:hi*d], w, rstd[lo:hi], hi-lo, d, T(eps))
				return
			}
			kernel.LayerNorm(y[lo*d:hi*d], x[lo*d:hi*d], w, data[T](in[2]), mean[lo:hi], rstd[lo:hi], hi-lo, d, T(eps))
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		dx := normGrad[T](o, in, dy, w, b, mean, rstd)
		return G.Nodes{dx, dx, dx}[:len(in)]
	}
	return t.apply(o, operands...)
}

// normGrad adds the backward operator. Each piece of rows sums its share of the
// weights' gradients, and the shares are added in order.
func normGrad[T kernel.Float](o *operator, in G.Nodes, dy *G.Node, w Param, b *Param, mean, rstd *buffer) *G.Node {
	const iDy, iX, iW, iAcc = 0, 1, 2, 3
	n, d := matrix(o.name, "x", in[0])
	operands := []*G.Node{dy, in[0], in[1]}
	acc := takePending(in[0])
	if acc != nil {
		operands = append(operands, acc)
	}
	t := o.tape
	pieces := (n + rowGrain - 1) / rowGrain
	parts := t.buffer(pieces * d * 2) // per piece: dw, then db
	back := t.operator(o.name+".grad", tensor.Shape{n, d}, iDy)
	back.aux = []*buffer{mean, rstd, parts}
	back.run = func(in []G.Value, out *tensor.Dense) error {
		dy, x, wt, dx := data[T](in[iDy]), data[T](in[iX]), data[T](in[iW]), data[T](out)
		mean, rstd, parts := floats[T](mean), floats[T](rstd), floats[T](parts)
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			part := parts[lo/rowGrain*2*d:][:2*d]
			clear(part)
			dxp, dyp, xp := dx[lo*d:hi*d], dy[lo*d:hi*d], x[lo*d:hi*d]
			if b == nil {
				kernel.RMSNormGrad(dxp, part[:d], dyp, xp, wt, rstd[lo:hi], hi-lo, d)
			} else {
				kernel.LayerNormGrad(dxp, part[:d], part[d:], dyp, xp, wt, mean[lo:hi], rstd[lo:hi], hi-lo, d)
			}
			if len(in) > iAcc {
				kernel.Add(dxp, dxp, data[T](in[iAcc])[lo*d:hi*d])
			}
		})
		sumParts(w, parts, 0, pieces, d)
		if b != nil {
			sumParts(*b, parts, d, pieces, d)
		}
		return closeAll(&w, b)
	}
	return t.apply(back, operands...)
}

// sumParts adds up the pieces' shares of p's gradient, which start at offset.
func sumParts[T kernel.Float](p Param, parts []T, offset, pieces, d int) {
	if !p.wanted() {
		return
	}
	dst, add := p.open()
	g := data[T](dst)
	if !add {
		clear(g)
	}
	for i := range pieces {
		kernel.Axpy(1, parts[i*2*d+offset:][:d], g)
	}
}
