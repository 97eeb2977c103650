package decoder

import (
	"fmt"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
)

// Config are the keys of a decoder in the manner of LLaMA or, with norm = "layer_norm",
// mlp = "gelu_tanh", positions = "learned" and biases, of GPT-2. It is the body too.
type Config struct {
	DModel  int `toml:"d_model" also:"hidden_size|hidden_dim|n_embd|embed_dim|dim|d" doc:"width of the residual stream" unit:"neurons"`
	NLayer  int `toml:"n_layer" also:"layers|num_layers|n_layers|num_hidden_layers|depth" doc:"blocks"`
	DFF     int `toml:"d_ff" also:"intermediate_size|ffn_dim|mlp_dim|hidden" doc:"width inside the MLP; 0: 8/3 d_model, rounded up to 8 (swiglu), or 4 d_model" unit:"neurons"`
	Context int `toml:"context" also:"max_position_embeddings|max_seq_len|block_size|n_positions" doc:"longest sequence; 0: [data] seq_len" unit:"tokens"`

	Norm                  string  `toml:"norm" doc:"kind of norm before each branch" choices:"rms_norm|layer_norm"`
	NormEps               float64 `toml:"norm_eps" doc:"added to the variance"`
	MLP                   string  `toml:"mlp" also:"activation|hidden_act|act" doc:"activation of the MLP" choices:"swiglu|gelu|gelu_tanh|relu|silu"`
	Positions             string  `toml:"positions" doc:"how tokens know their places" choices:"rotary|learned"`
	Tied                  bool    `toml:"tie_embeddings" also:"tie_word_embeddings" doc:"the output head is the token embedding"`
	Bias                  bool    `toml:"bias" doc:"biases in the MLP's layers"`
	Dropout               float64 `toml:"dropout" also:"resid_pdrop|hidden_dropout_prob|dropout_rate" doc:"probability, on embeddings and on each branch"`
	InitStd               float64 `toml:"init_std" also:"initializer_range" doc:"deviation of the weights' normal distribution"`
	CheckpointActivations bool    `toml:"checkpoint_activations" also:"gradient_checkpointing" doc:"compute activations of a block again in the backward pass, to save memory, for about a third more time"`

	Vocab *int `toml:"vocab_size" doc:"rows of the token embedding; left out: as many as the tokenizer has tokens" unit:"tokens"`

	Narrower *model.Widths `toml:"widths"`

	Attention attention.Config `toml:"attention"`
}

// Default is a small LLaMA-style decoder.
func Default() Config {
	return Config{
		DModel: 256, NLayer: 4,
		Norm: "rms_norm", NormEps: 1e-5, MLP: "swiglu", Positions: "rotary", InitStd: 0.02,
		Attention: attention.DefaultConfig(),
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
	r.OneOf("mlp")
	r.OneOf("positions")
	r.Within("norm_eps", c.NormEps > 0 && c.NormEps < 1, "more than 0 and less than 1")
	r.Within("dropout", c.Dropout >= 0 && c.Dropout < 1, "0 or more and less than 1")
	r.Within("init_std", c.InitStd > 0 && c.InitStd < 10, "more than 0 and less than 10")
	c.Narrower.Check(r, c.NLayer)
	c.Attention.ValidateIn(r, c.DModel, c.Positions == "rotary")
	if c.Vocab != nil && *c.Vocab < 1 {
		r.Errorf("vocab_size", "is too small; want at least 1")
	}
}

// HiddenWidth is the width inside the MLP.
func (c Config) HiddenWidth() int {
	switch {
	case c.DFF > 0:
		return c.DFF
	case c.MLP == "swiglu":
		return (c.DModel*8/3 + 7) / 8 * 8
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
		Learned: c.Positions == "learned", Angles: c.Attention.RotaryDim(c.DModel), Scores: true,
	}.Least(d, rows, length, factored)
}

// WordEmbedding implements model.Worded.
func (Config) WordEmbedding() string { return "model.embed_tokens.weight" }

// PerWord implements model.Worded.
func (c Config) PerWord() []string { return []string{c.WordEmbedding(), "lm_head.weight"} }

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
	return []string{"model.d_model=128", "model.n_layer=4", "model.attention.n_head=4", "model.tie_embeddings=true", "train.batch_size=8", "train.learning_rate=3e-3", "train.weight_decay=0.01"}
}
