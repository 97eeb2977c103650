package convert

import (
	"context"
	"math"

	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/kernel"
)

// Kept is the share of energy, the sum of squares, that the factors of one layer keep of what they stand for; in 1 - x
// it is the squared relative error. Values count by what they write, keys by the scores that they give, queries
// by the scores over the keys that are left.
type Kept struct {
	Keys, Queries, Values float64
}

// factors are the matrices of one MFA layer, in the field's layout [out, in].
type factors struct {
	q  *factor.Matrix // S_Q [Cq, D]
	wq *factor.Matrix // of all heads, [m C, Cq]
	k  *factor.Matrix // S_K [C, D]
	v  *factor.Matrix // S_V [C, D]
	o  *factor.Matrix // [D, m C]
	Kept
}

// factorize approximates the circuits by those of an MFA: head h of the parent becomes head h, with
//
//	S_V = Z_V W_V, O'_h = O_h B_V,g       of sharedBasis of the values
//	S_K = Z_K W_K, Q_h = B_K,gᵀ W_Q,h     of that of the keys, or with r of rotatingBasis
//
// and Q = [Q_1; ..; Q_H] cut to rank Cq: with A the features' moments and A^(1/2) Q F = U S Vᵀ, S_Q = Uᵀ A^(1/2) Q and the
// second matrix A^(-1/2) U, times sqrt(C/K), because scores are divided by sqrt(C) in place of sqrt(K). Further heads have
// random queries and write nothing, so that they change nothing until they are trained.
//
// Every row of S_Q, S_K and S_V has the size of the parent's rows on average; what is multiplied with it takes the rest.
func (c circuits) factorize(ctx context.Context, s Sizes, r *rotation, random *rng.Source) (*factors, error) {
	values, err := sharedBasis(ctx, c.v, c.outputMetrics(), c.root, s.HeadDim)
	if err != nil {
		return nil, err
	}
	var keys basis
	if r != nil {
		keys, err = c.rotatingBasis(ctx, r, s.HeadDim, random)
	} else {
		keys, err = sharedBasis(ctx, c.k, c.queryMetrics(), c.root, s.HeadDim)
	}
	if err != nil {
		return nil, err
	}
	f := &factors{Kept: Kept{Keys: keys.kept, Values: values.kept}}
	f.v, f.k = values.encode.Mul(c.v), keys.encode.Mul(c.k)
	scaleColumns(values.decode, level(f.v, c.v, 1))
	pairs := 1
	if r != nil {
		pairs = 2 // only both features of a pair may be scaled, by the same number
	}
	scales := level(f.k, c.k, pairs)
	scaleColumns(keys.decode, scales)
	for i, s := range scales { // the features are divided by s
		kernel.Scale(1/s, keys.moments.Row(i))
		for j := range keys.moments.Rows {
			keys.moments.Row(j)[i] /= s
		}
	}
	if err := c.factorizeQueries(ctx, f, keys, s, random); err != nil {
		return nil, err
	}
	f.o = factor.NewMatrix(c.o.Rows, s.NHead*s.HeadDim)
	for h := range c.heads {
		part := columns(c.o, h, c.width).Mul(block(values.decode, c.group(h), c.width)) // [D, C]
		for i := range part.Rows {
			copy(f.o.Row(i)[h*s.HeadDim:], part.Row(i))
		}
	}
	return f, nil
}

// factorizeQueries fills in the two matrices of the queries.
func (c circuits) factorizeQueries(ctx context.Context, f *factors, keys basis, s Sizes, random *rng.Source) error {
	roots, err := powers(ctx, keys.moments, 0.5, -0.5)
	if err != nil {
		return err
	}
	stack := factor.NewMatrix(c.heads*s.HeadDim, c.q.Cols) // A^(1/2) Q
	for h := range c.heads {
		q := block(keys.decode, c.group(h), c.width).Transpose().Mul(c.head(h)) // [C, D]
		copy(block(stack, h, s.HeadDim).Data, roots[0].Mul(q).Data)
	}
	d, err := factor.ThinSVD(ctx, stack.Mul(c.root), nil)
	if err != nil {
		return err
	}
	cut, err := d.Truncate(s.QRank)
	if err != nil {
		return err
	}
	f.Queries = energy(cut.S) / energy(d.S)
	f.q = cut.U.Transpose().Mul(stack)
	scales := level(f.q, c.q, 1)
	f.wq = factor.NewMatrix(s.NHead*s.HeadDim, s.QRank)
	for h := range c.heads {
		copy(block(f.wq, h, s.HeadDim).Data, roots[1].Mul(block(cut.U, h, s.HeadDim)).Data)
	}
	scaleColumns(f.wq, scales)
	kernel.Scale(math.Sqrt(float64(s.HeadDim)/float64(c.width)), f.wq.Data)
	old, more := f.wq.Data[:c.heads*s.HeadDim*s.QRank], f.wq.Data[c.heads*s.HeadDim*s.QRank:]
	rng.FillNormal(random, more, 0, math.Sqrt(kernel.Dot(old, old)/float64(len(old))))
	return nil
}

// level divides every row of a by a number, so that its root mean square is that of the parent's matrix, and returns
// the numbers. With pairs = 2, rows i and i + n/2 share one.
func level(a, parent *factor.Matrix, pairs int) []float64 {
	mean := kernel.Dot(parent.Data, parent.Data) / float64(parent.Rows)
	scales := make([]float64, a.Rows)
	n := a.Rows / pairs
	for i := range n {
		sum := 0.0
		for p := range pairs {
			sum += kernel.Dot(a.Row(i+p*n), a.Row(i+p*n))
		}
		scale := math.Sqrt(sum / float64(pairs) / mean)
		if !(scale > 0) || math.IsInf(scale, 0) {
			scale = 1 // a feature without weights, or a parent without
		}
		for p := range pairs {
			scales[i+p*n] = scale
			kernel.Scale(1/scale, a.Row(i+p*n))
		}
	}
	return scales
}

func scaleColumns(a *factor.Matrix, by []float64) {
	for i := range a.Rows {
		for j, s := range by {
			a.Row(i)[j] *= s
		}
	}
}
