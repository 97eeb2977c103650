package nn

import (
	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// SeqInfo is what layers know of the sequences that the rows of an activation
// [Batch*SeqLen, D] belong to. Its nodes are integer inputs, fed at run time.
type SeqInfo struct {
	Batch, SeqLen int
	Positions     *G.Node // [Batch*SeqLen], of each token in its sequence
	Lengths       *G.Node // [Batch], tokens that count; nil: all
	Types         *G.Node // [Batch*SeqLen], which of two texts a token belongs to; nil: unknown
	Starts        *G.Node // [Batch], the row of each sequence's first token; nil: unknown
	Cache         *SeqCache
}

// SeqCache is the state of cached decoding.
type SeqCache struct {
	Slots  *G.Node       // [Batch], which of the cache's sequences each row goes on with
	Past   *G.Node       // [Batch], tokens in the cache before this run
	Fresh  *G.Node       // [Batch], tokens of this run that count
	Layers []*op.KVCache // one a layer
}
