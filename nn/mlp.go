package nn

import (
	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// MLPKinds are the feed-forward networks that NewMLP knows.
var MLPKinds = []string{"swiglu", "gelu", "gelu_tanh", "relu", "silu"}

// MLPConfig describes a position-wise feed-forward network.
type MLPConfig struct {
	Kind    string // of MLPKinds: "swiglu", or the activation between two layers
	DModel  int    // width of input and output
	DFF     int    // width inside
	Bias    bool
	Init    Init // of the layers that read the input
	OutInit Init // of the layer that writes the output
}

// MLP is, with swiglu, W_down (silu(W_gate x) * W_up x) (Shazeer 2020), and else
// W_2 f(W_1 x) (Vaswani et al. 2017, section 3.3).
type MLP struct {
	cfg           MLPConfig
	b             *Builder
	gate, up, out Linear
}

// NewMLP makes gate_proj, up_proj and down_proj, or fc1 and fc2.
func NewMLP(b *Builder, cfg MLPConfig) *MLP {
	m := &MLP{cfg: cfg, b: b}
	if cfg.Kind == "swiglu" {
		m.gate = NewLinear(b.Sub("gate_proj"), cfg.DModel, cfg.DFF, cfg.Bias, cfg.Init)
		m.up = NewLinear(b.Sub("up_proj"), cfg.DModel, cfg.DFF, cfg.Bias, cfg.Init)
		m.out = NewLinear(b.Sub("down_proj"), cfg.DFF, cfg.DModel, cfg.Bias, cfg.OutInit)
		return m
	}
	m.up = NewLinear(b.Sub("fc1"), cfg.DModel, cfg.DFF, cfg.Bias, cfg.Init)
	m.out = NewLinear(b.Sub("fc2"), cfg.DFF, cfg.DModel, cfg.Bias, cfg.OutInit)
	return m
}

// Forward maps [N, DModel] to [N, DModel].
func (m *MLP) Forward(x *G.Node) *G.Node {
	if m.gate != nil {
		return m.out.Forward(op.SwiGLU(m.b.Tape, m.gate.Forward(x), m.up.Forward(x))) // [N, DFF] inside
	}
	return m.out.Forward(op.Activation(m.b.Tape, m.cfg.Kind, m.up.Forward(x)))
}
