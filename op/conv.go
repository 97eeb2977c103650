package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// ConvShape describes a two-dimensional convolution over maps. Zero for Stride or
// Dilation is 1.
type ConvShape struct {
	Map          // of the input
	Kernel   int // side of the kernel, pixels
	Stride   int // pixels from a window to the next
	Padding  int // lines of zeros around each image
	Dilation int // pixels from a tap to the next
}

// Out is the shape of the output: H' = (H + 2 padding - dilation (kernel-1) - 1) / stride + 1.
func (s ConvShape) Out() Map {
	s = s.defaults()
	side := func(n int) int { return (n+2*s.Padding-s.Dilation*(s.Kernel-1)-1)/s.Stride + 1 }
	return Map{s.Batch, side(s.Height), side(s.Width)}
}

func (s ConvShape) defaults() ConvShape {
	s.Stride, s.Dilation = max(s.Stride, 1), max(s.Dilation, 1)
	return s
}

// reach is the extent of a window in pixels.
func (s ConvShape) reach() int { return s.Dilation*(s.Kernel-1) + 1 }

// Conv2d is the cross-correlation that deep learning calls convolution,
//
//	y[i,j,o] = b[o] + sum over k, l, c of w[o,c,k,l] * x[i*stride+k*dilation-padding, j*stride+l*dilation-padding, c],
//
// with zeros outside the image.
//
// x [B*H*W, C], w [O, C, K, K], b [O] or nil -> y [B*H'*W', O], see ConvShape.Out.
//
// The windows are copied to rows [K*K*C], a block of image lines at a time, and
// multiplied with the weights, which are repacked to [O, K*K*C] in every run.
// Backward: dw = dyᵀ windows, and dx collects dy w from the windows that a pixel
// was in.
func Conv2d(x *G.Node, w Param, b *Param, s ConvShape) *G.Node {
	if w.tape.Dtype == tensor.Float32 {
		return conv2d[float32](x, w, b, s.defaults())
	}
	return conv2d[float64](x, w, b, s.defaults())
}

func conv2d[T kernel.Float](x *G.Node, w Param, b *Param, s ConvShape) *G.Node {
	c := s.check("conv2d", x)
	if shape := w.Shape(); len(shape) != 4 || shape[1] != c || shape[2] != s.Kernel || shape[3] != s.Kernel {
		panic(&ShapeError{"conv2d", "weight", shape, fmt.Sprintf("[O, %d, %d, %d]", c, s.Kernel, s.Kernel)})
	}
	if reach := s.reach(); s.Padding < 0 || s.Height+2*s.Padding < reach || s.Width+2*s.Padding < reach {
		panic(&ShapeError{"conv2d", "x", x.Shape(), fmt.Sprintf("maps of at least %dx%d with padding, not %dx%d", reach, reach, s.Height+2*s.Padding, s.Width+2*s.Padding)})
	}
	out, o := w.Shape()[0], s.Out()
	operands := []*G.Node{x, w.Node}
	if b != nil {
		wantShape("conv2d", "bias", b.Node, out)
		operands = append(operands, b.Node)
	}
	t, size := w.tape, s.Kernel*s.Kernel*c
	lines := convLines(o.Width*size, o.lines())
	packed, windows := t.buffer(out*size), t.buffer(lines*o.Width*size)
	y := t.operator("conv2d", tensor.Shape{o.Rows(), out})
	y.aux = []*buffer{packed, windows}
	y.run = func(in []G.Value, dst *tensor.Dense) error {
		x, y, packed, windows := data[T](in[0]), data[T](dst), floats[T](packed), floats[T](windows)
		packKernels(packed, data[T](in[1]), out, c, s.Kernel)
		for first := 0; first < o.lines(); first += lines {
			n := min(lines, o.lines()-first)
			copyWindows(windows, x, s, o, c, first, n)
			at := first * o.Width * out
			linearForward(t.Precision, y[at:at+n*o.Width*out], windows[:n*o.Width*size], packed, biasOf[T](in, 2), n*o.Width)
		}
		return nil
	}
	y.grad = func(op *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		dx := convGrad[T](op, in, dy, w, b, s, lines)
		return G.Nodes{dx, dx, dx}[:len(in)]
	}
	return t.apply(y, operands...)
}

// convBlock is about how many elements of windows are laid out at a time: they
// should still be in a cache when the product reads them.
const convBlock = 1 << 18

// convLines is the number of output lines whose windows make a block.
func convLines(elementsPerLine, lines int) int {
	return min(max(convBlock/elementsPerLine, 1), lines)
}

// packKernels writes weights [O, C, K, K] as [O, K, K, C]: a row as a window is laid out.
func packKernels[T kernel.Float](dst, w []T, out, c, k int) {
	taps := k * k
	kernel.Ranges(out, max(1, elementGrain/(taps*c)), func(lo, hi int) {
		for o := lo; o < hi; o++ {
			src, row := w[o*c*taps:(o+1)*c*taps], dst[o*c*taps:(o+1)*c*taps]
			for ch := range c {
				for tap := range taps {
					row[tap*c+ch] = src[ch*taps+tap]
				}
			}
		}
	})
}

// addKernels adds gradients [O, K, K, C] to dst [O, C, K, K], or replaces it.
func addKernels[T kernel.Float](dst, w []T, out, c, k int, add bool) {
	if !add {
		clear(dst)
	}
	taps := k * k
	for o := range out {
		row, src := dst[o*c*taps:(o+1)*c*taps], w[o*c*taps:(o+1)*c*taps]
		for ch := range c {
			for tap := range taps {
				row[ch*taps+tap] += src[tap*c+ch]
			}
		}
	}
}

// copyWindows lays out the windows of n output lines from the given one on, a row
// [K, K, C] for each output pixel.
func copyWindows[T kernel.Float](windows, x []T, s ConvShape, o Map, c, first, n int) {
	size := s.Kernel * s.Kernel * c
	kernel.Ranges(n, max(1, elementGrain/(o.Width*size)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			image, top := (first+i)/o.Height, (first+i)%o.Height*s.Stride-s.Padding
			for k := range s.Kernel {
				y := top + k*s.Dilation
				var line []T // nil: outside
				if y >= 0 && y < s.Height {
					line = x[(image*s.Height+y)*s.Width*c:][:s.Width*c]
				}
				for j := range o.Width {
					row := windows[(i*o.Width+j)*size+k*s.Kernel*c:][:s.Kernel*c]
					copyTaps(row, line, j*s.Stride-s.Padding, s, c)
				}
			}
		}
	})
}

// copyTaps copies the pixels under one line of a window that starts at pixel
// left, zeros where they are outside.
func copyTaps[T kernel.Float](row, line []T, left int, s ConvShape, c int) {
	if line == nil {
		clear(row)
		return
	}
	if s.Dilation == 1 && left >= 0 && left+s.Kernel <= s.Width {
		copy(row, line[left*c:])
		return
	}
	for l := range s.Kernel {
		tap := row[l*c : (l+1)*c]
		if x := left + l*s.Dilation; x >= 0 && x < s.Width {
			copy(tap, line[x*c:])
		} else {
			clear(tap)
		}
	}
}
