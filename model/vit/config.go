package vit

import (
	"fmt"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
)

// Config is the [model.vit] table.
type Config struct {
	Patch     int              `toml:"patch" also:"patch|patch_size" doc:"side of the patches; a divisor of the images'" unit:"pixels"`
	DModel    int              `toml:"d_model" also:"d_model|hidden_size|embed_dim|dim" doc:"width of the residual stream" unit:"neurons"`
	NLayer    int              `toml:"n_layer" also:"n_layer|layers|num_layers|n_layers|num_hidden_layers|depth" doc:"blocks"`
	DFF       int              `toml:"d_ff" also:"d_ff|intermediate_size|mlp_dim" doc:"width inside the MLP; 0: 4 d_model" unit:"neurons"`
	MLP       string           `toml:"mlp" doc:"activation of the MLP" choices:"gelu|gelu_tanh|relu|silu"`
	NormEps   float64          `toml:"norm_eps" doc:"added to the variance"`
	Dropout   float64          `toml:"dropout" doc:"probability, on embeddings and on each branch"`
	DropPath  float64          `toml:"drop_path" doc:"probability that a branch of the last block is left out, falling to 0 in the first"`
	InitStd   float64          `toml:"init_std" doc:"deviation of the weights' normal distribution"`
	Attention attention.Config `toml:"attention"`
}

// Default is ViT-Ti/16 (Touvron et al. 2021, table 1), the smallest that is published.
func Default() Config {
	heads := attention.DefaultConfig()
	heads.OneOf = attention.As(attention.MHA{Projections: attention.Projections{Bias: true}})
	heads.NHead = 3
	return Config{Patch: 16, DModel: 192, NLayer: 12, MLP: "gelu", NormEps: 1e-12, InitStd: 0.02, Attention: heads}
}

// SetDefaults implements configs.Defaulter.
func (c *Config) SetDefaults() { *c = Default() }

// maxPatch bounds the patches: larger than any image that is trained on.
const maxPatch = 1024

// Validate reports values that no network can have, whatever the images; see Check for those.
func (c Config) Validate(r *configs.Report) {
	r.Within("patch", c.Patch >= 1 && c.Patch <= maxPatch, fmt.Sprintf("1 to %d", maxPatch))
	r.AtLeast("d_model", 1)
	r.AtLeast("n_layer", 1)
	if c.NLayer > model.MaxLayers {
		r.Errorf("n_layer", "is too large; want at most %d", model.MaxLayers)
	}
	if c.DFF < 0 {
		r.Errorf("d_ff", "is negative; want 0 (4 d_model) or more")
	}
	r.OneOf("mlp")
	r.Within("norm_eps", c.NormEps > 0 && c.NormEps < 1, "more than 0 and less than 1")
	r.Within("dropout", c.Dropout >= 0 && c.Dropout < 1, "0 or more and less than 1")
	r.Within("drop_path", c.DropPath >= 0 && c.DropPath < 1, "0 or more and less than 1")
	r.Within("init_std", c.InitStd > 0 && c.InitStd < 10, "more than 0 and less than 10")
	c.Attention.ValidateIn(r, c.DModel, false)
	if c.Attention.Scaling != nil || c.Attention.Theta != attention.DefaultConfig().Theta {
		r.Errorf("attention.rope_theta", "is for rotary positions; those of patches are learned")
	}
}

// HiddenWidth is the width inside the MLP.
func (c Config) HiddenWidth() int {
	if c.DFF > 0 {
		return c.DFF
	}
	return 4 * c.DModel
}

// SizeKey implements model.Fitted.
func (Config) SizeKey() string { return "vit.patch" }

// Check implements model.Fitted.
func (c Config) Check(dims model.Dims) error {
	if err := configs.Validate("model.vit", &c); err != nil {
		return err
	}
	if dims.Classes < 1 || dims.ImageSize < 1 || dims.Channels < 1 {
		return fmt.Errorf("model: vit: images of %d pixels and %d channels in %d classes; want at least 1 each", dims.ImageSize, dims.Channels, dims.Classes)
	}
	if dims.ImageSize%c.Patch != 0 {
		return fmt.Errorf("model: vit: patches of %d pixels do not divide images of %d; set [model.vit] patch or [data] image_size", c.Patch, dims.ImageSize)
	}
	return nil
}

// tokens is how many an image has: the class token and one for each patch.
func (c Config) tokens(side int) int { return 1 + (side/c.Patch)*(side/c.Patch) }

// Body is the keys of a [model] table, and the body.
type Body struct {
	CheckpointActivations bool `toml:"checkpoint_activations" doc:"compute activations of a block again in the backward pass, to save memory, for about a third more time"`
	Config                `toml:"vit"`
}

// DefaultBody has the table's defaults.
func DefaultBody() Body { return Body{Config: Default()} }

// Validate implements model.Body. The table reports its own.
func (c Body) Validate(*configs.Report) {}

// Layout implements model.Body.
func (c Body) Layout() string {
	return fmt.Sprintf("%d layers of width %d over patches of %d pixels", c.NLayer, c.DModel, c.Patch)
}

// Blocks implements model.Body.
func (c Body) Blocks() int { return c.NLayer }

// Least implements model.Weighed.
func (c Body) Least(dims model.Dims, rows, _ int, _ bool) (n model.Need) {
	d, hidden, tokens := float64(c.DModel), float64(c.HiddenWidth()), float64(c.tokens(dims.ImageSize))
	block := c.Attention.Parameters(c.DModel) + 2*d*hidden
	n.Weights = 4 * (float64(c.NLayer)*block + tokens*d + float64(c.Patch)*float64(c.Patch)*float64(dims.Channels)*d)
	kept := 2*d + hidden // inputs of the block's layers
	if c.CheckpointActivations {
		kept = d
	}
	n.Activations = 4 * tokens * float64(c.NLayer) * kept * float64(rows)
	return n
}

// Start implements configs.Starter.
func (Body) Start() []string {
	return []string{"model.vit.patch=4", "model.vit.d_model=64", "model.vit.n_layer=4", "model.vit.attention.n_head=4", "train.batch_size=64", "train.learning_rate=1e-3", "train.weight_decay=0.05", "train.ema=0.999"}
}
