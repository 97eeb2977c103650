package attention

import (
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/nn"
	"sparrow/op"
)

// Attention is one layer of some kind.
type Attention interface {
	// Forward maps x [B*T, D] to [B*T, D]; layer is this layer's place in the cache.
	Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node
}

// LayerConfig describes a layer.
type LayerConfig struct {
	Config
	DModel  int
	Causal  bool
	Rotary  *op.RotaryTable // positions, RotaryDim wide; nil: none
	Eps     float64         // of the norms inside mfa, mfa_kr and mla
	Init    nn.Init         // of all matrices but the last
	OutInit nn.Init         // of the output projection
}

// New makes the layer b.Name("") of the config's kind.
func New(b *nn.Builder, cfg LayerConfig) Attention {
	return cfg.Of.New(b, cfg)
}

// CacheRotary is the table by which a cache of up to capacity tokens turns keys when
// they are read, where positions are rotary; nil: they are turned before.
func (c Config) CacheRotary(dModel, capacity int, dtype tensor.Dtype) *op.RotaryTable {
	if !c.Shape(dModel).TurnsLater {
		return nil
	}
	return c.RotaryTable(dModel, capacity, dtype)
}

// Attend is attention over the sequence itself, or while decoding over the cache,
// with v nil if the cache has no values of their own.
func Attend(b *nn.Builder, q, k, v *G.Node, seq nn.SeqInfo, layer int, s op.AttentionShape) *G.Node {
	s.Batch, s.SeqLen = seq.Batch, seq.SeqLen
	if c := seq.Cache; c != nil {
		return op.CachedAttention(b.Tape, q, k, v, c.Slots, c.Past, c.Fresh, c.Layers[layer], s)
	}
	b.Tap("query", q)
	b.Tap("key", k)
	return op.Attention(b.Tape, q, k, v, seq.Lengths, s)
}

// Rotate turns every head of x by its token's position.
func (c LayerConfig) Rotate(b *nn.Builder, x *G.Node, seq nn.SeqInfo) *G.Node {
	if c.Rotary == nil {
		return x
	}
	return op.Rotary(b.Tape, x, seq.Positions, c.Rotary)
}
