package encoder

import (
	"fmt"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
)

// Config are the keys of an encoder in the manner of BERT, of which it takes some in one way only. It is the body too.
type Config struct {
	DModel  int `toml:"d_model" also:"hidden_size|hidden_dim|n_embd|embed_dim|dim|d" doc:"width of the residual stream" unit:"neurons"`
	NLayer  int `toml:"n_layer" also:"layers|num_layers|n_layers|num_hidden_layers|depth" doc:"blocks"`
	DFF     int `toml:"d_ff" also:"intermediate_size|ffn_dim|mlp_dim|hidden" doc:"width inside the MLP; 0: 4 d_model" unit:"neurons"`
	Context int `toml:"context" also:"max_position_embeddings|max_seq_len|block_size|n_positions" doc:"longest sequence; 0: [data] seq_len" unit:"tokens"`

	Norm                  string  `toml:"norm" doc:"kind of norm after each branch" choices:"rms_norm|layer_norm"`
	NormEps               float64 `toml:"norm_eps" doc:"added to the variance"`
	MLP                   string  `toml:"mlp" also:"activation|hidden_act|act" doc:"activation of the MLP" choices:"gelu|gelu_tanh|relu|silu"`
	Positions             string  `toml:"positions" doc:"how tokens know their places" choices:"learned"`
	Tied                  bool    `toml:"tie_embeddings" also:"tie_word_embeddings" doc:"false: the output head of a masked language model is the token embedding in any case"`
	Bias                  bool    `toml:"bias" doc:"biases in the MLP's layers"`
	Dropout               float64 `toml:"dropout" also:"resid_pdrop|hidden_dropout_prob|dropout_rate" doc:"probability, on embeddings and on each branch"`
	InitStd               float64 `toml:"init_std" also:"initializer_range" doc:"deviation of the weights' normal distribution"`
	CheckpointActivations bool    `toml:"checkpoint_activations" also:"gradient_checkpointing" doc:"compute activations of a block again in the backward pass, to save memory, for about a third more time"`

	Vocab *int `toml:"vocab_size" doc:"rows of the token embedding; left out: as many as the tokenizer has tokens" unit:"tokens"`

	Narrower *model.Widths `toml:"widths"`

	Attention attention.Config `toml:"attention"`

	TokenTypes *int      `toml:"token_types" doc:"how many texts a sequence may consist of; left out: 2" unit:"types"`
	Pooler     *string   `toml:"pooler" doc:"activation of the layer before the classifier; left out: tanh" choices:"tanh|relu"`
	Sentence   *Sentence `toml:"sentence"` // how each text gets a vector; nil: it does not
	Ranking    *Ranking  `toml:"ranking"`  // how pairs get scores that are trained in lists; nil: they do not
}

// Default is BERT (Devlin et al. 2018) but for its size.
func Default() Config {
	heads := attention.DefaultConfig()
	heads.OneOf = attention.As(attention.MHA{Projections: attention.Projections{Bias: true}})
	return Config{
		DModel: 256, NLayer: 4,
		Norm: "layer_norm", NormEps: 1e-12, MLP: "gelu", Positions: "learned", Bias: true, Dropout: 0.1, InitStd: 0.02,
		Attention: heads,
	}
}

// Validate implements model.Body.
func (c Config) Validate(r *configs.Report) {
	if c.Context < 0 {
		r.Errorf("context", "is negative; want 0 ([data] seq_len) or more")
	}
	r.AtLeast("d_model", 1)
	r.AtLeast("n_layer", 1)
	if c.NLayer > model.MaxLayers {
		r.Errorf("n_layer", "is too large; want at most %d", model.MaxLayers)
	}
	if c.DFF < 0 {
		r.Errorf("d_ff", "is negative; want 0 (chosen from d_model) or more")
	}
	r.OneOf("norm")
	r.OneOf("mlp", nn.MLPKinds...)
	r.Within("norm_eps", c.NormEps > 0 && c.NormEps < 1, "more than 0 and less than 1")
	r.Within("dropout", c.Dropout >= 0 && c.Dropout < 1, "0 or more and less than 1")
	r.Within("init_std", c.InitStd > 0 && c.InitStd < 10, "more than 0 and less than 10")
	c.Narrower.Check(r, c.NLayer)
	c.Attention.ValidateIn(r, c.DModel, c.Positions == "rotary")
	if c.Vocab != nil && *c.Vocab < 1 {
		r.Errorf("vocab_size", "is too small; want at least 1")
	}
	only := func(key string, ok bool, want string) { r.Only(key, ok, `kind = "encoder"`, want) }
	if c.TokenTypes != nil && (*c.TokenTypes < 0 || *c.TokenTypes > maxTokenTypes) {
		r.Errorf("token_types", "is out of range; want 0 to %d", maxTokenTypes)
	}
	r.OneOf("pooler")
	own, _ := c.Attention.Projections()
	only("attention.output_bias", own.OutputBias == nil, "none: bias is of all four projections")
	only("attention.qk_norm", !own.NormedHeads(), "none")
	only("attention.rope_scaling.kind", c.Attention.Scaling == nil, "none: its positions are learned")
	only("positions", c.Positions == "learned", "\"learned\"")
	only("mlp", c.MLP != "swiglu", "gelu, gelu_tanh, relu or silu")
	only("tie_embeddings", !c.Tied, "false: an output embedding, of a masked language model, is always tied")
	_, mha := c.Attention.Of.(attention.MHA)
	only("attention.kind", mha, "\"mha\"")
	only("attention.rope_theta", c.Attention.Theta == attention.DefaultConfig().Theta, "none: its positions are learned")
}

// Types implements model.Typed.
func (c Config) Types() int {
	if c.TokenTypes != nil {
		return *c.TokenTypes
	}
	return model.TokenTypes
}

// maxTokenTypes bounds token_types.
const maxTokenTypes = 1024

// HiddenWidth is the width inside the MLP.
func (c Config) HiddenWidth() int {
	if c.DFF > 0 {
		return c.DFF
	}
	return 4 * c.DModel
}

// Words implements model.Padded.
func (c Config) Words() int {
	if c.Vocab == nil {
		return 0
	}
	return *c.Vocab
}

// Bound implements model.Bounded.
func (c Config) Bound() (context int, learned bool) { return c.Context, c.Positions == "learned" }

// Least implements model.Weighed.
func (c Config) Least(d model.Dims, rows, length int, factored bool) model.Need {
	return model.TextBlocks{
		Layers: c.NLayer, Width: c.DModel, Hidden: c.DFF, Attention: c.Attention.Parameters(c.DModel),
		Learned: c.Positions == "learned", Angles: c.Attention.RotaryDim(c.DModel),
	}.Least(d, rows, length, factored)
}

// WordEmbedding implements model.Worded.
func (Config) WordEmbedding() string { return "bert.embeddings.word_embeddings.weight" }

// PerWord implements model.Worded.
func (c Config) PerWord() []string { return []string{c.WordEmbedding(), "cls.predictions.bias"} }

// Unpadded implements model.Padded.
func (c Config) Unpadded() model.Body {
	c.Vocab = nil
	return c
}

// Layout implements model.Body.
func (c Config) Layout() string { return fmt.Sprintf("%d layers of width %d", c.NLayer, c.DModel) }

// Blocks implements model.Body.
func (c Config) Blocks() int { return c.NLayer }

// Start implements configs.Starter.
func (Config) Start() []string {
	return []string{"data.tokenizer=wordpiece", "data.vocab_size=8000", "model.d_model=128", "model.n_layer=2", "model.dropout=0.1", "model.attention.n_head=4", "train.batch_size=32", "train.learning_rate=5e-4", "train.schedule=linear", "train.weight_decay=0.05"}
}
