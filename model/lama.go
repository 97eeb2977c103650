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
	EmbedDim         int                           `toml:"embed_dim" doc:"E, width of a token's vector" unit:"neurons"`
	Hidden           int                           `toml:"hidden" doc:"H, width of each direction's state" unit:"neurons"`
	ClassifierHidden int                           `toml:"classifier_hidden" doc:"units of a layer before the scores; 0: none" unit:"neurons"`
	Dropout          float64                       `toml:"dropout" doc:"probability, on embeddings, on the text's vector and in the classifier"`
	Pooling          configs.OneOf[attention.Pool] `toml:"pooling" doc:"how words become one vector"`
}

// DefaultLAMAConfig is a small network of Mehta, Rangwala and Ramakrishnan (2019).
func DefaultLAMAConfig() LAMAConfig {
	return LAMAConfig{EmbedDim: 100, Hidden: 50, Dropout: 0.3, Pooling: attention.DefaultPool()}
}

// SetDefaults implements configs.Defaulter.
func (c *LAMAConfig) SetDefaults() { *c = DefaultLAMAConfig() }

// Validate reports values that no network can have.
func (c LAMAConfig) Validate(r *configs.Report) {
	r.AtLeast("embed_dim", 1)
	r.AtLeast("hidden", 1)
	r.AtLeast("classifier_hidden", 0)
	r.Within("dropout", c.Dropout >= 0 && c.Dropout < 1, "0 or more and less than 1")
}

// embeddingStd is the deviation of the embeddings' first values: small beside
// what they become, so that rare tokens, which hardly train, stay quiet.
const embeddingStd = 0.1

// LAMABody classifies texts by the states of a bidirectional GRU, pooled by low-rank
// multi-head attention (Mehta, Rangwala and Ramakrishnan 2019) or by one of the
// attentions that it is compared with:
//
//	x_t = E[w_t],  h_t = [forward GRU; reverse GRU](x)_t
//	s = pooling(h_1 .. h_T),  scores = MLP(s)
//
// Parameters: model.embed_tokens.weight [V, E], model.gru.* (see nn.GRU),
// model.pooling.* (see attention.LAMA), classifier.dense [F, S] where
// classifier_hidden F > 0, and classifier.out [C, S or F], both with a bias. Embeddings
// start from a normal distribution with deviation 0.1, the classifier within
// 1/sqrt(inputs). The tap "model.pooling.weights" [B*T, M] is the attention.
type LAMABody struct{ Config LAMAConfig }

// Pool implements Reader.
func (c LAMABody) Pool(g *Graph, text Text) *G.Node {
	cfg, root := c.Config, g.Sub("model")
	seq := nn.SeqInfo{Batch: g.Shape.Rows, SeqLen: g.Shape.Length, Lengths: g.Ints("lengths", g.Shape.Rows)}
	embed := nn.NewEmbedding(root.Sub("embed_tokens"), text.Vocab, cfg.EmbedDim, nn.Normal(embeddingStd))
	gru := nn.NewGRU(root.Sub("gru"), nn.GRUConfig{Input: cfg.EmbedDim, Hidden: cfg.Hidden, Bidirectional: true})
	pooling := cfg.Pooling.Of.New(root.Sub("pooling"), 2*cfg.Hidden)

	x := embed.Forward(g.Ints("tokens", seq.Batch*seq.SeqLen))       // [B*T, E]
	x = gru.Forward(g.Dropout(x, "embed", cfg.Dropout), seq)         // [B*T, 2H]
	return g.Dropout(pooling.Forward(x, seq), "pooled", cfg.Dropout) // [B, S]
}

// Head implements Reader.
func (c LAMABody) Head(g *Graph, x *G.Node, outputs int) *G.Node {
	classifier := g.Sub("classifier")
	init := func(in int) nn.Init { return nn.Uniform(1 / math.Sqrt(float64(in))) }
	width := x.Shape()[1]
	if f := c.Config.ClassifierHidden; f > 0 {
		x = op.Activation(g.Tape, "relu", nn.NewLinear(classifier.Sub("dense"), width, f, true, init(width)).Forward(x)) // [B, F]
		x, width = g.Dropout(x, "dense", c.Config.Dropout), f
	}
	return nn.NewHead(classifier.Sub("out"), width, outputs, true, init(width)).Forward(x) // [B, C]
}

// AttentionSite names the weights [B*T, M] of M heads by which a network pools the
// tokens of each text, a site; a network that does not pool has none.
const AttentionSite = "model.pooling.weights"
