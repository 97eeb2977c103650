package attention

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// mfa is multi-matrix factorization attention (Hu et al. 2024, Multi-matrix
// Factorization Attention; Step-3 report 2025, section 3): m wide heads over one
// key and one value of width C, with queries of two matrices,
//
//	q_t     = norm(x_t S_Q)                         [Cq], RMS norm or none
//	q_{t,c} = rope(q_t Q_c, t),  k_j = rope(x_j S_K, j),  v_j = x_j S_V    [C]
//	o_t     = sum_c (sum_j softmax_j(q_{t,c} k_j / sqrt(C)) v_j) O_c
//
// Parameters, named as in Step-3's serving code: q_proj [Cq, D] is S_Q, inter_norm
// [Cq], wq [m*C, Cq] the Q_c, k_proj and v_proj [C, D], o_proj [D, m*C] the O_c:
// D Cq + Cq m C + 2 D C + m C D weights. With output = "shared" O_c is head_proj's
// [C, m*C] part of head c, [C, C], and o_proj [D, C] is common: m C² + C D in place
// of m C D. Decoding caches 2 C values a token.
//
// The paper's table has Cq = C and O_c in R^{C x C}; Step-3 has Cq = 8 C, the norm,
// and O_c in R^{C x D}, the default here.
type mfa struct {
	cfg   LayerConfig
	b     *nn.Builder
	query query
	k, v  nn.Linear
	out   mfaOutput
}

func newMFA(b *nn.Builder, cfg LayerConfig, f Factors) *mfa {
	c := cfg.Dim(cfg.DModel)
	return &mfa{
		cfg: cfg, b: b,
		query: newQuery(b, cfg, f),
		k:     nn.NewLinear(b.Sub("k_proj"), cfg.DModel, c, false, cfg.Init),
		v:     nn.NewLinear(b.Sub("v_proj"), cfg.DModel, c, false, cfg.Init),
		out:   newMFAOutput(b, cfg, f),
	}
}

// Forward implements Attention.
func (l *mfa) Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	q := l.cfg.Rotate(l.b, l.query.Forward(x), seq) // [B*T, m*C]
	k := l.cfg.Rotate(l.b, l.k.Forward(x), seq)     // [B*T, C]
	return l.out.Forward(Attend(l.b, q, k, l.v.Forward(x), seq, layer, l.cfg.mfaShape()))
}

func (c LayerConfig) mfaShape() op.AttentionShape {
	return op.AttentionShape{Heads: c.NHead, KVHeads: 1, HeadDim: c.Dim(c.DModel), Causal: c.Causal}
}

// query makes the queries of mfa and mfa_kr.
type query struct {
	down, up nn.Linear
	norm     *nn.Norm // nil: none
}

func newQuery(b *nn.Builder, cfg LayerConfig, f Factors) query {
	rank := f.rank(cfg.Heads, cfg.DModel)
	q := query{
		down: nn.NewLinear(b.Sub("q_proj"), cfg.DModel, rank, false, cfg.Init),
		up:   nn.NewLinear(b.Sub("wq"), rank, cfg.NHead*cfg.Dim(cfg.DModel), false, cfg.Init),
	}
	if f.InterNorm {
		q.norm = nn.NewNorm(b.Sub("inter_norm"), "rms_norm", rank, cfg.Eps)
	}
	return q
}

// Forward maps x [N, D] to [N, m*C].
func (q query) Forward(x *G.Node) *G.Node {
	x = q.down.Forward(x)
	if q.norm != nil {
		x = q.norm.Forward(x)
	}
	return q.up.Forward(x)
}

// mfaOutput sums the heads' outputs.
type mfaOutput struct {
	heads nn.Linear // of output = "shared"; nil: full
	out   nn.Linear
}

func newMFAOutput(b *nn.Builder, cfg LayerConfig, f Factors) mfaOutput {
	c := cfg.Dim(cfg.DModel)
	if f.Output != "shared" {
		return mfaOutput{out: nn.NewLinear(b.Sub("o_proj"), cfg.NHead*c, cfg.DModel, false, cfg.OutInit)}
	}
	return mfaOutput{
		heads: nn.NewLinear(b.Sub("head_proj"), cfg.NHead*c, c, false, cfg.Init),
		out:   nn.NewLinear(b.Sub("o_proj"), c, cfg.DModel, false, cfg.OutInit),
	}
}

// Forward maps the heads' outputs [N, m*C] to [N, D].
func (o mfaOutput) Forward(x *G.Node) *G.Node {
	if o.heads != nil {
		x = o.heads.Forward(x)
	}
	return o.out.Forward(x)
}

// Factors are the keys of mfa and mfa_kr.
type Factors struct {
	QRank     int    `toml:"q_rank" doc:"width between the two matrices of a query; 0: head_dim" unit:"neurons"`
	InterNorm bool   `toml:"inter_norm" doc:"RMS norm between the two matrices of a query"`
	Output    string `toml:"output" doc:"one matrix of all heads, or a C x C matrix a head, summed, before one projection; empty: full" choices:"|full|shared"`
}

func (f Factors) validate(r *configs.Report) {
	if f.QRank < 0 {
		r.Errorf("q_rank", "is negative; want 0 or more")
	}
	r.OneOf("output")
}

// rank is the width between the two matrices of a query.
func (f Factors) rank(h Heads, dModel int) int {
	if f.QRank == 0 {
		return h.Dim(dModel)
	}
	return f.QRank
}

func (f Factors) shape(h Heads, dModel int) Shape {
	c, rank := h.Dim(dModel), f.rank(h, dModel)
	d, m, k := float64(dModel), float64(h.NHead), float64(c)
	weights := queryWeights(d, m, k, rank) + 2*d*k + m*k*d
	if f.Output == "shared" {
		weights += m*k*k + k*d - m*k*d
	}
	return Shape{
		KVHeads: 1, QueryRank: rank, Shared: c, Parameters: weights,
		Cache: op.CacheLayout{KVHeads: 1, KeyDim: c, ValueDim: c},
	}
}

// MFA is multi-matrix factorization attention.
type MFA struct{ Factors }

// Validate implements Kind.
func (k MFA) Validate(r *configs.Report) { k.validate(r) }

// ValidateHeads implements Kind.
func (MFA) ValidateHeads(r *configs.Report, h Heads) { singleHeadOnly(r, "mfa", h) }

// Shape implements Kind.
func (k MFA) Shape(h Heads, dModel int) Shape { return k.shape(h, dModel) }

// New implements Kind.
func (k MFA) New(b *nn.Builder, cfg LayerConfig) Attention { return newMFA(b, cfg, k.Factors) }
