package nn

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// GRUConfig describes a gated recurrent layer.
type GRUConfig struct {
	Input         int // width of the input
	Hidden        int // H, width of a direction's state
	Bidirectional bool
}

// Width is that of the output: H a direction.
func (c GRUConfig) Width() int {
	if c.Bidirectional {
		return 2 * c.Hidden
	}
	return c.Hidden
}

// GRU is a gated recurrent layer (Cho et al. 2014; the equations are those of
// op.GRU), with a second direction that reads each sequence from its end if so
// configured.
//
// Parameters of a direction ("forward", "reverse"), under PyTorch's names: ih,
// a linear layer with weight_ih [3H, Input] and bias_ih [3H] as ih.weight and
// ih.bias, so that it may be factorized like any other; and weight_hh [3H, H] and
// bias_hh [3H] as hh.weight and hh.bias, which the recurrent operator reads as
// they are. Rows are those of r, z and n. 3H (Input + H + 2) values, all drawn
// uniformly within 1/sqrt(H), as PyTorch does.
type GRU struct {
	b          *Builder
	directions []gruDirection
}

type gruDirection struct {
	input        Linear
	weight, bias Weight
	reverse      bool
}

// NewGRU names, shapes and initialises the parameters.
func NewGRU(b *Builder, cfg GRUConfig) *GRU {
	l := &GRU{b: b}
	names := []string{"forward", "reverse"}
	if !cfg.Bidirectional {
		names = names[:1]
	}
	init := Uniform(1 / math.Sqrt(float64(cfg.Hidden)))
	for _, name := range names {
		ih, hh := b.Sub(name).Sub("ih"), b.Sub(name).Sub("hh")
		ih.Steady("bias", init, 3*cfg.Hidden) // NewLinear finds it there and leaves it so
		l.directions = append(l.directions, gruDirection{
			input:   NewLinear(ih, cfg.Input, 3*cfg.Hidden, true, init),
			weight:  hh.Weight("weight", init, 3*cfg.Hidden, cfg.Hidden),
			bias:    hh.Steady("bias", init, 3*cfg.Hidden),
			reverse: name == "reverse",
		})
	}
	return l
}

// Forward maps x [B*T, Input] to the states [B*T, H] or, of both directions side
// by side, [B*T, 2H]; beyond a sequence's length they are zero.
func (l *GRU) Forward(x *G.Node, seq SeqInfo) *G.Node {
	var directions []op.GRUDirection
	for _, d := range l.directions {
		directions = append(directions, op.GRUDirection{
			Gates:  d.input.Forward(x), // [B*T, 3H]
			Weight: d.weight.Use(), Bias: d.bias.Use(), Reverse: d.reverse,
		})
	}
	return op.GRU(l.b.Tape, seq.Batch, seq.SeqLen, seq.Lengths, directions...)
}

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
