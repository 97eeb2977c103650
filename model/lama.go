package model

import (
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B texts, T tokens each, E embedding width, H hidden width of a
// direction, S width of a text's vector, C classes.

// LAMAConfig is the [model.lama] table: a bidirectional GRU under an attention
// that pools its states.
type LAMAConfig struct {
	EmbedDim         int                     `toml:"embed_dim"`         // E, width of a token's vector
	Hidden           int                     `toml:"hidden"`            // H, width of each direction's state
	ClassifierHidden int                     `toml:"classifier_hidden"` // units of a layer before the scores; 0: none
	Dropout          float64                 `toml:"dropout"`           // probability, on embeddings, on the text's vector and in the classifier
	Pooling          attention.PoolingConfig `toml:"pooling"`
}

// DefaultLAMAConfig is a small network of Mehta, Rangwala and Ramakrishnan (2019).
func DefaultLAMAConfig() LAMAConfig {
	return LAMAConfig{EmbedDim: 100, Hidden: 50, Dropout: 0.3, Pooling: attention.DefaultPoolingConfig()}
}

// SetDefaults implements configs.Defaulter.
func (c *LAMAConfig) SetDefaults() { *c = DefaultLAMAConfig() }

// Validate reports values that no network can have.
func (c LAMAConfig) Validate(r *configs.Report) {
	atLeast := func(key string, v, low int) {
		if v < low {
			r.Errorf(key, "is too small; want at least %d", low)
		}
	}
	atLeast("embed_dim", c.EmbedDim, 1)
	atLeast("hidden", c.Hidden, 1)
	atLeast("classifier_hidden", c.ClassifierHidden, 0)
	if !(c.Dropout >= 0 && c.Dropout < 1) {
		r.Errorf("dropout", "is out of range; want 0 or more and less than 1")
	}
}

// embeddingStd is the deviation of the embeddings' first values: small beside
// what they become, so that rare tokens, which hardly train, stay quiet.
const embeddingStd = 0.1

// LAMA classifies texts by the states of a bidirectional GRU, pooled by low-rank
// multi-head attention (Mehta, Rangwala and Ramakrishnan 2019) or by one of the
// attentions that it is compared with:
//
//	x_t = E[w_t],  h_t = [forward GRU; reverse GRU](x)_t
//	s = pooling(h_1 .. h_T),  scores = MLP(s)
//
// Parameters: model.embed_tokens.weight [V, E], model.gru.* (see nn.GRU),
// model.pooling.* (see attention.NewPooling), classifier.dense [F, S] where
// classifier_hidden F > 0, and classifier.out [C, S or F], both with a bias. Embeddings
// start from a normal distribution with deviation 0.1, the classifier within
// 1/sqrt(inputs). The tap "model.pooling.weights" [B*T, M] is the attention.
type LAMA struct {
	cfg        LAMAConfig
	b          *nn.Builder
	embed      *nn.Embedding
	gru        *nn.GRU
	pooling    attention.Pooling
	dense, out nn.Linear // dense is nil without classifier_hidden
}

// NewLAMA names, shapes and initialises the parameters.
func NewLAMA(b *nn.Builder, cfg LAMAConfig, dims Dims) *LAMA {
	root := b.Sub("model")
	gru := nn.GRUConfig{Input: cfg.EmbedDim, Hidden: cfg.Hidden, Bidirectional: true}
	m := &LAMA{
		cfg: cfg, b: b,
		embed:   nn.NewEmbedding(root.Sub("embed_tokens"), dims.VocabSize, cfg.EmbedDim, nn.Normal(embeddingStd)),
		gru:     nn.NewGRU(root.Sub("gru"), gru),
		pooling: attention.NewPooling(root.Sub("pooling"), cfg.Pooling, gru.Width()),
	}
	linear := func(name string, in, out int) nn.Linear {
		return nn.NewLinear(b.Sub("classifier").Sub(name), in, out, true, nn.Uniform(1/math.Sqrt(float64(in))))
	}
	width := m.pooling.Width()
	if cfg.ClassifierHidden > 0 {
		m.dense = linear("dense", width, cfg.ClassifierHidden)
		width = cfg.ClassifierHidden
	}
	m.out = linear("out", width, dims.Outputs())
	return m
}

// Classify maps tokens [B*T] to scores [B, C].
func (m *LAMA) Classify(tokens *G.Node, seq nn.SeqInfo) *G.Node {
	x := m.b.Dropout(m.embed.Forward(tokens), "embed", m.cfg.Dropout)    // [B*T, E]
	h := m.gru.Forward(x, seq)                                           // [B*T, 2H]
	s := m.b.Dropout(m.pooling.Forward(h, seq), "pooled", m.cfg.Dropout) // [B, S]
	if m.dense != nil {
		s = op.Activation(m.b.Tape, "relu", m.dense.Forward(s)) // [B, F]
		s = m.b.Dropout(s, "dense", m.cfg.Dropout)
	}
	return m.out.Forward(s)
}
