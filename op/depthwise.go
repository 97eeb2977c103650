package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// DepthwiseShape describes a 3x3 depthwise convolution with stride 1 and zero
// padding 1.
type DepthwiseShape struct {
	Map
	Residual bool // y = x + convolution of x

	// Activation of [Activation], if not "", is applied to the sum while its line is
	// still in a cache. Only a tape that does not train can have one: the gradient
	// wants the sum too.
	Activation string
}

// DepthwiseConv convolves each channel with a 3x3 kernel of its own,
//
//	y[i,j,c] = b[c] + sum over k, l in 0..2 of w[c,0,k,l] * x[i+k-1,j+l-1,c],
//
// plus x with Residual, then by an activation if there is one. Pixels outside the
// map are 0.
//
// x [B*H*W, C], w [C, 1, 3, 3], b [C] -> y [B*H*W, C].
//
// Backward: dx is the convolution of dy with w turned by 180 degrees, dw the
// products of dy with x under each tap, db the sum over rows of dy.
func DepthwiseConv(x *G.Node, w, b Param, s DepthwiseShape) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return depthwiseConv[float32](x, w, b, s)
	}
	return depthwiseConv[float64](x, w, b, s)
}

// depthwiseTaps is the number of weights of a channel.
const depthwiseTaps = 9

func depthwiseConv[T kernel.Float](x *G.Node, w, b Param, s DepthwiseShape) *G.Node {
	c := s.check("depthwise_conv", x)
	wantShape("depthwise_conv", "weight", w.Node, c, 1, 3, 3)
	wantShape("depthwise_conv", "bias", b.Node, c)
	t := w.tape
	activate := func(dst, x []T) {}
	if s.Activation != "" {
		if t.Training() {
			panic(&ShapeError{"depthwise_conv", "activation", x.Shape(), "a tape that does not train"})
		}
		activate = functionOf[T](s.Activation).forward
	}
	packed := t.buffer(depthwiseTaps * c)
	o := t.operator("depthwise_conv", x.Shape().Clone())
	o.aux = []*buffer{packed}
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y, packed := data[T](in[0]), data[T](out), floats[T](packed)
		packTaps(packed, data[T](in[1]), c, false, s.Residual)
		bias := data[T](in[2])
		kernel.Ranges(s.lines(), s.grain(c), func(lo, hi int) {
			for line := lo; line < hi; line++ {
				row := y[line*s.Width*c : (line+1)*s.Width*c]
				kernel.DepthwiseRow(row, linesAround(x, s.Map, line, c), packed, bias, s.Width, c)
				activate(row, row)
			}
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		dx := depthwiseGrad[T](o, in, dy, w, b, s)
		return G.Nodes{dx, dx, dx}
	}
	return t.apply(o, x, w.Node, b.Node)
}

// grain is how many lines one piece of parallel work covers.
func (s DepthwiseShape) grain(channels int) int {
	return max(1, 8*elementGrain/(s.Width*channels))
}

// linesAround returns a line of a map with those above and below it, nil where
// they are outside its image.
func linesAround[T kernel.Float](x []T, m Map, line, c int) (rows [3][]T) {
	for i := range rows {
		if at := line%m.Height + i - 1; at >= 0 && at < m.Height {
			rows[i] = x[(line+i-1)*m.Width*c:][:m.Width*c]
		}
	}
	return rows
}

// packTaps writes weights [C, 1, 3, 3] tap by tap, [9, C], with the taps turned
// by 180 degrees if so asked. A residual is one more in the centre.
func packTaps[T kernel.Float](dst, w []T, c int, turned, residual bool) {
	for tap := range depthwiseTaps {
		from := tap
		if turned {
			from = depthwiseTaps - 1 - tap
		}
		row := dst[tap*c : (tap+1)*c]
		for j := range row {
			row[j] = w[j*depthwiseTaps+from]
		}
		if residual && tap == depthwiseTaps/2 {
			for j := range row {
				row[j]++
			}
		}
	}
}

// depthwiseGrad adds the backward operator. Each piece of lines sums its share of
// the weights' gradients, and the shares are added in order.
func depthwiseGrad[T kernel.Float](o *operator, in G.Nodes, dy *G.Node, w, b Param, s DepthwiseShape) *G.Node {
	const iDy, iX, iW, iAcc = 0, 1, 2, 3
	n, c := matrix(o.name, "x", in[0])
	operands := []*G.Node{dy, in[0], in[1]}
	if acc := takePending(in[0]); acc != nil {
		operands = append(operands, acc)
	}
	t := o.tape
	grain := s.grain(c)
	pieces := (s.lines() + grain - 1) / grain
	size := (depthwiseTaps + 1) * c // of a share: the taps, then the bias
	packed, zero, parts := t.buffer(depthwiseTaps*c), t.buffer(c), t.buffer(pieces*size)
	back := t.operator(o.name+".grad", tensor.Shape{n, c})
	back.aux = []*buffer{packed, zero, parts}
	back.run = func(in []G.Value, out *tensor.Dense) error {
		dy, x, dx := data[T](in[iDy]), data[T](in[iX]), data[T](out)
		packed, zero, parts := floats[T](packed), floats[T](zero), floats[T](parts)
		packTaps(packed, data[T](in[iW]), c, true, s.Residual)
		clear(zero)
		kernel.Ranges(s.lines(), grain, func(lo, hi int) {
			part := parts[lo/grain*size:][:size]
			clear(part)
			for line := lo; line < hi; line++ {
				here := dy[line*s.Width*c : (line+1)*s.Width*c]
				grad := dx[line*s.Width*c : (line+1)*s.Width*c]
				kernel.DepthwiseRow(grad, linesAround(dy, s.Map, line, c), packed, zero, s.Width, c)
				if len(in) > iAcc {
					kernel.Add(grad, grad, data[T](in[iAcc])[line*s.Width*c:])
				}
				kernel.DepthwiseRowGrad(part, here, linesAround(x, s.Map, line, c), s.Width, c)
				kernel.ColSum(part[depthwiseTaps*c:], here, s.Width, c, true)
			}
		})
		deliverTaps(w, b, parts, pieces, c)
		return closeAll(&w, &b)
	}
	return t.apply(back, operands...)
}

// deliverTaps adds up the pieces' shares in the first one and hands them over.
func deliverTaps[T kernel.Float](w, b Param, parts []T, pieces, c int) {
	size := (depthwiseTaps + 1) * c
	sum := parts[:size]
	for i := 1; i < pieces; i++ {
		kernel.Add(sum, sum, parts[i*size:])
	}
	if w.wanted() {
		dst, add := w.open()
		dw := data[T](dst)
		if !add {
			clear(dw)
		}
		for tap := range depthwiseTaps {
			for j := range c {
				dw[j*depthwiseTaps+tap] += sum[tap*c+j]
			}
		}
	}
	if b.wanted() {
		dst, add := b.open()
		db := data[T](dst)
		if !add {
			clear(db)
		}
		kernel.Add(db, db, sum[depthwiseTaps*c:])
	}
}
