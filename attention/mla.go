package attention

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// mla is multi-head latent attention (DeepSeek-V2, Liu et al. 2024, section 2.1):
// keys and values of H heads are made from one latent of width R, beside one rotary
// key of width P that all heads share,
//
//	c_j = norm(x_j W_DKV),  r_j = rope(x_j W_KR, j)
//	k_{j,h} = [c_j W_UK_h; r_j],  v_{j,h} = c_j W_UV_h
//	q_{t,h} = [q'; rope(q”, t)] of x_t W_Q_h,  scale 1/sqrt(K + P)
//
// Parameters: q_proj [H*(K+P), D], or q_a_proj [Cq, D], q_a_layernorm [Cq] and
// q_b_proj [H*(K+P), Cq]; kv_a_proj [R, D], kv_a_layernorm [R], k_rope_proj [P, D],
// k_b_proj [H*K, R], v_b_proj [H*V, R], o_proj [D, H*V]. (Hugging Face's
// kv_a_proj_with_mqa is kv_a_proj over k_rope_proj, its kv_b_proj k_b_proj and
// v_b_proj head by head.)
//
// Decoding caches c_j and r_j, R + P values a token, and moves W_UK to the query and
// W_UV behind the sum: (c_j W_UK_h) · q' = c_j · (q' W_UK_hᵀ). So all heads read
// the same memory.
type mla struct {
	cfg           LayerConfig
	own           MLA
	b             *nn.Builder
	qDown, q      nn.Linear // qDown nil: one matrix
	qNorm, kvNorm *nn.Norm
	latent, rope  nn.Linear
	keys, values  nn.Linear
	out           nn.Linear
}

func newMLA(b *nn.Builder, cfg LayerConfig, own MLA) *mla {
	k, v, d, heads := cfg.Dim(cfg.DModel), own.ValueDim(cfg.Heads, cfg.DModel), cfg.DModel, cfg.NHead
	l := &mla{cfg: cfg, own: own, b: b}
	linear := func(name string, in, out int) nn.Linear { return nn.NewLinear(b.Sub(name), in, out, false, cfg.Init) }
	if own.QRank > 0 {
		l.qDown = linear("q_a_proj", d, own.QRank)
		l.qNorm = nn.NewNorm(b.Sub("q_a_layernorm"), "rms_norm", own.QRank, cfg.Eps)
		l.q = linear("q_b_proj", own.QRank, heads*(k+own.RopeDim))
	} else {
		l.q = linear("q_proj", d, heads*(k+own.RopeDim))
	}
	l.latent = linear("kv_a_proj", d, own.KVRank)
	l.kvNorm = nn.NewNorm(b.Sub("kv_a_layernorm"), "rms_norm", own.KVRank, cfg.Eps)
	l.rope = linear("k_rope_proj", d, own.RopeDim)
	l.keys = linear("k_b_proj", own.KVRank, heads*k)
	l.values = linear("v_b_proj", own.KVRank, heads*v)
	l.out = nn.NewLinear(b.Sub("o_proj"), heads*v, d, false, cfg.OutInit)
	return l
}

// Forward implements Attention.
func (l *mla) Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	t, heads, k := l.b.Tape, l.cfg.NHead, l.cfg.Dim(l.cfg.DModel)
	latent := l.kvNorm.Forward(l.latent.Forward(x))   // [B*T, R]
	rope := l.cfg.Rotate(l.b, l.rope.Forward(x), seq) // [B*T, P]
	q := l.queries(x, seq)                            // [B*T, H*(K+P)]
	shape := op.AttentionShape{Heads: heads, Causal: l.cfg.Causal, Scale: 1 / math.Sqrt(float64(k+l.own.RopeDim))}
	if seq.Cache == nil {
		shape.KVHeads, shape.HeadDim, shape.ValueDim = heads, k+l.own.RopeDim, l.own.ValueDim(l.cfg.Heads, l.cfg.DModel)
		keys := op.JoinHeads(t, l.keys.Forward(latent), rope, heads) // [B*T, H*(K+P)]
		return l.out.Forward(Attend(l.b, q, keys, l.values.Forward(latent), seq, layer, shape))
	}
	shape.KVHeads, shape.HeadDim, shape.ValueDim = 1, l.own.KVRank+l.own.RopeDim, l.own.KVRank
	q = op.MapHeads(t, q, nn.WeightOf(l.b.Sub("k_b_proj"), l.keys, l.own.KVRank), heads, false) // [B*T, H*(R+P)]
	sums := Attend(l.b, q, op.JoinHeads(t, latent, rope, 1), nil, seq, layer, shape)            // [B*T, H*R]
	return l.out.Forward(op.MapHeads(t, sums, nn.WeightOf(l.b.Sub("v_b_proj"), l.values, l.own.KVRank), heads, true))
}

// queries maps x [N, D] to [N, H*(K+P)], of each head the last P columns turned.
func (l *mla) queries(x *G.Node, seq nn.SeqInfo) *G.Node {
	if l.qDown != nil {
		x = l.qNorm.Forward(l.qDown.Forward(x))
	}
	q := l.q.Forward(x)
	if l.cfg.Rotary == nil {
		return q
	}
	return op.RotaryTail(l.b.Tape, q, seq.Positions, l.cfg.Rotary, l.cfg.Dim(l.cfg.DModel)+l.own.RopeDim)
}

// MLA is multi-head latent attention.
type MLA struct {
	QRank    int `toml:"q_rank" doc:"width between the two matrices of a query; 0: one matrix" unit:"neurons"`
	KVRank   int `toml:"kv_rank" doc:"width of the latent that keys and values are made from" unit:"neurons"`
	RopeDim  int `toml:"rope_dim" doc:"width of the key with positions, which all heads share" unit:"neurons"`
	VHeadDim int `toml:"v_head_dim" doc:"width of a head's value; 0: head_dim" unit:"neurons"`
}

// Validate implements Kind.
func (k MLA) Validate(r *configs.Report) {
	if k.QRank < 0 {
		r.Errorf("q_rank", "is negative; want 0 or more")
	}
	if k.KVRank < 1 {
		r.Errorf("kv_rank", "is too small; mla wants at least 1")
	}
	if k.RopeDim < 2 || k.RopeDim%2 != 0 {
		r.Errorf("rope_dim", "must be even and at least 2, as mla wants")
	}
	if k.VHeadDim < 0 {
		r.Errorf("v_head_dim", "is negative; want 0 (head_dim) or more")
	}
}

// ValidateHeads implements Kind.
func (MLA) ValidateHeads(r *configs.Report, h Heads) { singleHeadOnly(r, "mla", h) }

// ValueDim is the width of a head's value.
func (k MLA) ValueDim(h Heads, dModel int) int {
	if k.VHeadDim > 0 {
		return k.VHeadDim
	}
	return h.Dim(dModel)
}

// Shape implements Kind.
func (k MLA) Shape(h Heads, dModel int) Shape {
	d, m, key := float64(dModel), float64(h.NHead), float64(h.Dim(dModel))
	r, p, v := float64(k.KVRank), float64(k.RopeDim), float64(k.ValueDim(h, dModel))
	return Shape{
		KVHeads: h.NHead, RotaryDim: k.RopeDim, QueryRank: k.QRank, Shared: k.KVRank,
		Parameters: queryWeights(d, m, key+p, k.QRank) + d*(r+p) + r*m*(key+v) + m*v*d,
		Cache:      op.CacheLayout{KVHeads: 1, KeyDim: k.KVRank + k.RopeDim, ValueDim: k.KVRank, Shared: true},
	}
}

// New implements Kind.
func (k MLA) New(b *nn.Builder, cfg LayerConfig) Attention { return newMLA(b, cfg, k) }
