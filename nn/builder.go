package nn

import (
	"fmt"
	"hash/fnv"
	"path"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/internal/rng"
	"sparrow/op"
)

// Options are what the layers of one graph have in common.
type Options struct {
	Seed   uint64                 // of initial values and dropout
	Linear []Rule                 // how linear layers are represented; later entries win
	Words  Table                  // and the embedding of words; nil: dense
	Sink   op.Sink                // receives gradients when the tape trains
	Frozen func(name string) bool // parameters without gradients; nil: none
	Tapped func(name string) bool // values to keep for reading; nil: none

	// Added returns a site's value with something added to it; nil: none has.
	Added func(name string, x *G.Node) *G.Node

	Step *G.Node // [1], counts micro-batches, for dropout; nil: no dropout

	STF *STF // latent values of dense_sparse layers; nil: none
}

// Builder carries what layers need while a graph is built: the tape, the store
// whose tensors it binds, and the name of the layer under construction.
type Builder struct {
	Tape   *op.Tape
	Store  *Store
	opts   *Options
	prefix string

	taps    map[string]*G.Node
	matched map[int]bool // entries of opts.Linear that some layer uses
}

// NewBuilder starts at the root of a model's names.
func NewBuilder(tape *op.Tape, store *Store, opts Options) *Builder {
	return &Builder{Tape: tape, Store: store, opts: &opts, taps: map[string]*G.Node{}, matched: map[int]bool{}}
}

// Sub descends to a part of the model: its names start with b's name and a dot.
func (b *Builder) Sub(name string) *Builder {
	c := *b
	c.prefix = b.Name(name)
	return &c
}

// Name is the full name of something called name here.
func (b *Builder) Name(name string) string {
	if b.prefix == "" {
		return name
	}
	if name == "" {
		return b.prefix
	}
	return b.prefix + "." + name
}

// rule is that of the linear layer b.Name(""): the last whose pattern matches its name.
func (b *Builder) rule() Rule {
	for i, c := range slices.Backward(b.opts.Linear) {
		if ok, _ := path.Match(c.Match, b.prefix); ok {
			b.matched[i] = true
			return c
		}
	}
	return Rule{OneOf: As(Dense{})}
}

// tableStorage is how a checkpoint holds the embedding b.Name(""): as the last rule says that is of embeddings too.
func (b *Builder) tableStorage() Quantization {
	for i, c := range slices.Backward(b.opts.Linear) {
		if ok, _ := path.Match(c.Match, b.prefix); ok && c.Embeddings != nil && *c.Embeddings {
			b.matched[i] = true
			return c.Quantization()
		}
	}
	return Quantization{}
}

// Unmatched lists the patterns of Options.Linear that decided no layer's
// representation, after the whole model is built.
func (b *Builder) Unmatched() []string {
	var patterns []string
	for i, c := range b.opts.Linear {
		if !b.matched[i] {
			patterns = append(patterns, c.Match)
		}
	}
	return patterns
}

// Weight is an array of a layer, bound to a graph. Each Use of a parameter is one reader.
type Weight struct {
	name  string
	shape tensor.Shape
	b     *Builder
}

// Weight binds the store's parameter of that name, which must have that shape,
// or declares it as one that weight decay pulls to zero. One that has no values yet gets the given initial ones, or zeros where
// it stays in few bits, unless the store is virtual.
func (b *Builder) Weight(name string, init Init, shape ...int) Weight {
	full, s := b.Name(name), b.Store
	if have := s.Shape(full); have == nil {
		s.declare(full, shape)
	} else if !have.Eq(tensor.Shape(shape)) {
		panic(&op.ShapeError{Op: "parameter", What: full, Got: have, Want: fmt.Sprint(shape)})
	}
	switch {
	case s.Virtual || s.filled(full):
	case s.InFewBits(full):
		s.zeroCodes(full)
	default:
		init.fill(s.make(full), rng.New(b.opts.Seed, "init/"+full, 0))
	}
	return Weight{full, shape, b}
}

// Steady is Weight of a parameter that weight decay leaves alone: a bias, the gain of a norm, a learned factor, or values
// whose paper trains them without.
func (b *Builder) Steady(name string, init Init, shape ...int) Weight {
	w := b.Weight(name, init, shape...)
	if !b.Store.steady[w.name] { // others may read a store that is complete
		b.Store.steady[w.name] = true
	}
	return w
}

// Use binds the weight to the graph for one reader.
func (w Weight) Use() op.Param {
	sink := w.b.opts.Sink
	if f := w.b.opts.Frozen; f != nil && f(w.name) {
		sink = nil
	}
	return w.b.Tape.Param(w.name, w.shape, w.b.Store.Get(w.name), sink)
}

// use is Use of a weight that may not be there.
func (w *Weight) use() *op.Param {
	if w == nil {
		return nil
	}
	p := w.Use()
	return &p
}

// Places are the integers of an index of places, nil in a virtual store.
func (w Weight) Places() []int32 { return w.b.Store.indices[w.name] }

// Atoms is an index of atoms.
func (w Weight) Atoms() *Atoms { return w.b.Store.atoms[w.name] }

// Base is a frozen weight.
func (w Weight) Base() *Base { return w.b.Store.bases[w.name] }

// Tape is that of the graph.
func (w Weight) Tape() *op.Tape { return w.b.Tape }

// Index binds the store's integers of that name, of which there must be n, or
// creates them by draw. They have no gradient. A virtual store has none.
func (b *Builder) Index(name string, n int, draw func(*rng.Source) []int32) []int32 {
	full := b.Name(name)
	if have, ok := b.Store.sizes[full]; ok {
		if have != n {
			panic(&op.ShapeError{Op: "parameter", What: full, Got: tensor.Shape{have}, Want: fmt.Sprint([]int{n})})
		}
	} else {
		b.Store.sizes[full] = n
		b.Store.indexNames = append(b.Store.indexNames, full)
	}
	if b.Store.Virtual || b.Store.indices[full] != nil {
		return b.Store.indices[full]
	}
	b.Store.indices[full] = draw(rng.New(b.opts.Seed, "index/"+full, 0))
	return b.Store.indices[full]
}

// Tap names a value for analysis: it is kept until the next run if
// Options.Tapped asks for it. Recomputed values keep their first name.
func (b *Builder) Tap(name string, x *G.Node) {
	full := b.Name(name)
	if b.opts.Tapped != nil && b.opts.Tapped(full) && b.taps[full] == nil {
		b.taps[full] = x
	}
}

// Site is Tap of a value that something can be added to: what it returns goes on.
func (b *Builder) Site(name string, x *G.Node) *G.Node {
	if b.opts.Added != nil {
		x = b.opts.Added(b.Name(name), x)
	}
	b.Tap(name, x)
	return x
}

// Taps returns the values that Options.Tapped asked for, by name.
func (b *Builder) Taps() map[string]*G.Node { return b.taps }

// Dropout zeroes elements of x with probability p while training.
func (b *Builder) Dropout(x *G.Node, name string, p float64) *G.Node {
	if p == 0 || b.opts.Step == nil {
		return x
	}
	return op.Dropout(b.Tape, x, b.opts.Step, p, b.stream(name))
}

// DropPath sets whole samples of x [batch*N, C] to zero with probability p while
// training; see op.DropPath.
func (b *Builder) DropPath(x *G.Node, name string, batch int, p float64) *G.Node {
	if p == 0 || b.opts.Step == nil {
		return x
	}
	return op.DropPath(b.Tape, x, b.opts.Step, batch, p, b.stream(name))
}

// stream is the seed of the random choices of that name.
func (b *Builder) stream(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(b.Name(name)))
	return b.opts.Seed ^ h.Sum64()
}
