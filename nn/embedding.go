package nn

import (
	"fmt"
	"reflect"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/op"
)

// Embedding maps integers to learned vectors: rows of a table E [count, width].
type Embedding struct {
	table  Table
	arrays Weights
}

// Table is a representation of an embedding E [count, width]. Its rows can be looked up, and as a linear layer
// y = x Eᵀ + b it is a head that is tied to the embedding.
type Table interface {
	Kind
	// Rows are those of ids [N]: [N, width].
	Rows(w Weights, ids *G.Node) *G.Node
}

// Tables are the representations that come with this package, in the order in which messages name them.
func Tables() []configs.Choice[Table] {
	return []configs.Choice[Table]{
		{Name: "dense", New: func() Table { return Dense{} }},
		{Name: "low_rank", New: func() Table { return LowRank{} }},
	}
}

// AsTable is the choice of t, which must be one of Tables.
func AsTable(t Table) configs.OneOf[Table] {
	for _, c := range Tables() {
		if reflect.TypeOf(c.New()) == reflect.TypeOf(t) {
			return configs.OneOf[Table]{Name: c.Name, Of: t}
		}
	}
	panic(fmt.Sprintf("nn: %T is not one of Tables", t))
}

// Rows implements Table.
func (Dense) Rows(w Weights, ids *G.Node) *G.Node {
	if e := w["weight"]; e.words() && e.b.byIntegers() {
		return op.IntegerRows(e.b.Tape, ids, e.integers())
	}
	return op.Embedding(ids, w["weight"].Use())
}

// words tells whether the weight is the embedding of the network's words.
func (w Weight) words() bool { return w.name == w.b.Store.words+".weight" }

// Rows implements Table: F[ids] P, of the factors F = up.weight [count, R] and P = down.weight [R, width] (Liu et al. 2024, OFA).
func (LowRank) Rows(w Weights, ids *G.Node) *G.Node {
	return op.Expand(op.Embedding(ids, w["up.weight"].Use()), w["down.weight"].Use())
}

// NewEmbedding makes the table b.Name("weight").
func NewEmbedding(b *Builder, count, width int, init Init) *Embedding {
	return newEmbedding(b, Dense{}, count, width, init)
}

// NewWords makes the embedding of a network's words, of which it has one, in the representation that Options.Words gives. One in
// factors is a layer of the store [count, width], whose arrays it holds in place of b.Name("weight").
func NewWords(b *Builder, count, width int, init Init) *Embedding {
	table := b.opts.Words
	if table == nil {
		table = Dense{}
	}
	if b.Store.words == "" { // others may read a store that is complete
		b.Store.words = b.prefix
		l := Layer{In: width, Out: count, Words: true, Rule: Rule{OneOf: As(table), Storage: storageOf(b.tableStorage())}}
		b.Store.layers[b.prefix] = l
		if !l.Rule.Dense() {
			b.Store.layerNames = append(b.Store.layerNames, b.prefix)
		}
	}
	return newEmbedding(b, table, count, width, init)
}

func newEmbedding(b *Builder, table Table, count, width int, init Init) *Embedding {
	e := &Embedding{table, Weights{}}
	storage := b.tableStorage()
	for _, a := range table.Layout(width, count).Arrays {
		if full := b.Name(a.Name); storage.Bits > 0 && b.Store.quantized[full] != storage {
			b.Store.quantized[full] = storage
			if _, dense := table.(Dense); dense && b.Store.Int8 && b.Store.words == b.prefix { // nothing reads it as float32
				a.Stored = storage
				b.Store.pack(full, a)
			}
		}
		e.arrays[a.Name] = b.bind(a, init)
	}
	return e
}

// Forward maps ids [N] to [N, width].
func (e *Embedding) Forward(ids *G.Node) *G.Node { return e.table.Rows(e.arrays, ids) }

// Logits scores x [N, width] against every row: x Eᵀ, the output head of a model
// with tied embeddings. -> [N, count]
func (e *Embedding) Logits(x *G.Node) *G.Node { return e.table.New(e.arrays, nil).Forward(x) }

// BiasedLogits is Logits plus a bias [count].
func (e *Embedding) BiasedLogits(x *G.Node, bias Weight) *G.Node {
	return e.table.New(e.arrays, &bias).Forward(x)
}

// Words is the embedding of the network's words, as a layer W [Out, In] of that name; ok is false where there are none. It is
// among Layers if it is not dense.
func (s *Store) Words() (name string, l Layer, ok bool) {
	l, ok = s.layers[s.words]
	return s.words, l, ok
}

// storageOf is how a table names a quantization.
func storageOf(q Quantization) Storage {
	if q.Bits == 0 {
		return Storage{}
	}
	return Storage{Quantize: q.Name(), QuantBlock: q.Block}
}
