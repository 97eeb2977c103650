package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Gather picks pixels by one table for every image of a batch:
// y[b,i] = x[b, table[i]], and 0 where table[i] is negative. Padding, unfolding
// and the partition of a map into windows are such tables.
//
// x [B*N, C], table [M] of 0 to N-1 or negative -> y [B*M, C].
//
// Backward: dx[b,j] is the sum of dy[b,i] over all i with table[i] = j.
func Gather(t *Tape, x *G.Node, batch int, table []int32) *G.Node {
	if t.Dtype == tensor.Float32 {
		return gather[float32](t, x, batch, table)
	}
	return gather[float64](t, x, batch, table)
}

func gather[T kernel.Float](t *Tape, x *G.Node, batch int, table []int32) *G.Node {
	rows, c := matrix("gather", "x", x)
	if batch < 1 || rows%batch != 0 {
		panic(&ShapeError{"gather", "x", x.Shape(), fmt.Sprintf("rows of %d images", batch)})
	}
	n, m := rows/batch, len(table)
	for _, j := range table {
		if int(j) >= n {
			panic(&ShapeError{"gather", "x", x.Shape(), fmt.Sprintf("images of more than %d rows", j)})
		}
	}
	o := t.operator("gather", tensor.Shape{batch * m, c})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		kernel.Ranges(batch*m, elementGrain/c, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				row := y[i*c : (i+1)*c]
				if j := int(table[i%m]); j >= 0 {
					copy(row, x[(i/m*n+j)*c:])
				} else {
					clear(row)
				}
			}
		})
		return nil
	}
	o.grad = func(_ *operator, _ G.Nodes, _, dy *G.Node) G.Nodes {
		back := t.operator("gather.grad", tensor.Shape{rows, c})
		readers := readersOf(table, n)
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[0]), data[T](out)
			kernel.Ranges(rows, max(1, elementGrain/c), func(lo, hi int) {
				for at := lo; at < hi; at++ {
					row := dx[at*c : (at+1)*c]
					clear(row)
					for _, i := range readers.of(at % n) {
						kernel.Add(row, row, dy[(at/n*m+int(i))*c:])
					}
				}
			})
			return nil
		}
		return G.Nodes{t.apply(back, dy)}
	}
	return t.apply(o, x)
}

// readers lists for each pixel the entries of a table that picked it, in their
// order, so that each pixel's gradient is a sum of its own.
type readers struct{ starts, entries []int32 }

// readersOf is the reverse of a table over n pixels.
func readersOf(table []int32, n int) readers {
	r := readers{make([]int32, n+2), make([]int32, len(table))}
	for _, j := range table {
		if j >= 0 {
			r.starts[j+2]++
		}
	}
	for i := range n {
		r.starts[i+2] += r.starts[i+1]
	}
	for i, j := range table {
		if j >= 0 {
			r.entries[r.starts[j+1]] = int32(i)
			r.starts[j+1]++
		}
	}
	return r
}

func (r readers) of(pixel int) []int32 { return r.entries[r.starts[pixel]:r.starts[pixel+1]] }

// Paddings are the ways to continue a map to the right and below.
var Paddings = []string{"zeros", "reflect", "replicate"}

// PadTable is the table for [Gather] that extends an image of height by width
// pixels to toHeight by toWidth: "zeros"; "reflect" mirrors at the last pixel,
// without repeating it; "replicate" repeats the last pixel. An image cannot be
// mirrored to twice its side or more.
func PadTable(kind string, height, width, toHeight, toWidth int) ([]int32, error) {
	table := make([]int32, 0, toHeight*toWidth)
	if kind == "reflect" && (toHeight >= 2*height || toWidth >= 2*width) {
		return nil, fmt.Errorf("a map of %dx%d pixels cannot be mirrored to %dx%d, only to less than twice its side", height, width, toHeight, toWidth)
	}
	for y := range toHeight {
		for x := range toWidth {
			at := int32(-1)
			if i, j := padded(kind, y, height), padded(kind, x, width); i >= 0 && j >= 0 {
				at = int32(i*width + j)
			}
			table = append(table, at)
		}
	}
	return table, nil
}

// padded is the place inside [0, n) that stands for i, or -1.
func padded(kind string, i, n int) int {
	if i < n {
		return i
	}
	switch kind {
	case "zeros":
		return -1
	case "reflect":
		return 2*n - 2 - i
	case "replicate":
		return n - 1
	}
	panic(fmt.Sprintf("op: no padding %q", kind))
}

// UnfoldTable is the table for [Gather] that cuts an image of height by width
// pixels into its windows of kernel by kernel taps: window by window, in each tap
// by tap, [windows * kernel * kernel]. Windows lie inside the image and start
// every stride pixels; their taps are dilation pixels apart.
func UnfoldTable(height, width, kernel, stride, dilation int) []int32 {
	var table []int32
	reach := dilation*(kernel-1) + 1
	for top := 0; top+reach <= height; top += stride {
		for left := 0; left+reach <= width; left += stride {
			for k := range kernel {
				for l := range kernel {
					table = append(table, int32((top+k*dilation)*width+left+l*dilation))
				}
			}
		}
	}
	return table
}

// Compose is the table of b after a: b picks from what a has picked.
func Compose(a, b []int32) []int32 {
	table := make([]int32, len(b))
	for i, j := range b {
		table[i] = -1
		if j >= 0 {
			table[i] = a[j]
		}
	}
	return table
}
