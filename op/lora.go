package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Shapes: N rows, I inputs, O outputs, R rank.

// LoRA describes the weight W = W0 + scale B A of Hu et al. (2021, section 4.1):
// W0 is frozen, B is up, A is down. W0 is Base or Packed.
type LoRA struct {
	Base     *Param            // W0 [O, I], of which no gradient is computed
	Packed   *kernel.Quantized // W0 in 8 or 4 bits, row-major; its Codes are nil in a graph that is planned and never run
	Down, Up Param
	Bias     *Param
	Scale    float64 // alpha / R
}

// LoRALinear is y = x W0ᵀ + scale (x Aᵀ) Bᵀ + b.
//
// x [N, I], W0 [O, I], A [R, I], B [O, R], b [O] -> y [N, O].
//
// The factors' product is never formed. With h = x Aᵀ, which is kept, and
// g = dy B: dx = dy W0 + scale g A, dA = scale gᵀ x, dB = scale dyᵀ h,
// db = sum over rows of dy. W0 has no gradient: that saves a third of the work of
// a dense layer. A packed W0 becomes floating-point in a scratch that all layers
// share, in the forward and again in the backward pass.
func LoRALinear(x *G.Node, l LoRA) *G.Node {
	if l.Down.tape.Dtype == tensor.Float32 {
		return lora[float32](x, l)
	}
	return lora[float64](x, l)
}

// loraLayer is a LoRA with its sizes.
type loraLayer[T kernel.Float] struct {
	LoRA
	n, in, out, rank int
	hidden           *buffer // x Aᵀ
}

// Places of the operands after x: A, B, then W0 and the bias if they are there.
const loraDown, loraUp, loraRest = 1, 2, 3

func lora[T kernel.Float](x *G.Node, l LoRA) *G.Node {
	n, in := matrix("lora", "x", x)
	rank, out := l.Down.Shape()[0], l.Up.Shape()[0]
	wantShape("lora", "down", l.Down.Node, rank, in)
	wantShape("lora", "up", l.Up.Node, out, rank)
	t := l.Down.tape
	s := &loraLayer[T]{LoRA: l, n: n, in: in, out: out, rank: rank, hidden: t.buffer(n * rank)}
	operands := []*G.Node{x, l.Down.Node, l.Up.Node}
	o := t.operator("lora", tensor.Shape{n, out})
	o.aux = []*buffer{s.hidden}
	var scratch *buffer
	if l.Packed != nil {
		if have := l.Packed.Elements; have != out*in {
			panic(&ShapeError{"lora", "packed base", tensor.Shape{have}, fmt.Sprintf("%d elements for [%d, %d]", out*in, out, in)})
		}
		scratch = t.buffer(out * in)
		o.aux = append(o.aux, scratch)
	} else {
		wantShape("lora", "base", l.Base.Node, out, in)
		operands = append(operands, l.Base.Node)
	}
	if l.Bias != nil {
		wantShape("lora", "bias", l.Bias.Node, out)
		operands = append(operands, l.Bias.Node)
	}
	o.run = func(v []G.Value, y *tensor.Dense) error {
		x, h, ys := data[T](v[0]), floats[T](s.hidden), data[T](y)
		linearForward(s.reads(), ys, x, s.base(v, scratch), s.bias(v), n)
		kernel.GemmAs(s.reads(), false, true, n, rank, in, 1, x, in, data[T](v[loraDown]), in, 0, h, rank)
		kernel.GemmAs(s.reads(), false, true, n, out, rank, T(s.Scale), h, rank, data[T](v[loraUp]), rank, 1, ys, out)
		return nil
	}
	o.grad = func(o *operator, v G.Nodes, y, dy *G.Node) G.Nodes {
		dx := s.backward(o, v, dy)
		grads := make(G.Nodes, len(v))
		for i := range grads {
			grads[i] = dx
		}
		return grads
	}
	return t.apply(o, operands...)
}

// reads is the precision of the layer's products.
func (s *loraLayer[T]) reads() kernel.Precision { return s.Down.tape.Precision }

// base is W0 [O, I], in scratch if it is stored packed.
func (s *loraLayer[T]) base(v []G.Value, scratch *buffer) []T {
	if s.Packed == nil {
		return data[T](v[loraRest])
	}
	w := floats[T](scratch)
	kernel.Dequantize(w, *s.Packed)
	return w
}

func (s *loraLayer[T]) bias(v []G.Value) []T {
	if s.Bias == nil {
		return nil
	}
	return data[T](v[loraRest+btoi(s.Packed == nil)])
}

// backward adds the operator that computes all gradients of the layer.
func (s *loraLayer[T]) backward(o *operator, v G.Nodes, dy *G.Node) *G.Node {
	t := o.tape
	wantX := o.wants(0)
	operands := append(append(G.Nodes{}, v...), dy)
	iDy, iAcc := len(v), len(v)+1
	shape, inPlace := tensor.Shape{1}, []int(nil)
	if wantX {
		// x is read before dx is written, so dx may take its place.
		shape, inPlace = tensor.Shape{s.n, s.in}, []int{0}
		if acc := takePending(v[0]); acc != nil {
			operands = append(operands, acc)
			inPlace = []int{iAcc, 0}
		}
	}
	back := t.operator("lora.grad", shape, inPlace...)
	dh := t.buffer(s.n * s.rank)
	back.aux = []*buffer{dh, s.hidden}
	var scratch *buffer
	if s.Packed != nil && wantX {
		scratch = t.buffer(s.out * s.in)
		back.aux = append(back.aux, scratch)
	}
	back.run = func(v []G.Value, dx *tensor.Dense) error {
		dy, g := data[T](v[iDy]), floats[T](dh)
		kernel.GemmAs(s.reads(), false, false, s.n, s.rank, s.out, 1, dy, s.out, data[T](v[loraUp]), s.rank, 0, g, s.rank)
		s.factorGrads(v, dy, g)
		if wantX {
			d := data[T](dx)
			var beta T
			if iAcc < len(v) {
				beta = 1
				assign(d, data[T](v[iAcc]))
			}
			kernel.GemmAs(s.reads(), false, false, s.n, s.in, s.out, 1, dy, s.out, s.base(v, scratch), s.in, beta, d, s.in)
			kernel.GemmAs(s.reads(), false, false, s.n, s.in, s.rank, T(s.Scale), g, s.rank, data[T](v[loraDown]), s.in, 1, d, s.in)
		}
		return closeAll(&s.Down, &s.Up, s.Bias)
	}
	return t.apply(back, operands...)
}

// factorGrads hands the gradients of A, B and the bias to their sinks; g is dy B.
func (s *loraLayer[T]) factorGrads(v []G.Value, dy, g []T) {
	if s.Down.wanted() {
		d, add := s.Down.open()
		kernel.GemmAs(s.reads(), true, false, s.rank, s.in, s.n, T(s.Scale), g, s.rank, data[T](v[0]), s.in, betaOf[T](add), data[T](d), s.in)
	}
	if s.Up.wanted() {
		d, add := s.Up.open()
		kernel.GemmAs(s.reads(), true, false, s.out, s.rank, s.n, T(s.Scale), dy, s.out, floats[T](s.hidden), s.rank, betaOf[T](add), data[T](d), s.rank)
	}
	if s.Bias != nil && s.Bias.wanted() {
		d, add := s.Bias.open()
		kernel.ColSum(data[T](d), dy, s.n, s.out, add)
	}
}
