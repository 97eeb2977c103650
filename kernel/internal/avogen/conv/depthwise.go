package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// row emits one row of a 3x3 depthwise convolution. A column of the input is loaded once: it is
// the right neighbour of the pixel before, the centre of its own and the left neighbour of the
// next, so two sums are under way when it comes. Outside the row nothing is added.
func (v variant) row() {
	v.channels("depthwiseRow", "computes one row of a 3x3 depthwise convolution", func(b body) {
		var w [9]reg.VecVirtual
		p := GP64()
		MOVQ(b.arg(argW), p)
		for i := range w {
			w[i] = b.vector()
			b.load(operand.Mem{Base: p}, w[i])
			ADDQ(b.stride, p)
		}
		x, xStride := b.rows()
		y, bias, left := GP64(), GP64(), GP64()
		MOVQ(b.arg(argY), y)
		MOVQ(b.arg(argBias), bias)
		MOVQ(b.arg(argPixels), left)

		column, before, centre, after := b.vector(), b.vector(), b.vector(), b.vector()
		done, here := b.vector(), b.vector() // the sums of the pixel before and of this one, so far
		b.load(operand.Mem{Base: bias}, done)
		b.load(operand.Mem{Base: bias}, here)
		// add sums up what the column gives to its neighbours: short chains, so that columns overlap.
		add := func() {
			for i := range x {
				b.load(operand.Mem{Base: x[i]}, column)
				ADDQ(xStride[i], x[i])
				if i == 0 {
					VMULPS(w[2], column, before)
					VMULPS(w[1], column, centre)
					VMULPS(w[0], column, after)
					continue
				}
				VFMADD231PS(w[3*i+2], column, before)
				VFMADD231PS(w[3*i+1], column, centre)
				VFMADD231PS(w[3*i], column, after)
			}
		}
		// The first column is nobody's right neighbour.
		add()
		VADDPS(centre, done, done)
		VADDPS(after, here, here)
		DECQ(left)
		JZ(operand.LabelRef(b.label + "last"))
		Label(b.label + "pixel")
		add()
		VADDPS(before, done, done)
		b.store(done, operand.Mem{Base: y})
		ADDQ(b.stride, y)
		VADDPS(centre, here, done)
		b.load(operand.Mem{Base: bias}, column)
		VADDPS(after, column, here)
		DECQ(left)
		JNZ(operand.LabelRef(b.label + "pixel"))
		Label(b.label + "last")
		b.store(done, operand.Mem{Base: y})
	})
}

// rowGrad emits w[tap] += sum over the pixels of a row of dy times the input under the tap.
func (v variant) rowGrad() {
	v.channels("depthwiseRowGrad", "adds one row's share of the gradients of a 3x3 depthwise convolution's weights", func(b body) {
		var sums [9]reg.VecVirtual
		p := GP64()
		MOVQ(b.arg(argW), p)
		for i := range sums {
			sums[i] = b.vector()
			b.load(operand.Mem{Base: p}, sums[i])
			ADDQ(b.stride, p)
		}
		x, xStride := b.rows()
		dy, left := GP64(), GP64()
		MOVQ(b.arg(argY), dy)
		MOVQ(b.arg(argPixels), left)

		column, before, here, after := b.vector(), b.vector(), b.vector(), b.vector()
		b.zero(before)
		b.load(operand.Mem{Base: dy}, here)
		add := func() {
			for i := range x {
				b.load(operand.Mem{Base: x[i]}, column)
				ADDQ(xStride[i], x[i])
				VFMADD231PS(after, column, sums[3*i])
				VFMADD231PS(here, column, sums[3*i+1])
				VFMADD231PS(before, column, sums[3*i+2])
			}
		}
		DECQ(left)
		JZ(operand.LabelRef(b.label + "last"))
		Label(b.label + "pixel")
		ADDQ(b.stride, dy)
		b.load(operand.Mem{Base: dy}, after)
		add()
		VMOVAPS(here, before)
		VMOVAPS(after, here)
		DECQ(left)
		JNZ(operand.LabelRef(b.label + "pixel"))
		Label(b.label + "last")
		b.zero(after)
		add()
		MOVQ(b.arg(argW), p)
		for i := range sums {
			b.store(sums[i], operand.Mem{Base: p})
			ADDQ(b.stride, p)
		}
	})
}
