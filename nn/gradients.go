package nn

import (
	"gorgonia.org/tensor"
)

// Gradients is the ordinary op.Sink: it keeps every parameter's gradient until
// the next step.
type Gradients struct {
	// Add makes the next run add to the gradients instead of replacing them: true
	// for every micro-batch of a step but the first.
	Add bool

	store *Store
	grads map[string]*tensor.Dense
}

// NewGradients makes a sink for the parameters of a store. Memory is taken when
// a gradient first arrives.
func NewGradients(store *Store) *Gradients {
	return &Gradients{store: store, grads: map[string]*tensor.Dense{}}
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
