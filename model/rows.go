package model

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/nn"
)

// Rows are floating-point numbers of a program, of the store's type: a leaf to
// fill, or a result to read before another program of the session runs.
type Rows struct {
	Count, Width int
	d            *tensor.Dense
}

// RowsOf are the numbers of a tensor, in place.
func RowsOf(d *tensor.Dense) Rows {
	r := Rows{Count: d.Shape()[0], Width: 1, d: d}
	if r.Count > 0 {
		r.Width = d.Shape().TotalSize() / r.Count
	}
	return r
}

// Float64s copies all numbers, row by row.
func (r Rows) Float64s() []float64 { return r.Append(nil) }

// Append copies all numbers, row by row, behind those of dst.
func (r Rows) Append(dst []float64) []float64 {
	if r.d.Dtype() == tensor.Float64 {
		return append(dst, r.d.Float64s()...)
	}
	dst = slices.Grow(dst, len(r.d.Float32s()))
	for _, x := range r.d.Float32s() {
		dst = append(dst, float64(x))
	}
	return dst
}

// Same tells whether two are one matrix of a program, not equal ones.
func (r Rows) Same(o Rows) bool { return r.d == o.d }

// Row copies row i to dst, which has room for it, and returns that.
func (r Rows) Row(dst []float32, i int) []float32 {
	dst = dst[:r.Width]
	if r.d.Dtype() == tensor.Float32 {
		copy(dst, r.d.Float32s()[i*r.Width:])
		return dst
	}
	for j, x := range r.d.Float64s()[i*r.Width : (i+1)*r.Width] {
		dst[j] = float32(x)
	}
	return dst
}

// Set copies x, of which there may be less than there are numbers.
func (r Rows) Set(x []float32) {
	if r.d.Dtype() == tensor.Float32 {
		copy(r.d.Float32s(), x)
		return
	}
	for i, v := range x {
		r.d.Float64s()[i] = float64(v)
	}
}

// Put sets the number in column j of row i.
func (r Rows) Put(i, j int, x float64) {
	nn.SetAt(r.d, i*r.Width+j, x)
}

// At is the number in column j of row i.
func (r Rows) At(i, j int) float64 {
	return nn.At(r.d, i*r.Width+j)
}

// Copy takes the numbers of other rows of the same size and type.
func (r Rows) Copy(from Rows) error {
	if !r.d.Shape().Eq(from.d.Shape()) || r.d.Dtype() != from.d.Dtype() {
		return fmt.Errorf("model: rows of shape %v and type %v, want %v and %v", from.d.Shape(), from.d.Dtype(), r.d.Shape(), r.d.Dtype())
	}
	return tensor.Copy(r.d, from.d)
}
