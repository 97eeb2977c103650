package recommend

import (
	"context"
	"math"

	"sparrow/factor"
)

// Power makes a round of subspace iteration on Xᵀ X: v [items, r], with orthonormal columns from the first round on, becomes an
// orthonormal basis of Xᵀ X v. In the last round the basis is turned to the directions of the singular vectors (Rayleigh and Ritz), in
// falling order, and those after the first d are set to zero. It returns the share of the squares of X that v vᵀ leaves out.
//
// PureSVD (Cremonesi, Koren and Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys 2010, eq. 6)
// scores s = x V Vᵀ, with V the d leading right singular vectors of X.
func Power(ctx context.Context, v []float32, x, users Sets, r, d int, last bool) (float64, error) {
	w := make([]float64, len(v))
	for i, a := range v {
		w[i] = float64(a)
	}
	y := make([]float64, x.Rows()*r)
	times(y, x, w, r)
	times(w, users, y, r)
	orthonormal(w, r)
	times(y, x, w, r)
	gram := factor.NewMatrix(r, r)
	for u := range x.Rows() {
		row := y[u*r : (u+1)*r]
		for a, p := range row {
			if p != 0 {
				to := gram.Row(a)
				for b, q := range row {
					to[b] += p * q
				}
			}
		}
	}
	kept := 0.0
	if last {
		s, err := factor.ThinSVD(ctx, gram, nil) // of a symmetric matrix: its eigenvectors
		if err != nil {
			return 0, err
		}
		turn(w, s.U, r, d)
		for _, x := range s.S[:d] {
			kept += x
		}
	} else {
		for a := range r {
			kept += gram.Row(a)[a]
		}
	}
	for i, a := range w {
		v[i] = float32(a)
	}
	return 1 - kept/float64(len(x.Items)), nil
}

// turn makes w := w u, of which the columns from d on are zero.
func turn(w []float64, u *factor.Matrix, r, d int) {
	row := make([]float64, r)
	for i := 0; i < len(w); i += r {
		copy(row, w[i:i+r])
		clear(w[i : i+r])
		for a, x := range row {
			for b, y := range u.Row(a)[:d] {
				w[i+b] += x * y
			}
		}
	}
}

// orthonormal makes the r columns of w orthonormal by Gram and Schmidt, twice each, from the first on. A column that depends on those
// before it becomes zero.
func orthonormal(w []float64, r int) {
	n := len(w) / r
	dot := func(a, b int) (s float64) {
		for i := range n {
			s += w[i*r+a] * w[i*r+b]
		}
		return s
	}
	for c := range r {
		before := dot(c, c)
		for range 2 {
			for e := range c {
				p := dot(c, e)
				for i := range n {
					w[i*r+c] -= p * w[i*r+e]
				}
			}
		}
		scale := 0.0
		if s := dot(c, c); s > 1e-24*before && s > 0 {
			scale = 1 / math.Sqrt(s)
		}
		for i := range n {
			w[i*r+c] *= scale
		}
	}
}
