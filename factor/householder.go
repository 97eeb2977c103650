package factor

import (
	"math"

	"sparrow/kernel"
)

// panelWidth is the number of columns reduced before the rest of the matrix is updated by one product.
const panelWidth = 32

// reflectors are the Householder vectors of one panel: H_0 H_1 ... = I - V T Vᵀ, acting on the coordinates from offset on.
type reflectors struct {
	offset, rows, count int
	v                   []float64 // [rows, count]
	t                   []float64 // [count, count], upper triangular
}

// tridiagonal reduces the symmetric matrix a [n, n] (both triangles, destroyed) to T = Qᵀ A Q with diagonal d and
// off-diagonal e; Q is the product of the panels in order.
//
// This is LAPACK's blocked dsytrd: a panel's columns are brought up to date one by one with A - V Wᵀ - W Vᵀ, the rest
// by one product at the panel's end. The full square is kept, so that a symmetric product is a plain one with long rows.
func tridiagonal(j *job, a []float64, n int) (d, e []float64, panels []reflectors, err error) {
	d, e = make([]float64, n), make([]float64, max(n-1, 0))
	// Row i of p is v0 w0 v1 w1 ..., of q w0 v0 w1 v1 ...: A - p qᵀ is the updated matrix.
	width := 2 * panelWidth
	p, q := make([]float64, n*width), make([]float64, n*width)
	column, w, short := make([]float64, n), make([]float64, n), make([]float64, width)
	for j0 := 0; j0 < n-1; j0 += panelWidth {
		if err := j.step(min(panelWidth, n-j0)); err != nil {
			return nil, nil, nil, err
		}
		count := min(panelWidth, n-1-j0)
		rows := n - j0 - 1
		panel := reflectors{offset: j0 + 1, rows: rows, count: count, v: make([]float64, rows*count)}
		taus := make([]float64, count)
		clear(p)
		clear(q)
		for i := range count {
			c := j0 + i
			m := n - c // length of the column from the diagonal on
			x := column[:m]
			copy(x, a[c*n+c:c*n+n]) // row c is column c
			if i > 0 {
				kernel.Gemm(false, false, m, 1, 2*i, -1, p[c*width:], width, q[c*width:], 1, 1, x, 1)
			}
			d[c] = x[0]
			v := x[1:]
			tau, beta := reflect(v)
			e[c], taus[i] = beta, tau
			for r, value := range v {
				panel.v[(i+r)*count+i] = value
			}
			// w = tau (A v - p qᵀ v), then w -= tau/2 (wᵀv) v
			y := w[:m-1]
			kernel.Gemm(false, false, m-1, 1, m-1, tau, a[(c+1)*n+c+1:], n, v, 1, 0, y, 1)
			if i > 0 {
				kernel.Gemm(false, false, 1, 2*i, m-1, tau, v, m-1, q[(c+1)*width:], width, 0, short, width)
				kernel.Gemm(false, false, m-1, 1, 2*i, -1, p[(c+1)*width:], width, short, 1, 1, y, 1)
			}
			kernel.Axpy(-0.5*tau*kernel.Dot(y, v), v, y)
			for r := range v {
				at := (c+1+r)*width + 2*i
				p[at], p[at+1] = v[r], y[r]
				q[at], q[at+1] = y[r], v[r]
			}
		}
		next := j0 + count
		if m := n - next; m > 0 {
			subtract(a[next*n+next:], n, p[next*width:], q[next*width:], width, m, 2*count)
		}
		panel.t = triangle(panel.v, taus, rows, count)
		panels = append(panels, panel)
	}
	if n > 0 {
		d[n-1] = a[n*n-1]
	}
	return d, e, panels, nil
}

// subtract computes A -= P Qᵀ for the symmetric A [m, m] with row stride n and P, Q [m, depth] whose product is symmetric: the
// part below the diagonal, which is copied to the one above.
func subtract(a []float64, n int, p, q []float64, width, m, depth int) {
	const block = 192 // rows of a product: enough for the kernel, and little waste on the diagonal
	for lo := 0; lo < m; lo += block {
		hi := min(lo+block, m)
		kernel.Gemm(false, true, hi-lo, hi, depth, -1, p[lo*width:], width, q, width, 1, a[lo*n:], n)
		if lo > 0 {
			kernel.Transpose(a[lo:], n, a[lo*n:], n, hi-lo, lo, false)
		}
	}
}

// reflect makes x a Householder vector v with v[0] = 1 such that (I - tau v vᵀ) x = beta e_0.
func reflect(x []float64) (tau, beta float64) {
	if len(x) == 0 {
		return 0, 0
	}
	alpha := x[0]
	rest := x[1:]
	scale := 0.0
	for _, v := range rest {
		scale = max(scale, math.Abs(v))
	}
	if scale == 0 {
		x[0] = 1
		return 0, alpha
	}
	// The exponent keeps squares of tiny columns from vanishing.
	exponent := exponentOf(max(scale, math.Abs(alpha)))
	shrink := math.Ldexp(1, -max(min(exponent, 1000), -1000))
	kernel.Scale(shrink, rest)
	alpha *= shrink
	norm := math.Sqrt(alpha*alpha + kernel.Dot(rest, rest))
	beta = -math.Copysign(norm, alpha)
	tau = (beta - alpha) / beta
	kernel.Scale(1/(alpha-beta), rest)
	x[0] = 1
	return tau, beta / shrink
}

// triangle returns the T of I - V T Vᵀ = H_0 H_1 ... (LAPACK's dlarft, forward).
func triangle(v, taus []float64, rows, count int) []float64 {
	g, t := make([]float64, count*count), make([]float64, count*count)
	kernel.Gemm(true, false, count, count, rows, 1, v, count, v, count, 0, g, count)
	for i := range count {
		t[i*count+i] = taus[i]
		for r := range i {
			sum := 0.0
			for k := r; k < i; k++ {
				sum += t[r*count+k] * g[k*count+i]
			}
			t[r*count+i] = -taus[i] * sum
		}
	}
	return t
}

// applyRows computes X Qᵀ for the rows of x [rows, n]: eigenvectors of T, as rows, become those of A.
func applyRows(j *job, panels []reflectors, x []float64, rows, n int) error {
	y, z := make([]float64, rows*panelWidth), make([]float64, rows*panelWidth)
	for i := len(panels) - 1; i >= 0; i-- {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		p := &panels[i]
		part := x[p.offset:]
		kernel.Gemm(false, false, rows, p.count, p.rows, 1, part, n, p.v, p.count, 0, y, p.count)
		kernel.Gemm(false, true, rows, p.count, p.count, 1, y, p.count, p.t, p.count, 0, z, p.count)
		kernel.Gemm(false, true, rows, p.rows, p.count, -1, z, p.count, p.v, p.count, 1, part, n)
	}
	return nil
}
