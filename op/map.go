package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Map is the shape of a batch of images or feature maps. One is a matrix
// [Batch*Height*Width, C], image by image, line by line, a pixel's channels side
// by side: what a linear layer or a norm takes for rows of tokens.
type Map struct{ Batch, Height, Width int }

// Pixels is the number of pixels of one image.
func (m Map) Pixels() int { return m.Height * m.Width }

// Rows is the number of rows of the matrix.
func (m Map) Rows() int { return m.Batch * m.Pixels() }

// lines is the number of image lines.
func (m Map) lines() int { return m.Batch * m.Height }

// check panics unless x is a matrix of such maps and returns its channels.
func (m Map) check(op string, x *G.Node) (channels int) {
	rows, channels := matrix(op, "x", x)
	if rows != m.Rows() || rows == 0 {
		panic(&ShapeError{op, "x", x.Shape(), fmt.Sprintf("[%d*%d*%d, C]", m.Batch, m.Height, m.Width)})
	}
	return channels
}

// Reshape is x as a matrix of other sides over the same memory.
func Reshape(t *Tape, x *G.Node, rows, cols int) *G.Node {
	if x.Shape().TotalSize() != rows*cols {
		panic(&ShapeError{"reshape", "x", x.Shape(), fmt.Sprintf("%d elements", rows*cols)})
	}
	was := x.Shape().Clone()
	o := t.viewOf("reshape", tensor.Shape{rows, cols}, 0)
	o.run = nothing
	o.grad = func(_ *operator, _ G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.viewOf("reshape.grad", was, 0)
		back.run = nothing
		return G.Nodes{t.apply(back, dy)}
	}
	return t.apply(o, x)
}

// Columns is y = x[:, lo:hi], a copy.
//
// x [N, C] -> y [N, hi-lo].
func Columns(t *Tape, x *G.Node, lo, hi int) *G.Node {
	if t.Dtype == tensor.Float32 {
		return columns[float32](t, x, lo, hi)
	}
	return columns[float64](t, x, lo, hi)
}

func columns[T kernel.Float](t *Tape, x *G.Node, lo, hi int) *G.Node {
	n, c := matrix("columns", "x", x)
	if lo < 0 || lo >= hi || hi > c {
		panic(&ShapeError{"columns", "x", x.Shape(), fmt.Sprintf("columns %d to %d", lo, hi)})
	}
	width := hi - lo
	o := t.operator("columns", tensor.Shape{n, width})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		kernel.Ranges(n, elementGrain/width, func(first, end int) {
			for i := first; i < end; i++ {
				copy(y[i*width:(i+1)*width], x[i*c+lo:])
			}
		})
		return nil
	}
	o.grad = func(o *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		const iDy, iAcc = 0, 1
		operands := []*G.Node{dy}
		inPlace := []int(nil)
		if acc := takePending(in[0]); acc != nil {
			operands, inPlace = append(operands, acc), []int{iAcc}
		}
		back := t.operator("columns.grad", tensor.Shape{n, c}, inPlace...)
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[iDy]), data[T](out)
			if len(in) > iAcc {
				assign(dx, data[T](in[iAcc]))
			}
			kernel.Ranges(n, max(1, elementGrain/c), func(first, end int) {
				for i := first; i < end; i++ {
					row := dx[i*c : (i+1)*c]
					if len(in) > iAcc {
						kernel.Add(row[lo:hi], row[lo:hi], dy[i*width:])
						continue
					}
					clear(row[:lo])
					copy(row[lo:hi], dy[i*width:])
					clear(row[hi:])
				}
			})
			return nil
		}
		return G.Nodes{t.apply(back, operands...)}
	}
	return t.apply(o, x)
}

// MeanTokens is the mean of each image's rows.
//
// x [B*N, C] of B = batch images -> y [B, C].
func MeanTokens(t *Tape, x *G.Node, batch int) *G.Node {
	if t.Dtype == tensor.Float32 {
		return meanTokens[float32](t, x, batch)
	}
	return meanTokens[float64](t, x, batch)
}

func meanTokens[T kernel.Float](t *Tape, x *G.Node, batch int) *G.Node {
	rows, c := matrix("mean_tokens", "x", x)
	if batch < 1 || rows%batch != 0 || rows == 0 {
		panic(&ShapeError{"mean_tokens", "x", x.Shape(), fmt.Sprintf("rows of %d images", batch)})
	}
	n := rows / batch
	o := t.operator("mean_tokens", tensor.Shape{batch, c})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		kernel.Parallel(batch, func(b int) {
			mean := y[b*c : (b+1)*c]
			kernel.ColSum(mean, x[b*n*c:(b+1)*n*c], n, c, false)
			kernel.Scale(1/T(n), mean)
		})
		return nil
	}
	o.grad = func(_ *operator, _ G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("mean_tokens.grad", tensor.Shape{rows, c})
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[0]), data[T](out)
			kernel.Parallel(batch, func(b int) {
				first := dx[b*n*c : (b*n+1)*c]
				copy(first, dy[b*c:])
				kernel.Scale(1/T(n), first)
				for i := 1; i < n; i++ {
					copy(dx[(b*n+i)*c:(b*n+i+1)*c], first)
				}
			})
			return nil
		}
		return G.Nodes{t.apply(back, dy)}
	}
	return t.apply(o, x)
}
