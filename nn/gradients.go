package nn

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Gradients is the ordinary op.Sink: it keeps every parameter's gradient until
// the next step.
type Gradients struct {
	// Add makes the next run add to the gradients instead of replacing them: true
	// for every micro-batch of a step but the first.
	Add bool

	store *Store
	grads map[string]*tensor.Dense
	rows  map[string][]int // of gradients that are rows of a table
}

// NewGradients makes a sink for the parameters of a store. Memory is taken when
// a gradient first arrives.
func NewGradients(store *Store) *Gradients {
	return &Gradients{store: store, grads: map[string]*tensor.Dense{}, rows: map[string][]int{}}
}

// Gradient implements op.Sink.
func (g *Gradients) Gradient(name string) (*tensor.Dense, bool) {
	d := g.grads[name]
	if d == nil {
		d = tensor.New(tensor.Of(g.store.Dtype), tensor.WithShape(g.store.Shape(name)...))
		g.grads[name] = d
	}
	return d, g.Add
}

// Ready implements op.Sink.
func (g *Gradients) Ready(string) error { return nil }

// SparseRows implements op.SparseSink: it keeps a copy, to which a micro-batch after the first of a step adds its rows.
func (g *Gradients) SparseRows(name string, rows []int, values *tensor.Dense) error {
	if !g.Add {
		g.rows[name] = append(g.rows[name][:0], rows...)
		g.grads[name] = nil
		if values != nil {
			g.grads[name] = values.Clone().(*tensor.Dense)
		}
		return nil
	}
	if values == nil {
		return nil
	}
	if g.grads[name] == nil {
		g.rows[name], g.grads[name] = slices.Clone(rows), values.Clone().(*tensor.Dense)
		return nil
	}
	before, sum := g.rows[name], g.grads[name]
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(before, rows))))
	width := g.store.Shape(name)[1]
	merged := tensor.New(tensor.Of(g.store.Dtype), tensor.WithShape(len(all), width))
	for _, x := range []struct {
		rows   []int
		values *tensor.Dense
	}{{before, sum}, {rows, values}} {
		for i, row := range x.rows {
			at, _ := slices.BinarySearch(all, row)
			if g.store.Dtype == tensor.Float32 {
				kernel.Axpy(1, x.values.Float32s()[i*width:(i+1)*width], merged.Float32s()[at*width:(at+1)*width])
			} else {
				kernel.Axpy(1, x.values.Float64s()[i*width:(i+1)*width], merged.Float64s()[at*width:(at+1)*width])
			}
		}
	}
	g.rows[name], g.grads[name] = all, merged
	return nil
}

// Merge adds the gradient of a parameter that others have collected. Of two gradients the sum has the same bits either way round.
func (g *Gradients) Merge(name string, others *Gradients) error {
	x := others.grads[name]
	rows, sparse := others.rows[name]
	switch {
	case x == nil:
		return nil
	case sparse:
		defer func(add bool) { g.Add = add }(g.Add)
		g.Add = true
		return g.SparseRows(name, rows, x)
	}
	if g.grads[name] == nil {
		d, _ := g.Gradient(name)
		return tensor.Copy(d, x)
	}
	if g.store.Dtype == tensor.Float32 {
		add(x.Float32s(), g.grads[name].Float32s())
	} else {
		add(x.Float64s(), g.grads[name].Float64s())
	}
	return nil
}

// add adds x to y.
func add[T kernel.Float](x, y []T) {
	kernel.Ranges(len(y), GradientGrain, func(lo, hi int) { kernel.Axpy(1, x[lo:hi], y[lo:hi]) })
}

// Rows are those of the named parameter, ascending, that Get has the gradients of, one after the other; sparse is false where Get
// has that of all.
func (g *Gradients) Rows(name string) (rows []int, sparse bool) {
	rows, sparse = g.rows[name]
	return rows, sparse
}

// Get returns the gradient of the named parameter, nil if none has arrived.
func (g *Gradients) Get(name string) *tensor.Dense { return g.grads[name] }

// Names lists the parameters that have a gradient, in the store's order.
func (g *Gradients) Names() []string {
	var names []string
	for _, n := range g.store.Names() {
		if g.grads[n] != nil {
			names = append(names, n)
		}
	}
	return names
}

// GradientGrain divides the number of elements of every block of rows that
// LayerGradients hands out, but the last: an update or a sum that works on pieces
// of this size, or of a divisor, gives the same bits for blocks as for the whole.
const GradientGrain = 32 << 10

// rowsElements is about how many elements a block of rows has: little beside a
// model, and enough rows for a matrix product at full speed.
const rowsElements = 1 << 20

// LayerGradients is the op.RowSink of per-layer updates: as soon as a gradient is
// complete it is used, and its memory serves the next gradient of that size. So
// only the gradients of one layer are alive at a time, of a large dense matrix (an
// embedding, an output head) only some rows, and that of a parameter with several
// uses from its first to its last. A block has whole grains (GradientGrain): of an
// odd width that is GradientGrain rows at least, of twice an odd width half as many,
// and a matrix without more rows than a block comes whole.
type LayerGradients struct {
	// Update uses the gradient of the named parameter, or that of its elements from
	// the given one on, and must not keep it. Its error ends the run. nil: nothing is
	// done.
	Update func(name string, grad *tensor.Dense, from int) error

	store *Store
	alive map[string]*tensor.Dense
	free  map[int][]*tensor.Dense // by number of elements
	bytes int
}

// NewLayerGradients makes a sink for the parameters of a store. It only
// counts memory of a virtual store.
func NewLayerGradients(store *Store) *LayerGradients {
	return &LayerGradients{store: store, alive: map[string]*tensor.Dense{}, free: map[int][]*tensor.Dense{}}
}

// Gradient implements op.Sink.
func (g *LayerGradients) Gradient(name string) (*tensor.Dense, bool) {
	d, ok := g.alive[name]
	if !ok {
		d = g.take(g.store.Shape(name))
		g.alive[name] = d
	}
	return d, false
}

// Ready implements op.Sink.
func (g *LayerGradients) Ready(name string) error {
	return g.use(name, g.store.Shape(name), 0)
}

// Rows implements op.RowSink.
func (g *LayerGradients) Rows(name string) int {
	shape := g.store.Shape(name)
	if shape.Dims() != 2 || shape.TotalSize() <= rowsElements {
		return 0
	}
	unit := GradientGrain // rows
	for w := shape[1]; w%2 == 0 && unit > 1; w /= 2 {
		unit /= 2
	}
	rows := max(rowsElements/shape[1]/unit, 1) * unit
	if rows >= shape[0] {
		return 0
	}
	return rows
}

// GradientRows implements op.RowSink.
func (g *LayerGradients) GradientRows(name string, lo, hi int) *tensor.Dense {
	d := g.take(tensor.Shape{hi - lo, g.store.Shape(name)[1]})
	g.alive[name] = d
	return d
}

// RowsReady implements op.RowSink.
func (g *LayerGradients) RowsReady(name string, lo, hi int) error {
	width := g.store.Shape(name)[1]
	return g.use(name, tensor.Shape{hi - lo, width}, lo*width)
}

// use hands what is alive of a gradient to Update and frees it.
func (g *LayerGradients) use(name string, shape tensor.Shape, from int) error {
	d, ok := g.alive[name]
	if !ok {
		return fmt.Errorf("nn: no gradient of %s has arrived", name)
	}
	if g.Update != nil {
		if err := g.Update(name, d, from); err != nil {
			return err
		}
	}
	delete(g.alive, name)
	n := shape.TotalSize()
	g.free[n] = append(g.free[n], d)
	return nil
}

// take returns a free gradient of that shape, or a new one.
func (g *LayerGradients) take(shape tensor.Shape) *tensor.Dense {
	n := shape.TotalSize()
	if f := g.free[n]; len(f) > 0 {
		d := f[len(f)-1]
		g.free[n] = f[:len(f)-1]
		if d != nil && !d.Shape().Eq(shape) {
			if err := d.Reshape(shape...); err != nil {
				panic(err) // equal numbers of elements always fit
			}
		}
		return d
	}
	g.bytes += n * int(g.store.Dtype.Size())
	if g.store.Virtual {
		return nil
	}
	return tensor.New(tensor.Of(g.store.Dtype), tensor.WithShape(shape.Clone()...))
}

// Bytes is the memory taken for gradients so far; once a run has ended, further
// runs of the same graph take no more.
func (g *LayerGradients) Bytes() int { return g.bytes }
