package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// mha is multi-head attention (Vaswani et al. 2017, section 3.2.2) with H query
// heads that share G key/value heads: G = H is the original, G = 1 multi-query
// attention (Shazeer 2019), between them grouped-query attention (Ainslie et al.
// 2023). Heads have width K; the scale is 1/sqrt(K).
//
// With qk_norm each head's query and key pass an RMS norm before they are turned
// (Dehghani et al. 2023, section 2; Qwen3).
//
// Parameters: q_proj [H*K, D], k_proj and v_proj [G*K, D], o_proj [D, H*K], and
// biases and q_norm, k_norm [K] if wanted: 2 D K (H + G) weights. Decoding caches 2 G K values a token.
type mha struct {
	cfg        LayerConfig
	b          *nn.Builder
	q, k, v, o nn.Linear

	qNorm, kNorm *nn.Norm // of each head; nil: none
}

// Projections are the keys of mha, gqa and mqa.
type Projections struct {
	Bias       bool  `toml:"bias" doc:"biases in the four projections"`
	OutputBias *bool `toml:"output_bias" doc:"a bias in the output projection; left out: as bias says"`
	QKNorm     *bool `toml:"qk_norm" doc:"RMS norm of each head's query and key before positions turn them; left out: false"`
}

// Projected is a kind whose queries, keys, values and outputs are one projection each: mha, gqa or mqa.
type Projected interface {
	Kind
	// Own are the kind's keys.
	Own() Projections
}

// Projections are the keys of a kind that is Projected; ok is false of another, which has other arrays.
func (c Config) Projections() (p Projections, ok bool) {
	k, ok := c.Of.(Projected)
	if !ok {
		return Projections{}, false
	}
	return k.Own(), true
}

// Own implements Projected.
func (p Projections) Own() Projections { return p }

// BiasedOutput tells whether the output projection has a bias.
func (p Projections) BiasedOutput() bool {
	if p.OutputBias != nil {
		return *p.OutputBias
	}
	return p.Bias
}

// NormedHeads tells whether each head's query and key are normalised.
func (p Projections) NormedHeads() bool { return p.QKNorm != nil && *p.QKNorm }

func newMHA(b *nn.Builder, cfg LayerConfig, p Projections) *mha {
	width, kvWidth := cfg.NHead*cfg.Dim(cfg.DModel), cfg.KVHeads()*cfg.Dim(cfg.DModel)
	l := &mha{
		cfg: cfg, b: b,
		q: nn.NewLinear(b.Sub("q_proj"), cfg.DModel, width, p.Bias, cfg.Init),
		k: nn.NewLinear(b.Sub("k_proj"), cfg.DModel, kvWidth, p.Bias, cfg.Init),
		v: nn.NewLinear(b.Sub("v_proj"), cfg.DModel, kvWidth, p.Bias, cfg.Init),
		o: nn.NewLinear(b.Sub("o_proj"), width, cfg.DModel, p.BiasedOutput(), cfg.OutInit),
	}
	if p.NormedHeads() {
		l.qNorm = nn.NewNorm(b.Sub("q_norm"), "rms_norm", cfg.Dim(cfg.DModel), cfg.Eps)
		l.kNorm = nn.NewNorm(b.Sub("k_norm"), "rms_norm", cfg.Dim(cfg.DModel), cfg.Eps)
	}
	return l
}

// normed normalises each head of x [N, H*K] by itself.
func (l *mha) normed(n *nn.Norm, x *G.Node) *G.Node {
	if n == nil {
		return x
	}
	rows, width, k := x.Shape()[0], x.Shape()[1], l.cfg.Dim(l.cfg.DModel)
	heads := op.Reshape(l.b.Tape, x, rows*width/k, k)
	return op.Reshape(l.b.Tape, n.Forward(heads), rows, width)
}

// Forward implements Attention.
func (l *mha) Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	q, k, v := l.q.Forward(x), l.k.Forward(x), l.v.Forward(x) // [B*T, H*K], [B*T, G*K] twice
	q, k = l.normed(l.qNorm, q), l.normed(l.kNorm, k)
	q, k = l.cfg.Rotate(l.b, q, seq), l.cfg.Rotate(l.b, k, seq)
	return l.o.Forward(Attend(l.b, q, k, v, seq, layer, op.AttentionShape{
		Heads: l.cfg.NHead, KVHeads: l.cfg.KVHeads(), HeadDim: l.cfg.Dim(l.cfg.DModel), Causal: l.cfg.Causal,
	}))
}

// projected is the shape of H query heads over so many key/value heads.
func projected(h Heads, kvHeads, dModel int) Shape {
	k := h.Dim(dModel)
	return Shape{
		KVHeads: kvHeads, Shared: kvHeads * k,
		Parameters: 2 * float64(dModel) * float64(k) * (float64(h.NHead) + float64(kvHeads)),
		Cache:      op.CacheLayout{KVHeads: kvHeads, KeyDim: k, ValueDim: k},
	}
}

// MHA is multi-head attention: as many key/value heads as query heads.
type MHA struct{ Projections }

// Validate implements Kind.
func (MHA) Validate(*configs.Report) {}

// ValidateHeads implements Kind.
func (MHA) ValidateHeads(r *configs.Report, h Heads) {
	if h.NKVHead != 0 && h.NKVHead != h.NHead {
		r.Errorf("n_kv_head", "is not n_head = %d, as in mha; for fewer use kind = \"gqa\"", h.NHead)
	}
}

// Shape implements Kind.
func (MHA) Shape(h Heads, dModel int) Shape { return projected(h, h.NHead, dModel) }

// New implements Kind.
func (k MHA) New(b *nn.Builder, cfg LayerConfig) Attention { return newMHA(b, cfg, k.Projections) }

// GQA is grouped-query attention: n_kv_head key/value heads, which the query heads share evenly.
type GQA struct{ Projections }

// Validate implements Kind.
func (GQA) Validate(*configs.Report) {}

// ValidateHeads implements Kind.
func (GQA) ValidateHeads(r *configs.Report, h Heads) {
	switch {
	case h.NKVHead == 0:
		r.Errorf("kind", "needs n_kv_head, a divisor of n_head = %d", h.NHead)
	case h.NHead%h.NKVHead != 0:
		r.Errorf("n_kv_head", "does not divide n_head = %d", h.NHead)
	}
}

// Shape implements Kind.
func (GQA) Shape(h Heads, dModel int) Shape { return projected(h, h.NKVHead, dModel) }

// New implements Kind.
func (k GQA) New(b *nn.Builder, cfg LayerConfig) Attention { return newMHA(b, cfg, k.Projections) }

// MQA is multi-query attention: one key/value head.
type MQA struct{ Projections }

// Validate implements Kind.
func (MQA) Validate(*configs.Report) {}

// ValidateHeads implements Kind.
func (MQA) ValidateHeads(r *configs.Report, h Heads) { singleHeadOnly(r, "mqa", h) }

// Shape implements Kind.
func (MQA) Shape(h Heads, dModel int) Shape { return projected(h, 1, dModel) }

// New implements Kind.
func (k MQA) New(b *nn.Builder, cfg LayerConfig) Attention { return newMHA(b, cfg, k.Projections) }
