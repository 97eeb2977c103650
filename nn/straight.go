package nn

import (
	"sparrow/op"
)

// StraightThrough gives dense_sparse layers latent values: parameters of a store of their own, which a layer does not compute
// with and to which it passes a gradient straight through (see op.DenseSparse). Whoever trains them makes C and D of them.
// A layer's latent values have its name and ".latent", and are created as zeros.
type StraightThrough struct {
	Store        *Store
	Sink         op.Sink                 // receives their gradients
	Match        func(layer string) bool // which layers have them
	Coefficients bool                    // of all atoms, [G V, K]; false: of the product C D, [V, G B]
}

// Latent is the name of a layer's latent values.
func Latent(layer string) string { return layer + ".latent" }

// latent binds the latent values of the layer b.Name(""), of which there are of one kind or none.
func (b *Builder) latent(blocks, width, atoms, vectors int) (product, coefficients *Weight) {
	s := b.opts.Straight
	if s == nil || !s.Match(b.prefix) {
		return nil, nil
	}
	own := &Builder{Tape: b.Tape, Store: s.Store, opts: &Options{Sink: s.Sink}}
	if s.Coefficients {
		w := own.Weight(Latent(b.prefix), Constant(0), blocks*vectors, atoms)
		return nil, &w
	}
	w := own.Weight(Latent(b.prefix), Constant(0), vectors, blocks*width)
	return &w, nil
}
