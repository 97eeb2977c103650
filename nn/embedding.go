package nn

import (
	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// Embedding maps integers to learned vectors: rows of a table [count, width].
type Embedding struct{ weight Weight }

// NewEmbedding makes the table b.Name("weight").
func NewEmbedding(b *Builder, count, width int, init Init) *Embedding {
	if q := b.tableStorage(); q.Bits > 0 {
		b.Store.quantized[b.Name("weight")] = q
	}
	return &Embedding{b.Weight("weight", init, count, width)}
}

// Forward maps ids [N] to [N, width].
func (e *Embedding) Forward(ids *G.Node) *G.Node { return op.Embedding(ids, e.weight.Use()) }

// Logits scores x [N, width] against every row: x Wᵀ, the output head of a model
// with tied embeddings. -> [N, count]
func (e *Embedding) Logits(x *G.Node) *G.Node { return op.Linear(x, e.weight.Use(), nil) }

// BiasedLogits is Logits plus a bias [count].
func (e *Embedding) BiasedLogits(x *G.Node, bias Weight) *G.Node {
	return op.Linear(x, e.weight.Use(), bias.use())
}
