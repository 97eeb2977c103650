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
	b             *nn.Builder
	qDown, q      nn.Linear // qDown nil: one matrix
	qNorm, kvNorm *nn.Norm
	latent, rope  nn.Linear
	keys, values  nn.Linear
	out           nn.Linear
}

func newMLA(b *nn.Builder, cfg LayerConfig) *mla {
	k, v, d, heads := cfg.Dim(cfg.DModel), cfg.ValueDim(cfg.DModel), cfg.DModel, cfg.NHead
	l := &mla{cfg: cfg, b: b}
	linear := func(name string, in, out int) nn.Linear { return nn.NewLinear(b.Sub(name), in, out, false, cfg.Init) }
	if cfg.QRank > 0 {
		l.qDown = linear("q_a_proj", d, cfg.QRank)
		l.qNorm = nn.NewNorm(b.Sub("q_a_layernorm"), "rms_norm", cfg.QRank, cfg.Eps)
		l.q = linear("q_b_proj", cfg.QRank, heads*(k+cfg.RopeDim))
	} else {
		l.q = linear("q_proj", d, heads*(k+cfg.RopeDim))
	}
	l.latent = linear("kv_a_proj", d, cfg.KVRank)
	l.kvNorm = nn.NewNorm(b.Sub("kv_a_layernorm"), "rms_norm", cfg.KVRank, cfg.Eps)
	l.rope = linear("k_rope_proj", d, cfg.RopeDim)
	l.keys = linear("k_b_proj", cfg.KVRank, heads*k)
	l.values = linear("v_b_proj", cfg.KVRank, heads*v)
	l.out = nn.NewLinear(b.Sub("o_proj"), heads*v, d, false, cfg.OutInit)
	return l
}

// Forward implements Attention.
func (l *mla) Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	t, heads, k := l.b.Tape, l.cfg.NHead, l.cfg.Dim(l.cfg.DModel)
	latent := l.kvNorm.Forward(l.latent.Forward(x))   // [B*T, R]
	rope := l.cfg.rotate(l.b, l.rope.Forward(x), seq) // [B*T, P]
	q := l.queries(x, seq)                            // [B*T, H*(K+P)]
	shape := op.AttentionShape{Heads: heads, Causal: l.cfg.Causal, Scale: 1 / math.Sqrt(float64(k+l.cfg.RopeDim))}
	if seq.Cache == nil {
		shape.KVHeads, shape.HeadDim, shape.ValueDim = heads, k+l.cfg.RopeDim, l.cfg.ValueDim(l.cfg.DModel)
		keys := op.JoinHeads(t, l.keys.Forward(latent), rope, heads) // [B*T, H*(K+P)]
		return l.out.Forward(attend(l.b, q, keys, l.values.Forward(latent), seq, layer, shape))
	}
	shape.KVHeads, shape.HeadDim, shape.ValueDim = 1, l.cfg.KVRank+l.cfg.RopeDim, l.cfg.KVRank
	q = op.MapHeads(t, q, nn.WeightOf(l.b.Sub("k_b_proj"), l.keys, l.cfg.KVRank), heads, false) // [B*T, H*(R+P)]
	sums := attend(l.b, q, op.JoinHeads(t, latent, rope, 1), nil, seq, layer, shape)            // [B*T, H*R]
	return l.out.Forward(op.MapHeads(t, sums, nn.WeightOf(l.b.Sub("v_b_proj"), l.values, l.cfg.KVRank), heads, true))
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
	return op.RotaryTail(l.b.Tape, q, seq.Positions, l.cfg.Rotary, l.cfg.Dim(l.cfg.DModel)+l.cfg.RopeDim)
}

// latentKind is MLA.
func latentKind() kind {
	return kind{
		name: "mla", keys: []string{"q_rank", "kv_rank", "rope_dim", "v_head_dim"},
		validate: func(c Config, r *configs.Report) {
			singleHeadOnly(c, r)
			if c.KVRank < 1 {
				r.Errorf("kv_rank", "is too small; mla wants at least 1")
			}
			if c.RopeDim < 2 || c.RopeDim%2 != 0 {
				r.Errorf("rope_dim", "must be even and at least 2, as mla wants")
			}
			if c.VHeadDim < 0 {
				r.Errorf("v_head_dim", "is negative; want 0 (head_dim) or more")
			}
		},
		kvHeads:   func(c Config) int { return c.NHead },
		queryRank: func(c Config, _ int) int { return c.QRank },
		rotaryDim: func(c Config, _ int) int { return c.RopeDim },
		shared:    func(c Config, _ int) int { return c.KVRank },
		parameters: func(c Config, d, m, k float64, query func(float64) float64) float64 {
			r, p, v := float64(c.KVRank), float64(c.RopeDim), k
			if c.VHeadDim > 0 {
				v = float64(c.VHeadDim)
			}
			return query(k+p) + d*(r+p) + r*m*(k+v) + m*v*d
		},
		cache: func(c Config, _ int) op.CacheLayout {
			return op.CacheLayout{KVHeads: 1, KeyDim: c.KVRank + c.RopeDim, ValueDim: c.KVRank, Shared: true}
		},
		layer: func(b *nn.Builder, cfg LayerConfig) Attention { return newMLA(b, cfg) },
	}
}
