package op

import (
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: B documents, T tokens, M heads, R rank of a head, G contexts (1, or B).

// HeadScoresShape describes the scores of words under several heads.
type HeadScoresShape struct {
	Batch, SeqLen int
	Heads         int
	Rank          int
	Tanh          bool // bound each head's score by tanh
	L2Norm        bool // divide a word's scores by their norm over the heads
}

// NormFloor is the smallest norm that HeadScores divides by.
const NormFloor = 1e-8

// HeadScores are low-rank bilinear scores of words against a context (Mehta,
// Rangwala and Ramakrishnan 2019): with the projected context P_jᵀ c and word
// Q_jᵀ u_t, R values a head j,
//
//	p_{t,j} = sum over R of (P_jᵀ c * Q_jᵀ u_t)
//	g_t = tanh(p_t),  f_t = g_t / max(|g_t|, NormFloor)
//
// context [G, M*R], G = 1 or B, words [B*T, M*R] -> f [B*T, M].
//
// Backward, with rho_t the divisor: dg = (df - f (f . df)) / rho, dp = dg (1 - g²);
// where the floor is in force, dg = df / rho.
func HeadScores(t *Tape, context, words *G.Node, s HeadScoresShape) *G.Node {
	n, width := s.Batch*s.SeqLen, s.Heads*s.Rank
	wantShape("head_scores", "words", words, n, width)
	contexts, _ := matrix("head_scores", "context", context)
	if contexts != 1 {
		contexts = s.Batch
	}
	wantShape("head_scores", "context", context, contexts, width)
	if t.Dtype == tensor.Float32 {
		return headScores[float32](t, context, words, s)
	}
	return headScores[float64](t, context, words, s)
}

func headScores[T kernel.Float](t *Tape, context, words *G.Node, s HeadScoresShape) *G.Node {
	n, m, width := s.Batch*s.SeqLen, s.Heads, s.Heads*s.Rank
	stride := width // from a document's context to the next one's
	if context.Shape()[0] == 1 {
		stride = 0
	}
	rho := t.buffer(n)
	o := t.operator("head_scores", tensor.Shape{n, m})
	o.aux = []*buffer{rho}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		context, words, f, rho := data[T](in[0]), data[T](in[1]), data[T](out), floats[T](rho)
		kernel.Parallel(s.Batch, func(b int) {
			c, lo, hi := context[b*stride:][:width], b*s.SeqLen, (b+1)*s.SeqLen
			for t := lo; t < hi; t++ {
				headSums(f[t*m:(t+1)*m], c, words[t*width:], s.Rank)
			}
			if s.Tanh {
				kernel.Tanh(f[lo*m:hi*m], f[lo*m:hi*m])
			}
			for t := lo; t < hi && s.L2Norm; t++ {
				row := f[t*m : (t+1)*m]
				rho[t] = T(max(math.Sqrt(float64(kernel.Dot(row, row))), NormFloor))
				for j := range row {
					row[j] /= rho[t]
				}
			}
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		const iDy, iF, iContext, iWords = 0, 1, 2, 3
		dcontext, shares := t.buffer(context.Shape().TotalSize()), t.buffer(s.Batch*width)
		back := t.operator("head_scores.grad", words.Shape().Clone(), iWords)
		back.aux = []*buffer{rho, dcontext, shares}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			df, f, context, words := data[T](in[iDy]), data[T](in[iF]), data[T](in[iContext]), data[T](in[iWords])
			dwords, rho, shares := data[T](out), floats[T](rho), floats[T](shares) // shares [B, M*R] of each document
			kernel.Parallel(s.Batch, func(b int) {
				c, dc := context[b*stride:][:width], shares[b*width:][:width]
				clear(dc)
				dp, done := scratch[T](m)
				defer done()
				for t := b * s.SeqLen; t < (b+1)*s.SeqLen; t++ {
					sumGrads(s, dp[:m], df[t*m:(t+1)*m], f[t*m:(t+1)*m], rho[t])
					u, du := words[t*width:][:width], dwords[t*width:][:width] // du may be u
					for i := range u {
						d := dp[i/s.Rank]
						dc[i] += d * u[i]
						du[i] = d * c[i]
					}
				}
			})
			if stride == 0 {
				kernel.ColSum(floats[T](dcontext), shares, s.Batch, width, false)
			} else {
				copy(floats[T](dcontext), shares)
			}
			return nil
		}
		dwords := t.apply(back, dy, y, in[0], in[1])
		return G.Nodes{t.further(dwords, dcontext, context.Shape().Clone()), dwords}
	}
	return t.apply(o, context, words)
}

// headSums adds the products of c and u up, head by head.
func headSums[T kernel.Float](p, c, u []T, rank int) {
	for j := range p {
		var sum T
		for i := j * rank; i < (j+1)*rank; i++ {
			sum += c[i] * u[i]
		}
		p[j] = sum
	}
}

// sumGrads turns the gradients df of a word's scores f into those of the sums
// before tanh and norm.
func sumGrads[T kernel.Float](s HeadScoresShape, dp, df, f []T, rho T) {
	if !s.L2Norm {
		rho = 1
	}
	var along T
	if rho > NormFloor && s.L2Norm {
		along = kernel.Dot(f, df)
	}
	for j := range dp {
		dp[j] = (df[j] - f[j]*along) / rho
		if g := f[j] * rho; s.Tanh {
			dp[j] *= 1 - g*g
		}
	}
}
