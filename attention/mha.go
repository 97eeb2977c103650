package attention

import (
	"slices"

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

// BiasedOutput tells whether the output projection has a bias.
func (c Config) BiasedOutput() bool {
	if c.OutputBias != nil {
		return *c.OutputBias
	}
	return c.Bias
}

// NormedHeads tells whether each head's query and key are normalised.
func (c Config) NormedHeads() bool { return c.QKNorm != nil && *c.QKNorm }

func newMHA(b *nn.Builder, cfg LayerConfig) *mha {
	width, kvWidth := cfg.NHead*cfg.Dim(cfg.DModel), cfg.KVHeads()*cfg.Dim(cfg.DModel)
	l := &mha{
		cfg: cfg, b: b,
		q: nn.NewLinear(b.Sub("q_proj"), cfg.DModel, width, cfg.Bias, cfg.Init),
		k: nn.NewLinear(b.Sub("k_proj"), cfg.DModel, kvWidth, cfg.Bias, cfg.Init),
		v: nn.NewLinear(b.Sub("v_proj"), cfg.DModel, kvWidth, cfg.Bias, cfg.Init),
		o: nn.NewLinear(b.Sub("o_proj"), width, cfg.DModel, cfg.BiasedOutput(), cfg.OutInit),
	}
	if cfg.NormedHeads() {
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
	q, k = l.cfg.rotate(l.b, q, seq), l.cfg.rotate(l.b, k, seq)
	return l.o.Forward(attend(l.b, q, k, v, seq, layer, op.AttentionShape{
		Heads: l.cfg.NHead, KVHeads: l.cfg.KVHeads(), HeadDim: l.cfg.Dim(l.cfg.DModel), Causal: l.cfg.Causal,
	}))
}

// headsOf is the kind of H query heads over so many key/value heads.
func headsOf(name string, kvHeads func(c Config) int, validate func(c Config, r *configs.Report)) kind {
	return kind{
		name: name, keys: []string{"bias", "output_bias", "qk_norm"}, validate: validate, kvHeads: kvHeads,
		queryRank: func(c Config, _ int) int { return c.QRank }, rotaryDim: wholeHead,
		shared: func(c Config, dModel int) int { return kvHeads(c) * c.Dim(dModel) },
		parameters: func(c Config, d, m, k float64, _ func(float64) float64) float64 {
			return 2 * d * k * (m + float64(kvHeads(c)))
		},
		cache: func(c Config, dModel int) op.CacheLayout {
			return op.CacheLayout{KVHeads: kvHeads(c), KeyDim: c.Dim(dModel), ValueDim: c.Dim(dModel)}
		},
		layer: func(b *nn.Builder, cfg LayerConfig) Attention { return newMHA(b, cfg) },
	}
}

// ownHeads refuses another number of key/value heads than of query heads.
func ownHeads(c Config, r *configs.Report) {
	if c.NKVHead != 0 && c.NKVHead != c.NHead {
		r.Errorf("n_kv_head", "is not n_head = %d, as in mha; for fewer use kind = \"gqa\"", c.NHead)
	}
}

// groupedHeads refuses key/value heads that the query heads cannot share evenly.
func groupedHeads(c Config, r *configs.Report) {
	switch {
	case c.NKVHead == 0:
		r.Errorf("kind", "needs n_kv_head, a divisor of n_head = %d", c.NHead)
	case c.NHead%c.NKVHead != 0:
		r.Errorf("n_kv_head", "does not divide n_head = %d", c.NHead)
	}
}

// Special tells whether the kind has other arrays than the four projections of multi-head attention and its like.
func (c Config) Special() bool { return !slices.Contains(c.kind().keys, "output_bias") }
