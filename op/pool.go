package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: B documents, T tokens, M heads, D width.

// TimePool adds up the tokens of each document, weighted by each head:
// S_b = A_bᵀ X_b, its rows side by side.
//
// weights A [B*T, M], x [B*T, D] -> S [B, M*D].
// Backward: dA_b = X_b dS_bᵀ, dX_b = A_b dS_b.
func TimePool(t *Tape, weights, x *G.Node, batch, seqLen int) *G.Node {
	if t.Dtype == tensor.Float32 {
		return timePool[float32](t, weights, x, batch, seqLen)
	}
	return timePool[float64](t, weights, x, batch, seqLen)
}

func timePool[T kernel.Float](t *Tape, weights, x *G.Node, batch, seqLen int) *G.Node {
	_, m := timeOperands("time_pool", "weights", weights, nil, batch, seqLen)
	_, d := timeOperands("time_pool", "x", x, nil, batch, seqLen)
	o := t.operator("time_pool", tensor.Shape{batch, m * d})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		kernel.GemmBatchedAs(t.Precision, true, false, batch, m, d, seqLen, 1, data[T](in[0]), m, seqLen*m, data[T](in[1]), d, seqLen*d, 0, data[T](out), d, m*d)
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		const iDy, iWeights, iX, iAcc = 0, 1, 2, 3
		operands, inPlace := G.Nodes{dy, in[0], in[1]}, []int{iX}
		if acc := takePending(in[1]); acc != nil {
			operands, inPlace = append(operands, acc), []int{iAcc, iX}
		}
		dweights := t.buffer(weights.Shape().TotalSize())
		back := t.operator("time_pool.grad", x.Shape().Clone(), inPlace...)
		back.aux = []*buffer{dweights}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[iDy]), data[T](out)
			kernel.GemmBatchedAs(t.Precision, false, true, batch, seqLen, m, d, 1, data[T](in[iX]), d, seqLen*d, dy, d, m*d, 0, floats[T](dweights), m, seqLen*m)
			var beta T
			if len(in) > iAcc {
				beta = 1
				assign(dx, data[T](in[iAcc])) // x is not read any more
			}
			kernel.GemmBatchedAs(t.Precision, false, false, batch, seqLen, d, m, 1, data[T](in[iWeights]), m, seqLen*m, dy, d, m*d, beta, dx, d, seqLen*d)
			return nil
		}
		dx := t.apply(back, operands...)
		return G.Nodes{t.further(dx, dweights, weights.Shape().Clone()), dx}
	}
	return t.apply(o, weights, x)
}

// HeadPenalty hands its input on and adds to the gradient that of a penalty which
// keeps the heads of a document apart (Lin et al. 2017, section 2.2, equation 8):
//
//	factor * sum over documents of |A_bᵀ A_b - I|², the squared Frobenius norm
//
// weights A [B*T, M] -> the same. Backward: dA_b = dy_b + 4 factor A_b (A_bᵀ A_b - I).
// The penalty itself is not computed: losses stay comparable between networks with
// and without one. Its gradient is that of a loss that is summed over documents.
func HeadPenalty(t *Tape, weights *G.Node, batch, seqLen int, factor float64) *G.Node {
	if t.Dtype == tensor.Float32 {
		return headPenalty[float32](t, weights, batch, seqLen, factor)
	}
	return headPenalty[float64](t, weights, batch, seqLen, factor)
}

func headPenalty[T kernel.Float](t *Tape, weights *G.Node, batch, seqLen int, factor float64) *G.Node {
	_, m := timeOperands("head_penalty", "weights", weights, nil, batch, seqLen)
	shape := weights.Shape().Clone()
	o := t.viewOf("head_penalty", shape, 0)
	o.run = nothing
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator("head_penalty.grad", shape, 0)
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, a, da := data[T](in[0]), data[T](in[1]), data[T](out)
			assign(da, dy)
			kernel.Parallel(batch, func(b int) {
				a, da := a[b*seqLen*m:(b+1)*seqLen*m], da[b*seqLen*m:(b+1)*seqLen*m]
				gram, done := scratch[T](m * m)
				defer done()
				kernel.GemmSerial(true, false, m, m, seqLen, 1, a, m, a, m, 0, gram, m)
				for j := range m {
					gram[j*m+j]--
				}
				kernel.GemmSerial(false, false, seqLen, m, m, T(4*factor), a, m, gram, m, 1, da, m)
			})
			return nil
		}
		return G.Nodes{t.apply(back, dy, y)}
	}
	return t.apply(o, weights)
}
