package interpret

import (
	"cmp"
	"context"
	"math"
	"slices"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// autoencoder writes a vector as b + sum over its K largest codes c_i = ((a - b) E)_i > 0 of c_i d_i (Gao et al. 2024, section 2.3),
// with directions d_i of unit norm.
type autoencoder struct {
	k, width, active int
	encoder, decoder *factor.Matrix // [k, d]
	bias             []float64      // b
}

// Constants of training, in the paper's manner.
const (
	saeBatch   = 256
	saeRate    = 1e-3
	saeBeta1   = 0.9
	saeBeta2   = 0.999
	saeEpsilon = 1e-8
)

// trainSAE trains an autoencoder of k directions on vectors by Adam on the mean squared error over batches drawn from all of them.
// The encoder starts as the decoder. after is told of steps.
func trainSAE(ctx context.Context, a factor.Rows, k, active, steps int, mean []float64, scale float64, seed uint64, after func()) (*autoencoder, error) {
	n, width := a.Size()
	s := &autoencoder{k: k, width: width, active: min(active, k), decoder: factor.NewMatrix(k, width), bias: slices.Clone(mean)}
	r := rng.New(seed, "interpret/sae", 0)
	rng.FillNormal(r, s.decoder.Data, 0, 1)
	for i := range k {
		unit(s.decoder.Row(i))
	}
	s.encoder = s.decoder.Clone()
	encoder, decoder, bias := newAdam(len(s.encoder.Data)), newAdam(len(s.decoder.Data)), newAdam(width)
	batch := factor.NewMatrix(min(saeBatch, n), width)
	for step := 1; step <= steps; step++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i := range batch.Rows {
			row, err := a.Block(r.Intn(n), 1)
			if err != nil {
				return nil, err
			}
			copy(batch.Row(i), row.Data)
			kernel.Axpy(-1, s.bias, batch.Row(i)) // [B, D], less b
		}
		codes := s.codes(batch) // [B, K]
		left := codes.Mul(s.decoder)
		kernel.Scale(-1, left.Data)
		kernel.Axpy(1, batch.Data, left.Data) // a - b - c D: minus half the gradient of the error
		kernel.Scale(2/(float64(batch.Rows)*scale*scale), left.Data)
		toDecoder, toCodes, toEncoder, toBias := factor.NewMatrix(k, width), factor.NewMatrix(batch.Rows, k), factor.NewMatrix(k, width), make([]float64, width)
		kernel.Gemm(true, false, k, width, batch.Rows, -1, codes.Data, k, left.Data, width, 0, toDecoder.Data, width)
		kernel.Gemm(false, true, batch.Rows, k, width, -1, left.Data, width, s.decoder.Data, width, 0, toCodes.Data, k)
		for i, c := range codes.Data {
			if c == 0 {
				toCodes.Data[i] = 0
			}
		}
		kernel.Gemm(true, false, k, width, batch.Rows, 1, toCodes.Data, k, batch.Data, width, 0, toEncoder.Data, width)
		toRows := toCodes.Mul(s.encoder) // the codes see a - b
		for i := range batch.Rows {
			kernel.Axpy(-1, left.Row(i), toBias)
			kernel.Axpy(-1, toRows.Row(i), toBias)
		}
		rate := saeRate * math.Min(1, 5*(1-float64(step)/float64(steps+1))) // falls over the last fifth
		encoder.step(s.encoder.Data, toEncoder.Data, rate, step)
		decoder.step(s.decoder.Data, toDecoder.Data, rate, step)
		bias.step(s.bias, toBias, rate*scale, step)
		for i := range k {
			unit(s.decoder.Row(i))
		}
		after()
	}
	return s, nil
}

// codes are those of vectors less b: of each the largest positive ones.
func (s *autoencoder) codes(rows *factor.Matrix) *factor.Matrix {
	c := factor.NewMatrix(rows.Rows, s.k)
	kernel.Gemm(false, true, rows.Rows, s.k, s.width, 1, rows.Data, s.width, s.encoder.Data, s.width, 0, c.Data, s.k)
	kernel.Ranges(c.Rows, 16, func(lo, hi int) {
		order := make([]int, s.k)
		for i := lo; i < hi; i++ {
			row := c.Row(i)
			for j := range order {
				order[j] = j
			}
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
			for at, j := range order {
				if at >= s.active || row[j] < 0 {
					row[j] = 0
				}
			}
		}
	})
	return c
}

// encode are the codes of all vectors, and the error ||A - reconstruction||/||A||.
func (s *autoencoder) encode(a factor.Rows) (g *factor.Matrix, relative float64, err error) {
	n, _ := a.Size()
	g = factor.NewMatrix(n, s.k)
	left, whole := 0.0, 0.0
	err = blocks(a, func(at int, b *factor.Matrix) {
		whole += kernel.SumSquares(b.Data)
		c := b.Clone()
		for i := range c.Rows {
			kernel.Axpy(-1, s.bias, c.Row(i))
		}
		codes := s.codes(c)
		copy(g.Data[at*s.k:], codes.Data)
		kernel.Axpy(-1, codes.Mul(s.decoder).Data, c.Data)
		left += kernel.SumSquares(c.Data)
	})
	return g, math.Sqrt(left / whole), err
}

// adam is the state of Adam (Kingma and Ba 2015).
type adam struct{ m, v []float64 }

func newAdam(n int) *adam { return &adam{make([]float64, n), make([]float64, n)} }

func (o *adam) step(x, gradient []float64, rate float64, t int) {
	first, second := 1-math.Pow(saeBeta1, float64(t)), 1-math.Pow(saeBeta2, float64(t))
	kernel.Ranges(len(x), 4096, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			g := gradient[i]
			o.m[i] = saeBeta1*o.m[i] + (1-saeBeta1)*g
			o.v[i] = saeBeta2*o.v[i] + (1-saeBeta2)*g*g
			x[i] -= rate * o.m[i] / first / (math.Sqrt(o.v[i]/second) + saeEpsilon)
		}
	})
}
