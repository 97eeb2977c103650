package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: N rows, H heads.

// JoinHeads puts b, which all heads share, behind each head of a: y_h = [a_h; b].
//
// a [N, H*A], b [N, B] -> y [N, H*(A+B)].
//
// Backward: da_h is the first part of dy_h, db the sum over heads of the second.
func JoinHeads(t *Tape, a, b *G.Node, heads int) *G.Node {
	if t.Dtype == tensor.Float32 {
		return joinHeads[float32](t, a, b, heads)
	}
	return joinHeads[float64](t, a, b, heads)
}

func joinHeads[T kernel.Float](t *Tape, a, b *G.Node, heads int) *G.Node {
	n, width := matrix("join_heads", "a", a)
	rows, shared := matrix("join_heads", "b", b)
	if rows != n || heads < 1 || width%heads != 0 {
		panic(&ShapeError{"join_heads", "a", a.Shape(), fmt.Sprintf("%d rows in %d heads", rows, heads)})
	}
	own := width / heads
	both := own + shared
	o := t.operator("join_heads", tensor.Shape{n, heads * both})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		a, b, y := data[T](in[0]), data[T](in[1]), data[T](out)
		kernel.Ranges(n, rowGrain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				for h := i * heads; h < (i+1)*heads; h++ {
					copy(y[h*both:], a[h*own:(h+1)*own])
					copy(y[h*both+own:], b[i*shared:(i+1)*shared])
				}
			}
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		db := t.buffer(n * shared)
		back := t.operator("join_heads.grad", tensor.Shape{n, width})
		back.aux = []*buffer{db}
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, da, db := data[T](in[0]), data[T](out), floats[T](db)
			kernel.Ranges(n, rowGrain, func(lo, hi int) {
				clear(db[lo*shared : hi*shared])
				for i := lo; i < hi; i++ {
					for h := i * heads; h < (i+1)*heads; h++ {
						copy(da[h*own:(h+1)*own], dy[h*both:])
						kernel.Axpy(1, dy[h*both+own:(h+1)*both], db[i*shared:(i+1)*shared])
					}
				}
			})
			return nil
		}
		da := t.apply(back, dy)
		return G.Nodes{da, t.further(da, db, tensor.Shape{n, shared})}
	}
	return t.apply(o, a, b)
}

// MapHeads multiplies the front of every head by a matrix of its own and keeps the
// rest: y_h = [x_h W_h; rest_h], or with transposed [x_h W_hᵀ; rest_h]. It has no
// backward pass: it is how decoding absorbs a projection into its neighbour.
//
// x [N, H*(I+rest)], w [H*A, R], W_h its rows h*A.. -> y [N, H*(O+rest)], where
// I, O are A, R, or with transposed R, A.
func MapHeads(t *Tape, x, w *G.Node, heads int, transposed bool) *G.Node {
	if t.Dtype == tensor.Float32 {
		return mapHeads[float32](t, x, w, heads, transposed)
	}
	return mapHeads[float64](t, x, w, heads, transposed)
}

func mapHeads[T kernel.Float](t *Tape, x, w *G.Node, heads int, transposed bool) *G.Node {
	n, width := matrix("map_heads", "x", x)
	all, rank := matrix("map_heads", "w", w)
	if heads < 1 || all%heads != 0 || width%heads != 0 {
		panic(&ShapeError{"map_heads", "w", w.Shape(), fmt.Sprintf("rows in %d heads", heads)})
	}
	in, out := all/heads, rank
	if transposed {
		in, out = rank, all/heads
	}
	head := width / heads
	rest := head - in
	if rest < 0 {
		panic(&ShapeError{"map_heads", "x", x.Shape(), fmt.Sprintf("%d heads of width %d or more", heads, in)})
	}
	to := out + rest
	o := t.operator("map_heads", tensor.Shape{n, heads * to})
	o.run = func(operands []G.Value, result *tensor.Dense) error {
		x, w, y := data[T](operands[0]), data[T](operands[1]), data[T](result)
		kernel.Parallel(heads, func(h int) {
			kernel.GemmSerial(false, transposed, n, out, in, 1, x[h*head:], width, w[h*all/heads*rank:], rank, 0, y[h*to:], heads*to)
			for i := range n {
				copy(y[(i*heads+h)*to+out:(i*heads+h+1)*to], x[(i*heads+h)*head+in:])
			}
		})
		return nil
	}
	return t.apply(o, x, w)
}

// Transpose is y = xᵀ. It has no backward pass.
//
// x [N, D] -> y [D, N].
func Transpose(t *Tape, x *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return transpose[float32](t, x)
	}
	return transpose[float64](t, x)
}

func transpose[T kernel.Float](t *Tape, x *G.Node) *G.Node {
	n, d := matrix("transpose", "x", x)
	o := t.operator("transpose", tensor.Shape{d, n})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		kernel.Ranges(d, rowGrain, func(lo, hi int) {
			for j := lo; j < hi; j++ {
				for i := range n {
					y[j*n+i] = x[i*d+j]
				}
			}
		})
		return nil
	}
	return t.apply(o, x)
}
