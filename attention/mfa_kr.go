package attention

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// mfaKR is MFA with key reuse (Hu et al. 2024, section 3.2): the value is made from
// the key before its rotation,
//
//	v_j = k_j + alpha ∘ (k_j Nᵀ)
//
// with the gate alpha zero at the start, so that training begins at v = k, and N
// not zero, because otherwise neither would ever get a gradient.
//
// Parameters: those of mfa, with n_proj [C, C] and v_gate [C] in place of v_proj.
//
// Decoding caches the C values of k_j before rotation and turns them when it reads
// them; values are never made: since v is linear in k,
//
//	sum_j a_j v_j = p + alpha ∘ (p Nᵀ),  p = sum_j a_j k_j
//
// (To keep the rotated key would cost as much, to turn it back for the sum.)
type mfaKR struct {
	cfg   LayerConfig
	b     *nn.Builder
	query query
	k, n  nn.Linear
	gate  nn.Weight
	out   mfaOutput
}

func newMFAKR(b *nn.Builder, cfg LayerConfig, f Factors) *mfaKR {
	c := cfg.Dim(cfg.DModel)
	return &mfaKR{
		cfg: cfg, b: b,
		query: newQuery(b, cfg, f),
		k:     nn.NewLinear(b.Sub("k_proj"), cfg.DModel, c, false, cfg.Init),
		n:     nn.NewLinear(b.Sub("n_proj"), c, c, false, nn.Uniform(math.Sqrt(3/float64(c)))), // Xavier: sqrt(6 / (in + out))
		gate:  b.Steady("v_gate", nn.Constant(0), c),
		out:   newMFAOutput(b, cfg, f),
	}
}

// Forward implements Attention.
func (l *mfaKR) Forward(x *G.Node, seq nn.SeqInfo, layer int) *G.Node {
	q, k := l.cfg.Rotate(l.b, l.query.Forward(x), seq), l.k.Forward(x) // [B*T, m*C], [B*T, C]
	shape := l.cfg.mfaShape()
	if seq.Cache == nil {
		v := l.value(k)
		return l.out.Forward(Attend(l.b, q, l.cfg.Rotate(l.b, k, seq), v, seq, layer, shape))
	}
	p := Attend(l.b, q, k, nil, seq, layer, shape) // [B*T, m*C]
	rows := seq.Batch * seq.SeqLen
	p = l.value(op.Reshape(l.b.Tape, p, rows*shape.Heads, shape.HeadDim)) // [B*T*m, C]
	return l.out.Forward(op.Reshape(l.b.Tape, p, rows, shape.Heads*shape.HeadDim))
}

// value maps keys, or sums of keys, [N, C] to values.
func (l *mfaKR) value(k *G.Node) *G.Node { return op.GatedAdd(k, l.n.Forward(k), l.gate.Use()) }

// MFAKR is MFA with key reuse. Keys are stored before they are turned, because they are values, too; the layout of its cache
// lacks the table to turn them with.
type MFAKR struct{ Factors }

// Validate implements Kind.
func (k MFAKR) Validate(r *configs.Report) { k.validate(r) }

// ValidateHeads implements Kind.
func (MFAKR) ValidateHeads(r *configs.Report, h Heads) { singleHeadOnly(r, "mfa_kr", h) }

// Shape implements Kind.
func (k MFAKR) Shape(h Heads, dModel int) Shape {
	s, c := k.shape(h, dModel), float64(h.Dim(dModel))
	s.Parameters += c*c - float64(dModel)*c
	s.Repeated = float64(h.NHead-1) * c * c // N is applied to what each head has read
	s.Cache.Shared = true
	s.TurnsLater = true
	return s
}

// New implements Kind.
func (k MFAKR) New(b *nn.Builder, cfg LayerConfig) Attention { return newMFAKR(b, cfg, k.Factors) }
