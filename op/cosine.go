package op

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// PairCosines is the cosine of the angle between the two rows of each pair, which are next to each other, and 0 where one of
// them has no direction.
//
// x [2N, D] -> y [N, 1], y[n] = a·b / (|a| |b|) of a = x[2n], b = x[2n+1].
// Backward: da = dy (b / (|a| |b|) - y a / |a|²), db alike; 0 where y is 0 for want of a direction.
func PairCosines(t *Tape, x *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return pairCosines[float32](t, x)
	}
	return pairCosines[float64](t, x)
}

func pairCosines[T kernel.Float](t *Tape, x *G.Node) *G.Node {
	rows, d := matrix("pair_cosines", "x", x)
	if rows == 0 || rows%2 != 0 {
		panic(&ShapeError{"pair_cosines", "x", x.Shape(), fmt.Sprintf("[2*N, %d]", d)})
	}
	n := rows / 2
	o := t.operator("pair_cosines", tensor.Shape{n, 1})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		for i := range n {
			a, b := x[2*i*d:(2*i+1)*d], x[(2*i+1)*d:(2*i+2)*d]
			ab, aa, bb := products(a, b)
			y[i] = 0
			if aa > 0 && bb > 0 {
				y[i] = T(ab / math.Sqrt(aa) / math.Sqrt(bb))
			}
		}
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("pair_cosines.grad", tensor.Shape{rows, d})
		back.run = func(in []G.Value, out *tensor.Dense) error {
			x, dy, dx := data[T](in[0]), data[T](in[1]), data[T](out)
			for i := range n {
				a, b := x[2*i*d:(2*i+1)*d], x[(2*i+1)*d:(2*i+2)*d]
				da, db := dx[2*i*d:(2*i+1)*d], dx[(2*i+1)*d:(2*i+2)*d]
				ab, aa, bb := products(a, b)
				if !(aa > 0 && bb > 0) {
					clear(da)
					clear(db)
					continue
				}
				over := float64(dy[i]) / math.Sqrt(aa) / math.Sqrt(bb)
				for j := range d {
					x, y := float64(a[j]), float64(b[j])
					da[j], db[j] = T(over*(y-ab/aa*x)), T(over*(x-ab/bb*y))
				}
			}
			return nil
		}
		return G.Nodes{t.apply(back, in[0], dy)}
	}
	return t.apply(o, x)
}

// products are a·b, a·a and b·b, in float64.
func products[T kernel.Float](a, b []T) (ab, aa, bb float64) {
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab, aa, bb
}
