package op

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// RotaryTable holds cos and sin of every angle position * theta^(-2i/K), for the
// K/2 pairs of a head of width K (Su et al. 2021, section 3.4.2).
type RotaryTable struct {
	HeadDim   int
	Positions int
	cos, sin  []float64 // [Positions, HeadDim/2]
	cos32     []float32
	sin32     []float32
}

// NewRotaryTable computes the angles for positions 0 to positions-1. headDim
// must be even.
func NewRotaryTable(headDim, positions int, theta float64, dtype tensor.Dtype) *RotaryTable {
	t := NewRotaryTableOf(RotaryFrequencies(headDim, theta), positions, dtype)
	t.HeadDim = headDim // an odd one is refused where it is used
	return t
}

// RotaryFrequencies are theta^(-2i/K) for the K/2 pairs of a head, in radians a position.
func RotaryFrequencies(headDim int, theta float64) []float64 {
	f := make([]float64, headDim/2)
	for i := range f {
		f[i] = math.Pow(theta, -2*float64(i)/float64(headDim))
	}
	return f
}

// NewRotaryTableOf is a table of other frequencies, one for each pair of a head.
func NewRotaryTableOf(frequencies []float64, positions int, dtype tensor.Dtype) *RotaryTable {
	half := len(frequencies)
	t := &RotaryTable{HeadDim: 2 * half, Positions: positions}
	cos, sin := make([]float64, positions*half), make([]float64, positions*half)
	for p := range positions {
		for i, f := range frequencies {
			angle := float64(p) * f
			cos[p*half+i], sin[p*half+i] = math.Cos(angle), math.Sin(angle)
		}
	}
	if dtype == tensor.Float64 {
		t.cos, t.sin = cos, sin
		return t
	}
	t.cos32, t.sin32 = make([]float32, len(cos)), make([]float32, len(sin))
	for i := range cos {
		t.cos32[i], t.sin32[i] = float32(cos[i]), float32(sin[i])
	}
	return t
}

// rotaryRow returns cos and sin of position p.
func rotaryRow[T kernel.Float](t *RotaryTable, p int) (cos, sin []T) { return rotaryRows[T](t, p, 1) }

// rotaryRows returns cos and sin of n positions from p on.
func rotaryRows[T kernel.Float](t *RotaryTable, p, n int) (cos, sin []T) {
	half := t.HeadDim / 2
	lo, hi := p*half, (p+n)*half
	switch c := any(&cos).(type) {
	case *[]float32:
		*c = t.cos32[lo:hi]
		*any(&sin).(*[]float32) = t.sin32[lo:hi]
	case *[]float64:
		*c = t.cos[lo:hi]
		*any(&sin).(*[]float64) = t.sin[lo:hi]
	}
	return cos, sin
}

// Rotary turns the two halves of every head's vector by its position's angles
// (the layout of Hugging Face's LLaMA): with x = [x1; x2],
// y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin.
//
// x [N, H*K], positions [N] integers below table.Positions -> y [N, H*K].
// Backward turns dy by the opposite angles.
func Rotary(t *Tape, x, positions *G.Node, table *RotaryTable) *G.Node {
	return RotaryTail(t, x, positions, table, table.HeadDim)
}

// RotaryTail is Rotary of the last K columns of every head of width headDim; the
// others stay as they are.
//
// x [N, H*headDim] -> y [N, H*headDim].
func RotaryTail(t *Tape, x, positions *G.Node, table *RotaryTable, headDim int) *G.Node {
	if t.Dtype == tensor.Float32 {
		return rotary[float32](t, x, positions, table, headDim)
	}
	return rotary[float64](t, x, positions, table, headDim)
}

func rotary[T kernel.Float](t *Tape, x, positions *G.Node, table *RotaryTable, headDim int) *G.Node {
	n, width := matrix("rotary", "x", x)
	wantShape("rotary", "positions", positions, n)
	if table.HeadDim%2 != 0 || headDim < table.HeadDim || width%headDim != 0 {
		panic(&ShapeError{"rotary", "x", x.Shape(), fmt.Sprintf("columns in heads of width %d, of which an even number of %d are turned", headDim, table.HeadDim)})
	}
	turn := func(inverse bool) func(in []G.Value, out *tensor.Dense) error {
		return func(in []G.Value, out *tensor.Dense) error {
			x, y := data[T](in[0]), data[T](out)
			assign(y, x)
			return rotate(y, ints(in[1]), width, headDim, table, inverse)
		}
	}
	o := t.operator("rotary", tensor.Shape{n, width}, 0)
	o.run = turn(false)
	o.grad = func(o *operator, in G.Nodes, y, dy *G.Node) G.Nodes {
		back := t.operator("rotary.grad", tensor.Shape{n, width}, 0)
		back.run = turn(true)
		return G.Nodes{t.apply(back, dy, in[1]), nil}
	}
	return t.apply(o, x, positions)
}

// rotate turns the last columns of every head of every row of x in place.
func rotate[T kernel.Float](x []T, positions []int, width, headDim int, table *RotaryTable, inverse bool) error {
	for i, p := range positions {
		if p < 0 || p >= table.Positions {
			return fmt.Errorf("position %d of row %d, want 0 to %d", p, i, table.Positions-1)
		}
	}
	k := table.HeadDim
	kernel.Ranges(len(positions), rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			cos, sin := rotaryRow[T](table, positions[i])
			for h := i*width + headDim - k; h < (i+1)*width; h += headDim {
				kernel.Rotate(x[h:h+k/2], x[h+k/2:h+k], cos, sin, inverse)
			}
		}
	})
	return nil
}
