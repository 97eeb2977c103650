package nn

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// NewLinear makes the linear layer b.Name(""), with or without a bias, which
// starts at zero. Its representation is that of the last [[model.linear]] table
// whose pattern matches its name. A dense weight starts from init, and so does
// a lora layer's base unless a checkpoint replaces it; factors have initial values
// of their own. The tap "input" is what the layer reads.
func NewLinear(b *Builder, in, out int, bias bool, init Init) Linear {
	return newLayer(b, Layer{In: in, Out: out}, bias, init)
}

// NewHead makes a linear layer after which nothing comes: its outputs are the network's.
func NewHead(b *Builder, in, out int, bias bool, init Init) Linear {
	return newLayer(b, Layer{In: in, Out: out, Head: true}, bias, init)
}

func newLayer(b *Builder, layer Layer, bias bool, init Init) Linear {
	var offset *Weight
	if bias {
		w := b.Steady("bias", Constant(0), layer.Out)
		offset = &w
	}
	layer.Rule = b.rule()
	layer.check(b)
	layout := layer.Layout()
	b.Store.describe(b.prefix, layer, layout)
	w := Weights{}
	for _, a := range layout.Arrays {
		w[a.Name] = b.bind(a, init)
	}
	l := layer.Rule.Of.New(w, offset)
	if f := b.opts.Tapped; f != nil && f(b.Name("input")) {
		return &observed{b, l}
	}
	return l
}

// observed is a linear layer whose input is kept.
type observed struct {
	b *Builder
	Linear
}

func (l *observed) Forward(x *G.Node) *G.Node {
	l.b.Tap("input", x)
	return l.Linear.Forward(x)
}

// Layer is what a store knows of one linear layer.
type Layer struct {
	In, Out int
	Rule    Rule
	Head    bool // nothing comes after it
	Words   bool // the embedding of the words, whose rows are looked up too
}

// Layout is what the layer is made of, the bias left out, as it is stored.
func (l Layer) Layout() Layout { return l.Rule.layout(l.In, l.Out) }

// Parameters is the number of trainable values, the bias left out.
func (l Layer) Parameters() int {
	n := 0
	for _, a := range l.Layout().Arrays {
		if !a.Frozen && !a.isIndex() {
			n += a.size()
		}
	}
	return n
}

// BaseBytes is the memory of the frozen weights.
func (l Layer) BaseBytes(dtype tensor.Dtype) int {
	n := 0
	for _, a := range l.Layout().Arrays {
		if a.Frozen {
			n += a.Stored.Bytes(a.size(), int(dtype.Size()))
		}
	}
	return n
}

// Nonzeros is the number of entries whose places an index gives: of S, or of a sparse factor.
func (l Layer) Nonzeros() int {
	n := 0
	for _, a := range l.Layout().Arrays {
		switch {
		case a.Places != 0:
			n += a.Shape[0]
		case a.Atoms != nil:
			n += a.Atoms.Len()
		}
	}
	return n
}

// IndexBytes is what the places of those entries take in a checkpoint.
func (l Layer) IndexBytes() int {
	n := 0
	for _, a := range l.Layout().Arrays {
		switch {
		case a.Places != 0:
			n += 4 * a.Shape[0]
		case a.Atoms != nil:
			n += a.Atoms.PackedLen()
		}
	}
	return n
}

// StoredBytes is what a checkpoint holds of a layer, the bias left out: its values in their bits, the places of sparse ones,
// and its frozen weights.
func (l Layer) StoredBytes(dtype tensor.Dtype) int {
	n := l.IndexBytes()
	for _, a := range l.Layout().Arrays {
		if !a.isIndex() {
			n += a.Stored.Bytes(a.size(), int(dtype.Size()))
		}
	}
	return n
}

// MultiplyAdds is the work of the layer for one row of x.
func (l Layer) MultiplyAdds() int { return l.Layout().Work }

// Factored is the layer's kind if it has a product of factors.
func (l Layer) Factored() (Factored, bool) {
	k, ok := l.Rule.Of.(Factored)
	return k, ok
}
