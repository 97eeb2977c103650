package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// IntegerLinear is y = x Wᵀ + b with W [O, I] in 8 or 4 bits and x rounded to 8, by products of integers: see
// [kernel.GemmIntegers], which says how far it is off. It has no backward pass: a tape that asks for a gradient below it fails.
//
// x [N, I], b [O] or nil -> y [N, O], all in float32. w may be a plan in a graph that never runs.
func IntegerLinear(t *Tape, x *G.Node, w *kernel.Integers, b *Param) *G.Node {
	n, in := matrix("integer_linear", "x", x)
	if in != w.In {
		panic(&ShapeError{"integer_linear", "x", x.Shape(), fmt.Sprintf("[N, %d]", w.In)})
	}
	wantFloat32(t, "integer_linear")
	operands := []*G.Node{x}
	if b != nil {
		wantShape("integer_linear", "bias", b.Node, w.Out)
		operands = append(operands, b.Node)
	}
	o := t.operator("integer_linear", tensor.Shape{n, w.Out})
	o.run = func(v []G.Value, y *tensor.Dense) error {
		kernel.GemmIntegers(n, data[float32](v[0]), in, w, biasOf[float32](v, 1), data[float32](y), w.Out)
		return nil
	}
	o.grad = noGradient("integer_linear")
	return t.apply(o, operands...)
}

// IntegerRows looks up rows of W [V, D] in 8 or 4 bits, y[n] = W[ids[n]], without a backward pass.
//
// ids [N] integers in [0, V) -> y [N, D] in float32. An id outside the table is an error of the run.
func IntegerRows(t *Tape, ids *G.Node, w *kernel.Integers) *G.Node {
	if len(ids.Shape()) != 1 {
		panic(&ShapeError{"integer_rows", "ids", ids.Shape(), "[N]"})
	}
	wantFloat32(t, "integer_rows")
	n := ids.Shape()[0]
	o := t.operator("integer_rows", tensor.Shape{n, w.In})
	o.run = func(v []G.Value, y *tensor.Dense) error {
		rows := data[float32](y)
		for i, id := range ints(v[0]) {
			if id < 0 || id >= w.Out {
				return fmt.Errorf("id %d at position %d, want 0 to %d", id, i, w.Out-1)
			}
			w.Row(rows[i*w.In:(i+1)*w.In], id)
		}
		return nil
	}
	o.grad = noGradient("integer_rows")
	return t.apply(o, ids)
}

func wantFloat32(t *Tape, name string) {
	if t.Dtype != tensor.Float32 {
		panic(&ShapeError{name, "type of the graph", nil, "float32, not " + t.Dtype.String()})
	}
}
