package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Dots scores C candidates of each row: y[b,c] = u[b] . v[b*C+c].
//
// u [B, D], v [B*C, D] -> y [B, C]. Backward: du[b] = Σ_c dy[b,c] v[b*C+c], dv[b*C+c] = dy[b,c] u[b].
func Dots(t *Tape, u, v *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return dots[float32](t, u, v)
	}
	return dots[float64](t, u, v)
}

func dots[T kernel.Float](t *Tape, u, v *G.Node) *G.Node {
	rows, d := matrix("dots", "u", u)
	many, _ := matrix("dots", "v", v)
	if rows == 0 || many%rows != 0 || v.Shape()[1] != d {
		panic(&ShapeError{"dots", "v", v.Shape(), "[B*C, D] for u [B, D]"})
	}
	c := many / rows
	o := t.operator("dots", tensor.Shape{rows, c})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		u, v, y := data[T](in[0]), data[T](in[1]), data[T](out)
		kernel.Ranges(rows, bagGrain, func(lo, hi int) {
			for i := lo * c; i < hi*c; i++ {
				b := i / c
				y[i] = kernel.Dot(u[b*d:(b+1)*d], v[i*d:(i+1)*d])
			}
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		var du, dv *G.Node
		if o.wants(0) {
			back := t.operator("dots.grad.u", tensor.Shape{rows, d})
			back.run = func(in []G.Value, out *tensor.Dense) error {
				v, dy, du := data[T](in[0]), data[T](in[1]), data[T](out)
				kernel.Ranges(rows, bagGrain, func(lo, hi int) {
					clear(du[lo*d : hi*d])
					for i := lo * c; i < hi*c; i++ {
						b := i / c
						kernel.Axpy(dy[i], v[i*d:(i+1)*d], du[b*d:(b+1)*d])
					}
				})
				return nil
			}
			du = t.apply(back, in[1], dy)
		}
		if o.wants(1) {
			back := t.operator("dots.grad.v", tensor.Shape{many, d})
			back.run = func(in []G.Value, out *tensor.Dense) error {
				u, dy, dv := data[T](in[0]), data[T](in[1]), data[T](out)
				kernel.Ranges(rows, bagGrain, func(lo, hi int) {
					clear(dv[lo*c*d : hi*c*d])
					for i := lo * c; i < hi*c; i++ {
						b := i / c
						kernel.Axpy(dy[i], u[b*d:(b+1)*d], dv[i*d:(i+1)*d])
					}
				})
				return nil
			}
			dv = t.apply(back, in[0], dy)
		}
		return G.Nodes{du, dv}
	}
	return t.apply(o, u, v)
}
