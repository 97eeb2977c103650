package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// QuantizedLinear is y = x Wᵀ + b for W [O, I] in 8 or 4 bits, row-major, which is read as it is. It has no backward pass: a
// tape that asks for a gradient below it fails.
//
// x [N, I], b [O] or nil -> y [N, O], bit by bit that of [Linear] over W's values. The Codes of w are nil in a graph that is
// planned and never run.
func QuantizedLinear(t *Tape, x *G.Node, w kernel.Quantized, out int, b *Param) *G.Node {
	if t.Dtype == tensor.Float32 {
		return quantizedLinear[float32](t, x, w, out, b)
	}
	return quantizedLinear[float64](t, x, w, out, b)
}

func quantizedLinear[T kernel.Float](t *Tape, x *G.Node, w kernel.Quantized, out int, b *Param) *G.Node {
	n, in := matrix("quantized_linear", "x", x)
	wantElements("quantized_linear", w, out, in)
	operands := []*G.Node{x}
	if b != nil {
		wantShape("quantized_linear", "bias", b.Node, out)
		operands = append(operands, b.Node)
	}
	o := t.operator("quantized_linear", tensor.Shape{n, out})
	o.run = func(v []G.Value, y *tensor.Dense) error {
		kernel.GemmQuantized(n, out, in, data[T](v[0]), in, w, biasOf[T](v, 1), data[T](y), out)
		return nil
	}
	o.grad = noGradient("quantized_linear")
	return t.apply(o, operands...)
}

// Dequantized is the values of W [O, I] in 8 or 4 bits, made anew in every run, for operators without a backward pass that
// read a weight as a value. name is that of an input of the graph, the scales of W. Its Codes are nil in a graph that is
// planned and never run.
func Dequantized(t *Tape, name string, w kernel.Quantized, out, in int) *G.Node {
	wantElements("dequantized", w, out, in)
	o := t.operator("dequantized", tensor.Shape{out, in})
	if t.Dtype == tensor.Float32 {
		o.run = dequantize[float32](w)
	} else {
		o.run = dequantize[float64](w)
	}
	var scales *tensor.Dense
	blocks := (w.Elements + w.Block - 1) / w.Block
	if w.AbsMax != nil {
		scales = tensor.New(tensor.WithShape(blocks), tensor.WithBacking(w.AbsMax))
	}
	return t.apply(o, t.leaf(name, tensor.Float32, tensor.Shape{blocks}, scales))
}

func dequantize[T kernel.Float](w kernel.Quantized) func([]G.Value, *tensor.Dense) error {
	return func(_ []G.Value, y *tensor.Dense) error {
		kernel.Dequantize(data[T](y), w)
		return nil
	}
}

func wantElements(name string, w kernel.Quantized, out, in int) {
	if w.Elements != out*in {
		panic(&ShapeError{name, "weight", tensor.Shape{w.Elements}, fmt.Sprintf("%d elements for [%d, %d]", out*in, out, in)})
	}
}

// noGradient is the grad of an operator whose inputs may want gradients that it cannot give.
func noGradient(name string) func(*operator, G.Nodes, *G.Node, *G.Node) G.Nodes {
	return func(*operator, G.Nodes, *G.Node, *G.Node) G.Nodes {
		panic(fmt.Errorf("op: %s has no gradient: its weight is in few bits, to be used and not trained", name))
	}
}
