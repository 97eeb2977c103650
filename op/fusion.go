package op

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Fusions are the ways to make one window of many; see FuseWindows.
var Fusions = []string{"mean", "reference"}

// FuseShape describes the fusion of the windows of each image into one.
type FuseShape struct {
	Batch  int
	Fusion string // of Fusions
	Taps   int    // S, pixels of a window
	Heads  int    // parts of the channels, of which "reference" mixes each in itself
	From   int    // first column of x that is fused
	To     int    // the one after the last; 0: all from From on
	// Table is where each window's taps are in an image, window by window (see
	// UnfoldTable); its length is that of W windows of S taps.
	Table []int32
}

// FuseWindows makes one window of the W windows of each image (Qin et al. 2023,
// section 3). "mean" averages each tap over the windows,
//
//	y[b,s,c] = 1/W * sum over w of x[b, table[w,s], c].
//
// "reference" is what the authors' code computes: of each tap and head, the
// entries of all windows stand in one row, window by window, channel by channel,
// e = w a + c with a = C/heads, and every W entries that follow one another are
// averaged,
//
//	y[b,s,h,j] = 1/W * sum over e in [j W, (j+1) W) of x[b, table[e/a,s], h, e mod a].
//
// So it mixes channels within a window, and equals "mean" for one window only.
//
// With From and To c counts these columns of x only.
//
// x [B*N, C] -> y [B*S, To-From].
func FuseWindows(t *Tape, x *G.Node, s FuseShape) *G.Node {
	if t.Dtype == tensor.Float32 {
		return fuseWindows[float32](t, x, s)
	}
	return fuseWindows[float64](t, x, s)
}

func fuseWindows[T kernel.Float](t *Tape, x *G.Node, s FuseShape) *G.Node {
	rows, stride := matrix("fuse_windows", "x", x)
	if s.To == 0 {
		s.To = stride
	}
	if s.From < 0 || s.From >= s.To || s.To > stride {
		panic(&ShapeError{"fuse_windows", "x", x.Shape(), fmt.Sprintf("columns %d to %d", s.From, s.To)})
	}
	c := s.To - s.From
	if s.Batch < 1 || rows%s.Batch != 0 {
		panic(&ShapeError{"fuse_windows", "x", x.Shape(), fmt.Sprintf("rows of %d images", s.Batch)})
	}
	if s.Taps < 1 || len(s.Table) == 0 || len(s.Table)%s.Taps != 0 || s.Heads < 1 || c%s.Heads != 0 {
		panic(&ShapeError{"fuse_windows", "x", x.Shape(), fmt.Sprintf("windows of %d taps, %d heads; the table has %d entries", s.Taps, s.Heads, len(s.Table))})
	}
	n := rows / s.Batch
	for _, j := range s.Table {
		if int(j) >= n || j < 0 {
			panic(&ShapeError{"fuse_windows", "x", x.Shape(), fmt.Sprintf("images that have a row %d", j)})
		}
	}
	add, spread := addWindow[T], spreadWindow[T]
	switch s.Fusion {
	case "mean":
	case "reference":
		add, spread = addReference[T], spreadReference[T]
	default:
		panic(fmt.Sprintf("op: no fusion %q", s.Fusion))
	}
	factor := T(s.Taps) / T(len(s.Table))
	o := t.operator("fuse_windows", tensor.Shape{s.Batch * s.Taps, c})
	o.run = func(in []G.Value, out *tensor.Dense) error {
		x, y := data[T](in[0]), data[T](out)
		kernel.Ranges(s.Batch*s.Taps, s.grain(c), func(lo, hi int) {
			for row := lo; row < hi; row++ {
				b, tap := row/s.Taps, row%s.Taps
				fused := y[row*c : (row+1)*c]
				clear(fused)
				for i := tap; i < len(s.Table); i += s.Taps {
					add(fused, x[(b*n+int(s.Table[i]))*stride+s.From:][:c], i/s.Taps, s)
				}
				kernel.Scale(factor, fused)
			}
		})
		return nil
	}
	o.grad = func(_ *operator, in G.Nodes, _, dy *G.Node) G.Nodes {
		const iDy, iAcc = 0, 1
		operands, inPlace := []*G.Node{dy}, []int(nil)
		if acc := takePending(in[0]); acc != nil {
			operands, inPlace = append(operands, acc), []int{iAcc}
		}
		readers := readersOf(s.Table, n)
		back := t.operator("fuse_windows.grad", tensor.Shape{rows, stride}, inPlace...)
		back.run = func(in []G.Value, out *tensor.Dense) error {
			dy, dx := data[T](in[iDy]), data[T](out)
			if len(in) > iAcc {
				assign(dx, data[T](in[iAcc]))
			}
			kernel.Ranges(rows, max(1, elementGrain/stride), func(lo, hi int) {
				for row := lo; row < hi; row++ {
					pixel := dx[row*stride : (row+1)*stride]
					if len(in) <= iAcc {
						clear(pixel)
					}
					for _, i := range readers.of(row % n) {
						tap := row/n*s.Taps + int(i)%s.Taps
						spread(pixel[s.From:s.To], dy[tap*c:(tap+1)*c], int(i)/s.Taps, factor, s)
					}
				}
			})
			return nil
		}
		return G.Nodes{t.apply(back, operands...)}
	}
	return t.apply(o, x)
}

// grain is how many taps of c channels one piece of parallel work fuses.
func (s FuseShape) grain(c int) int {
	return max(1, elementGrain/(len(s.Table)/s.Taps*c))
}

// addWindow adds one pixel of a window to the fused one.
func addWindow[T kernel.Float](fused, x []T, _ int, _ FuseShape) { kernel.Add(fused, fused, x) }

// spreadWindow is the reverse.
func spreadWindow[T kernel.Float](dx, dy []T, _ int, factor T, _ FuseShape) {
	kernel.Axpy(factor, dy, dx)
}

// addReference adds the entries of window w to those that average them.
func addReference[T kernel.Float](fused, x []T, w int, s FuseShape) {
	a, windows := len(x)/s.Heads, len(s.Table)/s.Taps
	for h := 0; h < len(x); h += a {
		for c := range a {
			fused[h+(w*a+c)/windows] += x[h+c]
		}
	}
}

func spreadReference[T kernel.Float](dx, dy []T, w int, factor T, s FuseShape) {
	a, windows := len(dx)/s.Heads, len(s.Table)/s.Taps
	for h := 0; h < len(dx); h += a {
		for c := range a {
			dx[h+c] += factor * dy[h+(w*a+c)/windows]
		}
	}
}
