package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/op"
)

// MHAConfig describes a multi-head attention.
type MHAConfig struct {
	Config
	DModel  int
	Causal  bool
	Rotary  *op.RotaryTable // positions; nil: none
	Init    nn.Init         // of q, k and v
	OutInit nn.Init         // of the output projection
}

// MHA is multi-head attention (Vaswani et al. 2017, section 3.2.2) with H query
// heads that share G key/value heads: G = H is the original, G = 1 multi-query
// attention (Shazeer 2019), between them grouped-query attention (Ainslie et al.
// 2023). Heads have width K; the scale is 1/sqrt(K).
//
// Parameters: q_proj [H*K, D], k_proj and v_proj [G*K, D], o_proj [D, H*K], and
// biases if wanted: 2 D K (H + G) weights. Decoding caches 2 G K values a token.
type MHA struct {
	cfg        MHAConfig
	b          *nn.Builder
	q, k, v, o nn.Linear
}

// NewMHA names, shapes and initialises the projections.
func NewMHA(b *nn.Builder, cfg MHAConfig) *MHA {
	width, kvWidth := cfg.NHead*cfg.Dim(cfg.DModel), cfg.KVHeads()*cfg.Dim(cfg.DModel)
	return &MHA{
		cfg: cfg, b: b,
		q: nn.NewLinear(b.Sub("q_proj"), cfg.DModel, width, cfg.Bias, cfg.Init),
		k: nn.NewLinear(b.Sub("k_proj"), cfg.DModel, kvWidth, cfg.Bias, cfg.Init),
		v: nn.NewLinear(b.Sub("v_proj"), cfg.DModel, kvWidth, cfg.Bias, cfg.Init),
		o: nn.NewLinear(b.Sub("o_proj"), width, cfg.DModel, cfg.Bias, cfg.OutInit),
	}
}

// Forward maps x [B*T, D] to [B*T, D]; layer is this layer's place in the cache.
func (l *MHA) Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	t := l.b.Tape
	q, k, v := l.q.Forward(x), l.k.Forward(x), l.v.Forward(x) // [B*T, H*K], [B*T, G*K] twice
	if l.cfg.Rotary != nil {
		q, k = op.Rotary(t, q, seq.Positions, l.cfg.Rotary), op.Rotary(t, k, seq.Positions, l.cfg.Rotary)
	}
	shape := op.AttentionShape{
		Batch: seq.Batch, SeqLen: seq.SeqLen, Heads: l.cfg.NHead, KVHeads: l.cfg.KVHeads(),
		HeadDim: l.cfg.Dim(l.cfg.DModel), Causal: l.cfg.Causal,
	}
	if c := seq.Cache; c != nil {
		return l.o.Forward(op.CachedAttention(t, q, k, v, c.Past, c.Fresh, c.Layers[layer], shape))
	}
	return l.o.Forward(op.Attention(t, q, k, v, seq.Lengths, shape))
}
