package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Embedding looks up rows of a table: y[n] = W[ids[n]].
//
// ids [N] integers in [0, V), w [V, D] -> y [N, D]. An id outside the table is an
// error of the run. Backward adds dy[n] to row ids[n] of dW, in the order of n.
func Embedding(ids *G.Node, w Param) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return embedding[float32](ids, w)
	}
	return embedding[float64](ids, w)
}

func embedding[T kernel.Float](ids *G.Node, w Param) *G.Node {
	vocab, d := matrix("embedding", "weight", w.Node)
	if len(ids.Shape()) != 1 {
		panic(&ShapeError{"embedding", "ids", ids.Shape(), "[N]"})
	}
	n := ids.Shape()[0]
	o := w.tape.operator("embedding", tensor.Shape{n, d})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		ids, w, y := ints(in[0]), data[T](in[1]), data[T](out)
		for i, id := range ids {
			if id < 0 || id >= vocab {
				return fmt.Errorf("id %d at position %d, want 0 to %d", id, i, vocab-1)
			}
			copy(y[i*d:(i+1)*d], w[id*d:(id+1)*d])
		}
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := o.tape.operator("embedding.grad", tensor.Shape{1})
		back.byRows = true
		back.run = func(in []G.Value, _ *tensor.Dense) error {
			ids, dy := ints(in[0]), data[T](in[1])
			if w.inRows() {
				return w.deliverRows(func(dst *tensor.Dense, lo, hi int) {
					dw := data[T](dst)
					clear(dw)
					for i, id := range ids {
						if lo <= id && id < hi {
							kernel.Axpy(1, dy[i*d:(i+1)*d], dw[(id-lo)*d:(id-lo+1)*d])
						}
					}
				})
			}
			dst, add := w.open()
			dw := data[T](dst)
			if !add {
				clear(dw)
			}
			for i, id := range ids {
				kernel.Axpy(1, dy[i*d:(i+1)*d], dw[id*d:(id+1)*d])
			}
			return w.close()
		}
		return G.Nodes{nil, o.tape.apply(back, in[0], dy)}
	}
	return w.tape.apply(o, ids, w.Node)
}

// Value is a parameter as an activation: y = w.
func Value(w Param) *G.Node {
	o := w.tape.viewOf("value", w.Shape().Clone(), 0)
	o.run = nothing
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := o.tape.operator("value.grad", tensor.Shape{1})
		if o.tape.Dtype == tensor.Float32 {
			back.run = valueGrad[float32](w)
		} else {
			back.run = valueGrad[float64](w)
		}
		return G.Nodes{o.tape.apply(back, dy)}
	}
	return w.tape.apply(o, w.Node)
}

func valueGrad[T kernel.Float](w Param) func([]G.Value, *tensor.Dense) error {
	return func(in []G.Value, _ *tensor.Dense) error {
		dst, add := w.open()
		if add {
			kernel.Axpy(1, data[T](in[0]), data[T](dst))
		} else {
			copy(data[T](dst), data[T](in[0]))
		}
		return w.close()
	}
}

// Rows picks rows of a matrix: y[i] = x[index[i]].
//
// x [N, D], index [M] integers in [0, N) -> y [M, D]. Backward adds dy[i] to row
// index[i] of dx, in the order of i.
func Rows(t *Tape, x, index *G.Node) *G.Node {
	if t.Dtype == tensor.Float32 {
		return rows[float32](t, x, index)
	}
	return rows[float64](t, x, index)
}

func rows[T kernel.Float](t *Tape, x, index *G.Node) *G.Node {
	n, d := matrix("rows", "x", x)
	if len(index.Shape()) != 1 {
		panic(&ShapeError{"rows", "index", index.Shape(), "[M]"})
	}
	o := t.operator("rows", tensor.Shape{index.Shape()[0], d})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		for i, r := range ints(in[1]) {
			if r < 0 || r >= n {
				return fmt.Errorf("row %d at position %d, want 0 to %d", r, i, n-1)
			}
			copy(y[i*d:(i+1)*d], x[r*d:(r+1)*d])
		}
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator("rows.grad", tensor.Shape{n, d})
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[0]), data[T](out)
			clear(dx)
			for i, r := range ints(in[1]) {
				kernel.Axpy(1, dy[i*d:(i+1)*d], dx[r*d:(r+1)*d])
			}
			return nil
		}
		return G.Nodes{t.apply(back, dy, in[1]), nil}
	}
	return t.apply(o, x, index)
}
