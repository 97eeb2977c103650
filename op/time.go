package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: B documents, T tokens, M heads, D width. Tokens are rows, so that an
// attention over time is a matrix A [B*T, M] whose columns sum to one over each
// document's tokens.

// TimeSoftmax is a softmax over the tokens of each document, head by head:
//
//	A_{t,j} = exp(f_{t,j} / temperature) / sum over t' of exp(f_{t',j} / temperature)
//
// scores [B*T, M], lengths [B] integers or nil -> A [B*T, M]. Tokens from a
// document's length on weigh nothing and do not count in the sum.
func TimeSoftmax(t *Tape, scores, lengths *G.Node, batch, seqLen int, temperature float64) *G.Node {
	if t.Dtype == tensor.Float32 {
		return timeSoftmax[float32](t, scores, lengths, batch, seqLen, temperature)
	}
	return timeSoftmax[float64](t, scores, lengths, batch, seqLen, temperature)
}

func timeSoftmax[T kernel.Float](t *Tape, scores, lengths *G.Node, batch, seqLen int, temperature float64) *G.Node {
	operands, m := timeOperands("time_softmax", "scores", scores, lengths, batch, seqLen)
	scale := T(1 / temperature)
	o := t.operator("time_softmax", scores.Shape().Clone(), 0)
	o.run = func(in []G.Value, out *tensor.Dense) error {
		f, a := data[T](in[0]), data[T](out)
		lengths, err := lengthsOf(in, 1, seqLen)
		if err != nil {
			return err
		}
		kernel.Parallel(batch, func(b int) {
			n, at := lengthOf(lengths, b, seqLen), b*seqLen*m
			clear(a[at+n*m : at+seqLen*m])
			if n == 0 {
				return
			}
			rows, done := scratch[T](m * n)
			defer done()
			kernel.Transpose(rows, n, f[at:], m, n, m, false) // [M, n]
			for j := range m {
				kernel.SoftmaxRow(rows[j*n:(j+1)*n], rows[j*n:(j+1)*n], scale)
			}
			kernel.Transpose(a[at:], m, rows, n, m, n, false)
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator("time_softmax.grad", scores.Shape().Clone(), 0)
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, a, df := data[T](in[0]), data[T](in[1]), data[T](out)
			lengths, err := lengthsOf(in, 2, seqLen)
			if err != nil {
				return err
			}
			kernel.Parallel(batch, func(b int) {
				n, at := lengthOf(lengths, b, seqLen), b*seqLen*m
				mean, done := scratch[T](2 * m) // of dA, weighted with A
				defer done()
				mean, product := mean[:m], mean[m:2*m]
				clear(mean)
				for i := at; i < at+n*m; i += m {
					kernel.Mul(product, dy[i:i+m], a[i:i+m])
					kernel.Add(mean, mean, product)
				}
				for i := at; i < at+n*m; i += m {
					for j := range m {
						df[i+j] = scale * a[i+j] * (dy[i+j] - mean[j])
					}
				}
				clear(df[at+n*m : at+seqLen*m])
			})
			return nil
		}
		df := t.apply(back, append(G.Nodes{dy, y}, in[1:]...)...)
		return G.Nodes{df, nil}[:len(in)]
	}
	return t.apply(o, operands...)
}

// timeOperands are x [B*T, C], and lengths [B] if there are any.
func timeOperands(op, what string, x, lengths *G.Node, batch, seqLen int) (operands G.Nodes, cols int) {
	_, cols = matrix(op, what, x)
	wantShape(op, what, x, batch*seqLen, cols)
	if lengths == nil {
		return G.Nodes{x}, cols
	}
	wantShape(op, "lengths", lengths, batch)
	return G.Nodes{x, lengths}, cols
}

// lengthsOf is the checked input i, nil if there is none.
func lengthsOf(in []G.Value, i, seqLen int) ([]int, error) {
	if i >= len(in) {
		return nil, nil
	}
	lengths := ints(in[i])
	return lengths, checkLengths(lengths, seqLen)
}

// lengthOf is the number of tokens of document b that count.
func lengthOf(lengths []int, b, seqLen int) int {
	if lengths == nil {
		return seqLen
	}
	return lengths[b]
}

// TimeMean is the mean of each document's tokens, zero for a document without any:
// y_b = sum over t < length_b of x_{b,t} / length_b.
//
// x [B*T, D], lengths [B] integers or nil -> y [B, D].
func TimeMean(t *Tape, x, lengths *G.Node, batch, seqLen int) *G.Node {
	if t.Dtype == tensor.Float32 {
		return timeMean[float32](t, x, lengths, batch, seqLen)
	}
	return timeMean[float64](t, x, lengths, batch, seqLen)
}

func timeMean[T kernel.Float](t *Tape, x, lengths *G.Node, batch, seqLen int) *G.Node {
	operands, d := timeOperands("time_mean", "x", x, lengths, batch, seqLen)
	o := t.operator("time_mean", tensor.Shape{batch, d})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		lengths, err := lengthsOf(in, 1, seqLen)
		if err != nil {
			return err
		}
		kernel.Parallel(batch, func(b int) {
			n := lengthOf(lengths, b, seqLen)
			kernel.ColSum(y[b*d:(b+1)*d], x[b*seqLen*d:], n, d, false)
			kernel.Scale(1/T(max(n, 1)), y[b*d:(b+1)*d])
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator("time_mean.grad", x.Shape().Clone())
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[0]), data[T](out)
			lengths, err := lengthsOf(in, 1, seqLen)
			if err != nil {
				return err
			}
			kernel.Parallel(batch, func(b int) {
				n, rows := lengthOf(lengths, b, seqLen), dx[b*seqLen*d:(b+1)*seqLen*d]
				clear(rows)
				for i := range n {
					kernel.Axpy(1/T(n), dy[b*d:(b+1)*d], rows[i*d:(i+1)*d])
				}
			})
			return nil
		}
		dx := t.apply(back, append(G.Nodes{dy}, in[1:]...)...)
		return G.Nodes{dx, nil}[:len(in)]
	}
	return t.apply(o, operands...)
}
