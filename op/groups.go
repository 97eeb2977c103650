package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// ScaleRows scales rows by weights: y[n] = factor w[n] x[n].
//
// x [N, D], w [N, 1] -> y [N, D]. Backward: dx[n] = factor w[n] dy[n], dw[n] = factor x[n] . dy[n].
func ScaleRows(t *Tape, x, w *G.Node, factor float64) *G.Node {
	if t.Dtype == tensor.Float32 {
		return scaleRows[float32](t, x, w, factor)
	}
	return scaleRows[float64](t, x, w, factor)
}

func scaleRows[T kernel.Float](t *Tape, x, w *G.Node, factor float64) *G.Node {
	n, d := matrix("scale_rows", "x", x)
	wantShape("scale_rows", "w", w, n, 1)
	scaled := func(dst, x, w []T) {
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				a := T(factor) * w[i]
				for k := i * d; k < (i+1)*d; k++ {
					dst[k] = a * x[k]
				}
			}
		})
	}
	o := t.operator("scale_rows", tensor.Shape{n, d})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		scaled(data[T](out), data[T](in[0]), data[T](in[1]))
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		grads := make(G.Nodes, 2)
		if o.wants(0) {
			back := t.operator("scale_rows.grad.x", tensor.Shape{n, d})
			back.run = func(in []G.Value, out *tensor.Dense) error {
				scaled(data[T](out), data[T](in[1]), data[T](in[0]))
				return nil
			}
			grads[0] = t.apply(back, in[1], dy)
		}
		if o.wants(1) {
			back := t.operator("scale_rows.grad.w", tensor.Shape{n, 1})
			back.run = func(in []G.Value, out *tensor.Dense) error {
				x, dy, dw := data[T](in[0]), data[T](in[1]), data[T](out)
				kernel.Ranges(n, rowGrain, func(lo, hi int) {
					for i := lo; i < hi; i++ {
						dw[i] = T(factor) * kernel.Dot(x[i*d:(i+1)*d], dy[i*d:(i+1)*d])
					}
				})
				return nil
			}
			grads[1] = t.apply(back, in[0], dy)
		}
		return grads
	}
	return t.apply(o, x, w)
}

// SumGroups sums each g rows that follow one another: y[n] = Σ_k x[n*g+k].
//
// x [N*g, D] -> y [N, D]. Backward: dx[n*g+k] = dy[n].
func SumGroups(t *Tape, x *G.Node, g int) *G.Node {
	if t.Dtype == tensor.Float32 {
		return sumGroups[float32](t, x, g)
	}
	return sumGroups[float64](t, x, g)
}

func sumGroups[T kernel.Float](t *Tape, x *G.Node, g int) *G.Node {
	rows, d := matrix("sum_groups", "x", x)
	if g < 1 || rows == 0 || rows%g != 0 {
		panic(&ShapeError{"sum_groups", "x", x.Shape(), "[N*g, D]"})
	}
	n := rows / g
	o := t.operator("sum_groups", tensor.Shape{n, d})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				row := y[i*d : (i+1)*d]
				copy(row, x[i*g*d:(i*g+1)*d])
				for k := i*g + 1; k < (i+1)*g; k++ {
					kernel.Axpy(1, x[k*d:(k+1)*d], row)
				}
			}
		})
		return nil
	}
	o.grad = func(_ *operator, _ G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("sum_groups.grad", tensor.Shape{rows, d})
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[0]), data[T](out)
			for i := range rows {
				copy(dx[i*d:(i+1)*d], dy[i/g*d:(i/g+1)*d])
			}
			return nil
		}
		return G.Nodes{t.apply(back, dy)}
	}
	return t.apply(o, x)
}
