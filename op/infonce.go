package op

import (
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// InfoNCE tells two views of one thing from those of others (van den Oord et al. 2018, both ways as in CLIP): with a[n] = x[n] and
// b[n] = x[N+n] brought to length 1 and s(n,m) = a[n].b[m] / temperature, over the n and m that marks keep,
//
//	factor/2 Σ_n (log Σ_m exp s(n,m) - s(n,n)) + (log Σ_m exp s(m,n) - s(n,n))
//
// A row without a direction counts as 0. Rows whose mark is Ignored are left out, such as those of what is there twice.
//
// x [2N, D], marks [N] integers -> loss [1].
func InfoNCE(t *Tape, x, marks *G.Node, temperature, factor float64) *G.Node {
	if t.Dtype == tensor.Float32 {
		return infoNCE[float32](t, x, marks, temperature, factor)
	}
	return infoNCE[float64](t, x, marks, temperature, factor)
}

func infoNCE[T kernel.Float](t *Tape, x, marks *G.Node, temperature, factor float64) *G.Node {
	rows, d := matrix("info_nce", "x", x)
	if rows == 0 || rows%2 != 0 {
		panic(&ShapeError{"info_nce", "x", x.Shape(), "[2*N, D]"})
	}
	wantShape("info_nce", "marks", marks, rows/2)
	o := t.operator("info_nce", tensor.Shape{1})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		v := newViews(data[T](in[0]), ints(in[1]), d, temperature)
		data[T](out)[0] = T(factor * v.loss())
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("info_nce.grad", tensor.Shape{rows, d})
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dx := data[T](out)
			clear(dx)
			newViews(data[T](in[0]), ints(in[1]), d, temperature).backward(dx, T(factor)*data[T](in[2])[0]/T(temperature))
			return nil
		}
		return G.Nodes{t.apply(back, in[0], in[1], dy), nil}
	}
	return t.apply(o, x, marks)
}

// views are the rows that are kept, at length 1, and the similarities of all pairs.
type views[T kernel.Float] struct {
	d      int
	rows   []int // their places in x, first views and then second ones
	n      int   // half of them
	unit   []T   // [2n, D]
	length []T   // before
	s      []T   // [n, n]
	across []T   // log Σ_m exp s(n,m)
	down   []T   // log Σ_m exp s(m,n)
}

func newViews[T kernel.Float](x []T, marks []int, d int, temperature float64) *views[T] {
	v := &views[T]{d: d}
	for half := range 2 {
		for i, mark := range marks {
			if mark != Ignored {
				v.rows = append(v.rows, half*len(marks)+i)
			}
		}
	}
	v.n = len(v.rows) / 2
	v.unit, v.length = make([]T, len(v.rows)*d), make([]T, len(v.rows))
	for i, row := range v.rows {
		a := x[row*d : (row+1)*d]
		if v.length[i] = T(math.Sqrt(kernel.SumSquares(a))); v.length[i] > 0 {
			kernel.Axpy(1/v.length[i], a, v.unit[i*d:(i+1)*d])
		}
	}
	n := v.n
	v.s, v.across, v.down = make([]T, n*n), make([]T, n), make([]T, n)
	if n == 0 {
		return v
	}
	kernel.Gemm(false, true, n, n, d, T(1/temperature), v.unit, d, v.unit[n*d:], d, 0, v.s, n)
	column := make([]T, n)
	for i := range n {
		v.across[i] = kernel.LogSumExp(v.s[i*n:(i+1)*n], 1)
		for j := range n {
			column[j] = v.s[j*n+i]
		}
		v.down[i] = kernel.LogSumExp(column, 1)
	}
	return v
}

func (v *views[T]) loss() (sum float64) {
	for i := range v.n {
		sum += (float64(v.across[i]) + float64(v.down[i])) / 2
		sum -= float64(v.s[i*v.n+i])
	}
	return sum
}

// backward adds the gradient times scale to dx.
func (v *views[T]) backward(dx []T, scale T) {
	n, d := v.n, v.d
	if n == 0 {
		return
	}
	ds := make([]T, n*n)
	kernel.Ranges(n, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j := range n {
				s := float64(v.s[i*n+j])
				ds[i*n+j] = scale * T((math.Exp(s-float64(v.across[i]))+math.Exp(s-float64(v.down[j])))/2)
			}
			ds[i*n+i] -= scale
		}
	})
	du := make([]T, 2*n*d)
	kernel.Gemm(false, false, n, d, n, 1, ds, n, v.unit[n*d:], d, 0, du, d)
	kernel.Gemm(true, false, n, d, n, 1, ds, n, v.unit, d, 0, du[n*d:], d)
	for i, row := range v.rows {
		if v.length[i] == 0 {
			continue
		}
		u, g := v.unit[i*d:(i+1)*d], du[i*d:(i+1)*d]
		along := kernel.Dot(u, g)
		for k := range d {
			dx[row*d+k] = (g[k] - along*u[k]) / v.length[i]
		}
	}
}
