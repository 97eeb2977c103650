package optim

import (
	"gorgonia.org/tensor"

	"sparrow/nn"
)

// RowRates is an optimizer by which some rows of tables learn at another rate than all else, such as rows of tokens that a
// vocabulary got later.
type RowRates struct {
	Optimizer
	factor float64
	runs   map[string][]int // elements by parameter: first, one past the last, first, ...
}

// NewRowRates multiplies the learning rate of rows, given as runs (first, one past the last, first, ...), of the named parameters
// by a factor.
func NewRowRates(o Optimizer, store *nn.Store, names []string, rows []int, factor float64) *RowRates {
	r := &RowRates{o, factor, map[string][]int{}}
	for _, name := range names {
		shape := store.Shape(name)
		width := shape.TotalSize() / shape[0]
		for _, row := range rows {
			r.runs[name] = append(r.runs[name], row*width)
		}
	}
	return r
}

// Update implements Optimizer.
func (r *RowRates) Update(name string, grad *tensor.Dense, from, step int, rate, scale float64) {
	runs := r.runs[name]
	if runs == nil {
		r.Optimizer.Update(name, grad, from, step, rate, scale)
		return
	}
	end := from + grad.Shape().TotalSize()
	part := func(lo, hi int, rate float64) {
		if lo, hi = max(lo, from), min(hi, end); lo < hi {
			r.Optimizer.Update(name, elements(grad, lo-from, hi-from), lo, step, rate, scale)
		}
	}
	at := from
	for i := 0; i+1 < len(runs); i += 2 {
		part(at, runs[i], rate)
		part(runs[i], runs[i+1], rate*r.factor)
		at = max(at, runs[i+1])
	}
	part(at, end, rate)
}

// elements are those of a tensor from one to before another, in its memory.
func elements(d *tensor.Dense, lo, hi int) *tensor.Dense {
	if d.Dtype() == tensor.Float32 {
		return tensor.New(tensor.WithBacking(d.Float32s()[lo:hi]), tensor.WithShape(hi-lo))
	}
	return tensor.New(tensor.WithBacking(d.Float64s()[lo:hi]), tensor.WithShape(hi-lo))
}
