package op

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// convGrad adds the operator that computes all gradients of a convolution and
// returns its node: dx, or where x wants no gradient a stand-in for the weights'.
// The blocks of lines are those of the forward pass and follow one another, so
// the sums over them have one order.
func convGrad[T kernel.Float](o *operator, in G.Nodes, dy *G.Node, w Param, b *Param, s ConvShape, lines int) *G.Node {
	const iDy, iX, iW, iAcc = 0, 1, 2, 3
	n, c := matrix("conv2d", "x", in[0])
	out, m := w.Shape()[0], s.Out()
	size := s.Kernel * s.Kernel * c
	wantX := o.wants(0)
	operands := []*G.Node{dy, in[0], in[1]}
	shape, inPlace := tensor.Shape{1}, []int(nil)
	if wantX {
		shape = tensor.Shape{n, c}
		if acc := takePending(in[0]); acc != nil {
			operands, inPlace = append(operands, acc), []int{iAcc}
		}
	}
	t := o.tape
	packed, dPacked, windows := t.buffer(out*size), t.buffer(out*size), t.buffer(lines*m.Width*size)
	back := t.operator("conv2d.grad", shape, inPlace...)
	back.aux = []*buffer{packed, dPacked, windows}
	back.run = func(in []G.Value, dst *tensor.Dense) error {
		dy, x, packed, dPacked, windows := data[T](in[iDy]), data[T](in[iX]), floats[T](packed), floats[T](dPacked), floats[T](windows)
		var dx []T
		if wantX {
			packKernels(packed, data[T](in[iW]), out, c, s.Kernel)
			dx = data[T](dst)
			if len(in) > iAcc {
				assign(dx, data[T](in[iAcc]))
			} else {
				clear(dx)
			}
		}
		for first := 0; first < m.lines(); first += lines {
			count := min(lines, m.lines()-first)
			rows := count * m.Width
			part := dy[first*m.Width*out:][:rows*out]
			if w.wanted() {
				copyWindows(windows, x, s, m, c, first, count)
				kernel.GemmAs(t.Precision, true, false, out, size, rows, 1, part, out, windows, size, betaOf[T](first > 0), dPacked, size)
			}
			if wantX {
				kernel.GemmAs(t.Precision, false, false, rows, size, out, 1, part, out, packed, size, 0, windows, size)
				addWindows(dx, windows, s, m, c, first, count)
			}
		}
		if w.wanted() {
			dw, add := w.open()
			addKernels(data[T](dw), dPacked, out, c, s.Kernel, add)
		}
		if b != nil && b.wanted() {
			db, add := b.open()
			kernel.ColSum(data[T](db), dy, m.Rows(), out, add)
		}
		return closeAll(&w, b)
	}
	return t.apply(back, operands...)
}

// addWindows adds the rows of n output lines from the given one on to the pixels
// that they were copied from. A piece of work is one line of an image, which
// collects from all windows over it, in order.
func addWindows[T kernel.Float](dx, windows []T, s ConvShape, m Map, c, first, n int) {
	size := s.Kernel * s.Kernel * c
	images := (first+n-1)/m.Height - first/m.Height + 1
	kernel.Ranges(images*s.Height, 4, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			image, y := first/m.Height+i/s.Height, i%s.Height
			line := dx[(image*s.Height+y)*s.Width*c:][:s.Width*c]
			for k := range s.Kernel {
				top := y + s.Padding - k*s.Dilation
				if top < 0 || top%s.Stride != 0 || top/s.Stride >= m.Height {
					continue
				}
				at := image*m.Height + top/s.Stride - first
				if at < 0 || at >= n {
					continue
				}
				for j := range m.Width {
					row := windows[(at*m.Width+j)*size+k*s.Kernel*c:][:s.Kernel*c]
					addTaps(line, row, j*s.Stride-s.Padding, s, c)
				}
			}
		}
	})
}

// addTaps is the reverse of copyTaps.
func addTaps[T kernel.Float](line, row []T, left int, s ConvShape, c int) {
	if s.Dilation == 1 && left >= 0 && left+s.Kernel <= s.Width {
		at := line[left*c:][:len(row)]
		kernel.Add(at, at, row)
		return
	}
	for l := range s.Kernel {
		if x := left + l*s.Dilation; x >= 0 && x < s.Width {
			at := line[x*c : (x+1)*c]
			kernel.Add(at, at, row[l*c:])
		}
	}
}
