package denoiser

import (
	"fmt"
	"math"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
)

// Body is the keys of a [model] table, and the body.
type Body struct {
	Config `toml:"denoiser"`
}

// DefaultBody has the table's defaults.
func DefaultBody() Body { return Body{Config: Default()} }

// Config is the [model.denoiser] table.
type Config struct {
	DModel    int `toml:"d_model" doc:"width of a token"`
	NLayer    int `toml:"n_layer" doc:"blocks"`
	NHead     int `toml:"n_head" doc:"heads of the attention"`
	DFF       int `toml:"d_ff" doc:"width inside the MLP; 0: twice d_model"`
	Patch     int `toml:"patch" doc:"side of the patches that become tokens" unit:"pixels"`
	Window    int `toml:"window" doc:"M, side of the windows of fasa and window" unit:"tokens"`
	Reduction int `toml:"reduction" doc:"r of fasa: side of the global patches, and dilation" unit:"tokens"`

	Attention configs.OneOf[attention.Map] `kind:"attention" doc:"attention of the blocks"`

	Sigma []float64 `toml:"sigma" doc:"least and largest deviation of the noise that it learns, of pictures from -1 to 1"`
}

// Default is the network of the paper's comparison: 0.26 million weights.
func Default() Config {
	return Config{DModel: 64, NLayer: 4, NHead: 4, Patch: 2, Window: 8, Reduction: 2, Attention: attention.OfMap(attention.Window{}), Sigma: []float64{0.01, 2}}
}

// SetDefaults implements configs.Defaulter.
func (c *Config) SetDefaults() { *c = Default() }

// Limits of the keys, so that sizes do not overflow.
const (
	maxWidth = 1 << 14
	maxSide  = 64
)

// Validate implements model.Body. The table reports its own.
func (b Body) Validate(*configs.Report) {}

// Validate reports values that no network can have.
func (c Config) Validate(r *configs.Report) {
	within := func(key string, n, low, high int) {
		if n < low || n > high {
			r.Errorf(key, "is out of range; want %d to %d", low, high)
		}
	}
	within("d_model", c.DModel, 1, maxWidth)
	within("n_layer", c.NLayer, 1, model.MaxLayers)
	within("n_head", c.NHead, 1, maxWidth)
	within("d_ff", c.DFF, 0, maxWidth)
	within("patch", c.Patch, 1, maxSide)
	within("window", c.Window, 1, maxSide)
	within("reduction", c.Reduction, 1, maxSide)
	if len(c.Sigma) != 2 || !(c.Sigma[0] > 0 && c.Sigma[1] > c.Sigma[0]) || math.IsInf(c.Sigma[1], 0) {
		r.Errorf("sigma", "has no range; want the least deviation, above 0, and a larger one, as in [0.01, 2.0]")
	}
}

// hidden is the width inside the MLP.
func (c Config) hidden() int {
	if c.DFF > 0 {
		return c.DFF
	}
	return 2 * c.DModel
}

// Stride is what the sides of a picture must be a multiple of: whole windows of patches.
func (c Config) Stride() int {
	unit := c.Window
	for unit%c.Reduction != 0 {
		unit += c.Window
	}
	return c.Patch * unit
}

// layer is a block's attention.
func (c Config) layer(block int) attention.MapLayer {
	return attention.MapLayer{DModel: c.DModel, NHead: c.NHead, Reduction: c.Reduction, Window: c.Window, Block: block, Bias: true, Init: nn.Normal(1 / math.Sqrt(float64(c.DModel)))}
}

// Layout implements model.Body.
func (b Body) Layout() string {
	return fmt.Sprintf("denoiser of %d blocks of width %d with %s attention, patches of %d pixels", b.NLayer, b.DModel, b.Attention.Name, b.Patch)
}

// Blocks implements model.Body.
func (b Body) Blocks() int { return b.NLayer }

// Network implements model.Whole.
func (b Body) Network(d model.Dims) (model.Network, error) {
	if d.ImageSize == 0 || d.Channels != 1 {
		return nil, fmt.Errorf("model: a denoiser sees pictures of one channel; want [data] source = \"cubes\"")
	}
	n := Network{Body: b, Side: d.ImageSize}
	if d.ImageSize%b.Stride() != 0 {
		return nil, fmt.Errorf("model: denoiser: pictures of %d pixels; want [data] patch a multiple of %d: patch times window", d.ImageSize, b.Stride())
	}
	return n, b.check(d.ImageSize/b.Patch, d.ImageSize/b.Patch)
}

// check says why the attention cannot look at maps of that size.
func (c Config) check(height, width int) error {
	if err := c.Attention.Of.Check(c.layer(0), height, width); err != nil {
		return fmt.Errorf("model: denoiser: maps of %dx%d: %w", height, width, err)
	}
	return nil
}

// Least implements model.Weighed.
func (b Body) Least(d model.Dims, rows, _ int, _ bool) (n model.Need) {
	tokens := float64(rows) * float64(d.ImageSize/b.Patch) * float64(d.ImageSize/b.Patch)
	n.Weights = 4 * float64(b.NLayer) * float64(b.DModel) * float64(6*b.DModel+2*b.hidden())
	n.Activations = 4 * tokens * float64(b.NLayer) * float64(3*b.DModel+b.hidden())
	return n
}
