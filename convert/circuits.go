package convert

import (
	"context"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
)

// Shapes: D model width, H heads and G key/value heads of the parent, K their width; m heads of width C and queries
// through Cq of the MFA. F [D, D] has F Fᵀ = E[xᵀ x], the second moments of the layer's input x [1, D].

// circuits are the four projections of one layer of the parent, in the field's layout [out, in], and the moments of
// what they read. Only products of them matter: head h of group g compares by W_Q_hᵀ W_K_g (its query-key circuit) and
// writes by O_h W_V_g (its value-output circuit).
type circuits struct {
	q, k, v, o    *factor.Matrix // [H K, D], [G K, D], [G K, D], [D, H K]
	heads, groups int            // H, G
	width         int            // K
	root          *factor.Matrix // F
}

// head is the query matrix of head h, [K, D].
func (c circuits) head(h int) *factor.Matrix { return block(c.q, h, c.width) }

// group is the group whose keys and values head h reads.
func (c circuits) group(h int) int { return h / (c.heads / c.groups) }

// queryMetrics are, for each group, the second moments [K, K] of its heads' queries, summed: what an error of a key
// costs, squared, in scores.
func (c circuits) queryMetrics() []*factor.Matrix {
	metrics := zeros(c.groups, c.width)
	for h := range c.heads {
		add(metrics[c.group(h)], gram(c.head(h).Mul(c.root)))
	}
	return metrics
}

// outputMetrics are, for each group, the sum of O_hᵀ O_h [K, K] of its heads: what an error of a value costs in what
// the layer writes.
func (c circuits) outputMetrics() []*factor.Matrix {
	metrics := zeros(c.groups, c.width)
	out := c.o.Transpose() // [H K, D]
	for h := range c.heads {
		add(metrics[c.group(h)], gram(block(out, h, c.width)))
	}
	return metrics
}

// basis is a space of C features that stands for the keys or values y = W x of all groups: the features are s = encode y
// and y is about decode s.
type basis struct {
	encode  *factor.Matrix // Z [C, G K]
	decode  *factor.Matrix // B [G K, C]
	moments *factor.Matrix // of the features, [C, C], on average over their turns
	kept    float64        // share of the energy
}

// sharedBasis returns the C features of w [G K, D] that keep most of E|M y|², M² being the groups' metrics [K, K]: from
// the singular value decomposition M W F = U S Vᵀ, Z = Uᵀ M and B = M⁻¹ U, cut to C columns of U. With C = G K, B Z is
// the identity.
func sharedBasis(ctx context.Context, w *factor.Matrix, metrics []*factor.Matrix, root *factor.Matrix, features int) (basis, error) {
	k := metrics[0].Rows
	scaled := factor.NewMatrix(w.Rows, w.Cols)
	inverses := make([]*factor.Matrix, len(metrics))
	roots := make([]*factor.Matrix, len(metrics))
	for g, metric := range metrics {
		p, err := powers(ctx, metric, 0.5, -0.5)
		if err != nil {
			return basis{}, err
		}
		roots[g], inverses[g] = p[0], p[1]
		copy(block(scaled, g, k).Data, roots[g].Mul(block(w, g, k)).Data)
	}
	d, err := factor.ThinSVD(ctx, scaled.Mul(root), nil)
	if err != nil {
		return basis{}, err
	}
	cut, err := d.Truncate(features)
	if err != nil {
		return basis{}, err
	}
	encode, decode := factor.NewMatrix(w.Rows, features), factor.NewMatrix(w.Rows, features)
	for g := range metrics {
		u := block(cut.U, g, k)
		copy(block(encode, g, k).Data, roots[g].Mul(u).Data)
		copy(block(decode, g, k).Data, inverses[g].Mul(u).Data)
	}
	encode = encode.Transpose()
	return basis{encode, decode, gram(encode.Mul(w).Mul(root)), energy(cut.S) / energy(d.S)}, nil
}

// block views rows [i n, (i+1) n) of a.
func block(a *factor.Matrix, i, n int) *factor.Matrix {
	return &factor.Matrix{Rows: n, Cols: a.Cols, Data: a.Data[i*n*a.Cols : (i+1)*n*a.Cols]}
}

// columns copies columns [i n, (i+1) n) of a.
func columns(a *factor.Matrix, i, n int) *factor.Matrix {
	c := factor.NewMatrix(a.Rows, n)
	for r := range a.Rows {
		copy(c.Row(r), a.Row(r)[i*n:(i+1)*n])
	}
	return c
}

// gram is a aᵀ.
func gram(a *factor.Matrix) *factor.Matrix { return a.Mul(a.Transpose()) }

func zeros(n, size int) []*factor.Matrix {
	all := make([]*factor.Matrix, n)
	for i := range all {
		all[i] = factor.NewMatrix(size, size)
	}
	return all
}

func add(to, a *factor.Matrix) { kernel.Axpy(1, a.Data, to.Data) }

// inner is the sum of a's elements times b's.
func inner(a, b *factor.Matrix) float64 { return kernel.Dot(a.Data, b.Data) }

func energy(s []float64) float64 { return math.Max(kernel.Dot(s, s), math.SmallestNonzeroFloat64) }

// negligible is the eigenvalue, relative to the largest, below which a direction counts as absent: well above the
// rounding of sums of squares, which is 1e-16 of the largest.
const negligible = 1e-13

// powers returns powers of a symmetric positive semidefinite matrix. In directions where it is zero, so are they.
func powers(ctx context.Context, a *factor.Matrix, exponents ...float64) ([]*factor.Matrix, error) {
	d, err := factor.ThinSVD(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	ut := d.U.Transpose()
	var all []*factor.Matrix
	for _, e := range exponents {
		scaled := ut.Clone()
		for i, s := range d.S {
			x := 0.0
			if s > negligible*d.S[0] {
				x = math.Pow(s, e)
			}
			kernel.Scale(x, scaled.Row(i))
		}
		all = append(all, d.U.Mul(scaled))
	}
	return all, nil
}
