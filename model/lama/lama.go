package lama

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
)

// Shapes: B texts, T tokens each, E embedding width, H hidden width of a
// direction, S width of a text's vector, C classes.

// Config is the [model.lama] table: a bidirectional GRU under an attention
// that pools its states.
type Config struct {
	EmbedDim         int                           `toml:"embed_dim" also:"d_model|hidden_size|n_embd|dim" doc:"E, width of a token's vector" unit:"neurons"`
	Hidden           int                           `toml:"hidden" also:"hidden_dim|hidden_units" doc:"H, width of each direction's state" unit:"neurons"`
	ClassifierHidden int                           `toml:"classifier_hidden" doc:"units of a layer before the scores; 0: none" unit:"neurons"`
	Dropout          float64                       `toml:"dropout" doc:"probability, on embeddings, on the text's vector and in the classifier"`
	Pooling          configs.OneOf[attention.Pool] `toml:"pooling" doc:"how words become one vector"`
}

// Default is a small network of Mehta, Rangwala and Ramakrishnan (2019).
func Default() Config {
	return Config{EmbedDim: 100, Hidden: 50, Dropout: 0.3, Pooling: attention.DefaultPool()}
}

// SetDefaults implements configs.Defaulter.
func (c *Config) SetDefaults() { *c = Default() }

// Validate reports values that no network can have.
func (c Config) Validate(r *configs.Report) {
	r.AtLeast("embed_dim", 1)
	r.AtLeast("hidden", 1)
	r.AtLeast("classifier_hidden", 0)
	r.Within("dropout", c.Dropout >= 0 && c.Dropout < 1, "0 or more and less than 1")
}

// Body is the keys of a [model] table, and the body.
type Body struct {
	Context int `toml:"context" doc:"longest text; 0: [data] max_len" unit:"tokens"`
	Config  `toml:"lama"`
}

// DefaultBody has the table's defaults.
func DefaultBody() Body { return Body{Config: Default()} }

// Validate implements model.Body. The table reports its own.
func (c Body) Validate(r *configs.Report) {
	if c.Context < 0 {
		r.Errorf("context", "is negative; want 0 ([data] seq_len) or more")
	}
}

// Bound implements model.Bounded.
func (c Body) Bound() (context int, learned bool) { return c.Context, false }

// Least implements model.Weighed: of the tokens alone.
func (Body) Least(_ model.Dims, rows, length int, _ bool) model.Need {
	return model.Need{Activations: 3 * 8 * float64(rows) * float64(length)}
}

// Layout implements model.Body.
func (c Body) Layout() string {
	return fmt.Sprintf("embeddings of width %d, 2 x %d hidden units, %s pooling", c.EmbedDim, c.Hidden, c.Pooling.Name)
}

// Blocks implements model.Body.
func (Body) Blocks() int { return 0 }

// WordEmbedding implements model.Worded.
func (Body) WordEmbedding() string { return "model.embed_tokens.weight" }

// PerWord implements model.Worded.
func (b Body) PerWord() []string { return []string{b.WordEmbedding()} }

// embeddingStd is the deviation of the embeddings' first values: small beside
// what they become, so that rare tokens, which hardly train, stay quiet.
const embeddingStd = 0.1

// Pool implements model.Reader.
func (c Body) Pool(g *model.Graph, text model.Text) *G.Node {
	root := g.Sub("model")
	seq := nn.SeqInfo{Batch: g.Shape.Rows, SeqLen: g.Shape.Length, Lengths: g.Ints("lengths", g.Shape.Rows)}
	embed := nn.NewWords(root.Sub("embed_tokens"), text.Vocab, c.EmbedDim, nn.Normal(embeddingStd))
	gru := nn.NewGRU(root.Sub("gru"), nn.GRUConfig{Input: c.EmbedDim, Hidden: c.Hidden, Bidirectional: true})
	pooling := c.Pooling.Of.New(root.Sub("pooling"), 2*c.Hidden)

	x := embed.Forward(g.Ints("tokens", seq.Batch*seq.SeqLen))     // [B*T, E]
	x = gru.Forward(g.Dropout(x, "embed", c.Dropout), seq)         // [B*T, 2H]
	return g.Dropout(pooling.Forward(x, seq), "pooled", c.Dropout) // [B, S]
}

// Head implements model.Reader.
func (c Body) Head(g *model.Graph, x *G.Node, outputs int) *G.Node {
	classifier := g.Sub("classifier")
	init := func(in int) nn.Init { return nn.Uniform(1 / math.Sqrt(float64(in))) }
	width := x.Shape()[1]
	if f := c.ClassifierHidden; f > 0 {
		x = op.Activation(g.Tape, "relu", nn.NewLinear(classifier.Sub("dense"), width, f, true, init(width)).Forward(x)) // [B, F]
		x, width = g.Dropout(x, "dense", c.Dropout), f
	}
	return nn.NewHead(classifier.Sub("out"), width, outputs, true, init(width)).Forward(x) // [B, C]
}

// Start implements configs.Starter.
func (Body) Start() []string {
	return []string{"data.tokenizer=word", "data.vocab_size=20000", "model.lama.embed_dim=100", "model.lama.hidden=50", "train.batch_size=32", "train.learning_rate=2e-3", "train.schedule=linear", "train.weight_decay=0.05"}
}
