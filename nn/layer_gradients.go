package nn

import (
	"fmt"

	"gorgonia.org/tensor"
)

// LayerGradients is the op.Sink of per-layer updates: as soon as a gradient is
// complete it is used, and its memory serves the next gradient of that size. So
// only the gradients of one layer are alive at a time, and that of a parameter
// with several uses from its first to its last.
type LayerGradients struct {
	// Update uses the gradient of the named parameter, which it must not keep. Its
	// error ends the run. nil: nothing is done.
	Update func(name string, grad *tensor.Dense) error

	store *Store
	alive map[string]*tensor.Dense
	free  map[int][]*tensor.Dense // by number of elements
	bytes int
}

// NewLayerGradients makes a sink for the parameters of a store. Of a virtual
// store it only counts memory.
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
	d, ok := g.alive[name]
	if !ok {
		return fmt.Errorf("nn: no gradient of %s has arrived", name)
	}
	if g.Update != nil {
		if err := g.Update(name, d); err != nil {
			return err
		}
	}
	delete(g.alive, name)
	n := g.store.Shape(name).TotalSize()
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
