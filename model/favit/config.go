package favit

import (
	"fmt"
	"slices"

	"sparrow/attention"
	"sparrow/configs"
	"sparrow/model"
	"sparrow/nn"
)

// Config is the [model.favit] table: a published variant, or one with some
// of its numbers replaced. Lists have an entry for each stage.
type Config struct {
	Variant    string `toml:"variant" doc:"sizes of the network, which the lists below replace" choices:"tiny|b0|b1|b2|b3"`
	Widths     []int  `toml:"widths" also:"d_model|hidden_size|channels|embed_dims" doc:"channels of the stages; empty: the variant's, as in the lists that follow"`
	Depths     []int  `toml:"depths" also:"n_layer|layers|num_layers|depth" doc:"blocks of the stages"`
	Heads      []int  `toml:"heads" doc:"heads of the local groups"`
	MLPRatios  []int  `toml:"mlp_ratios" doc:"width inside the MLP over the stage's"`
	Reductions []int  `toml:"reductions" doc:"r of fasa: side of the global patches, and dilation" unit:"pixels"`
	StemKernel int    `toml:"stem_kernel" doc:"side of the first convolution, odd; 0: the variant's" unit:"pixels"`
	StemStride int    `toml:"stem_stride" doc:"stride of the first convolution; 0: the variant's" unit:"pixels"`
	Window     int    `toml:"window" doc:"M, side of the windows of fasa and window" unit:"pixels"`

	Attention configs.OneOf[attention.Map] `kind:"attention" doc:"attention of the blocks: fasa, or another one for comparison"`

	DropPath float64 `toml:"drop_path" doc:"probability that a branch of the last block is left out, falling to 0 in the first"`
}

// Variants are the networks that the paper names, and one for images of 28
// to 64 pixels.
var Variants = []string{"b0", "b1", "b2", "b3", "tiny"}

// Default is the smallest published variant.
func Default() Config {
	return Config{Variant: "b0", Window: 7, Attention: attention.OfMap(attention.DefaultFaSA())}
}

// SetDefaults implements configs.Defaulter.
func (c *Config) SetDefaults() { *c = Default() }

// Resolved is the config with the variant's numbers where it has none of its own.
func (c Config) Resolved() Config {
	v := Config{
		Widths: []int{64, 128, 256, 512}, Heads: []int{1, 2, 4, 8}, MLPRatios: []int{8, 6, 4, 4}, Reductions: []int{8, 4, 2, 1},
		StemKernel: 7, StemStride: 4,
	}
	switch c.Variant {
	case "b0":
		v.Widths, v.Depths = []int{32, 64, 128, 256}, []int{2, 2, 6, 2}
	case "b1":
		v.Depths = []int{2, 2, 6, 2}
	case "b2":
		v.Depths = []int{2, 3, 18, 3}
	case "b3":
		v.Widths, v.Depths = []int{96, 192, 384, 768}, []int{2, 3, 14, 3}
	case "tiny":
		v = Config{
			Widths: []int{32, 64, 128}, Depths: []int{1, 1, 2}, Heads: []int{1, 2, 4}, MLPRatios: []int{4, 4, 4}, Reductions: []int{2, 1, 1},
			StemKernel: 3, StemStride: 2,
		}
	}
	list := func(own *[]int, variant []int) {
		if len(*own) == 0 {
			*own = variant
		}
	}
	list(&c.Widths, v.Widths)
	list(&c.Depths, v.Depths)
	list(&c.Heads, v.Heads)
	list(&c.MLPRatios, v.MLPRatios)
	list(&c.Reductions, v.Reductions)
	if c.StemKernel == 0 {
		c.StemKernel = v.StemKernel
	}
	if c.StemStride == 0 {
		c.StemStride = v.StemStride
	}
	return c
}

// Validate reports values that no network can have, whatever the images; see
// Check for those.
func (c Config) Validate(r *configs.Report) {
	r.OneOf("variant", Variants...)
	if !slices.Contains(Variants, c.Variant) {
		return
	}
	stages := len(c.Resolved().Widths)
	for _, list := range []struct {
		key    string
		values []int
		most   int // so that sizes do not overflow
	}{{"widths", c.Widths, 1 << 16}, {"depths", c.Depths, model.MaxLayers}, {"heads", c.Heads, 1 << 16}, {"mlp_ratios", c.MLPRatios, 64}, {"reductions", c.Reductions, maxSide}} {
		switch {
		case len(list.values) == 0:
		case len(list.values) != stages:
			r.Errorf(list.key, "has %d stages; want %d, as widths", len(list.values), stages)
		case slices.Min(list.values) < 1:
			r.Errorf(list.key, "has an entry that is too small; want at least 1")
		case slices.Max(list.values) > list.most:
			r.Errorf(list.key, "has an entry that is too large; want at most %d", list.most)
		}
	}
	if c.StemKernel < 0 || c.StemKernel > maxSide {
		r.Errorf("stem_kernel", "is out of range; want 0 (the variant's) to %d", maxSide)
	}
	if c.StemStride < 0 || c.StemStride > maxSide {
		r.Errorf("stem_stride", "is out of range; want 0 (the variant's) to %d", maxSide)
	}
	if c.StemKernel > 0 && c.StemKernel%2 == 0 {
		r.Errorf("stem_kernel", "is even; want an odd side, so that the padding is even")
	}
	if c.Window < 1 || c.Window > maxSide {
		r.Errorf("window", "is out of range; want 1 to %d", maxSide)
	}
	if !(c.DropPath >= 0 && c.DropPath < 1) {
		r.Errorf("drop_path", "is out of range; want 0 or more and less than 1")
	}
}

// maxSide bounds windows, patches and steps: larger than any image that is trained on.
const maxSide = 1024

// stage is one stage of a network whose config is resolved.
type stage struct {
	side    int // of its maps, pixels
	in      int // channels
	width   int
	kernel  int // of the patch embedding, as stride
	stride  int
	depth   int
	hidden  int                // width inside the MLP
	layer   attention.MapLayer // of the first block
	blockNo int                // its number
}

// embedding is the number of weights of the patch embedding, each of which is
// multiplied once for each pixel.
func (s stage) embedding() int { return s.kernel * s.kernel * s.in * s.width }

// stages lists the stages for images of the given size.
func (c Config) stages(dims model.Dims) []stage {
	c = c.Resolved()
	side, in, blocks := dims.ImageSize, dims.Channels, 0
	var stages []stage
	for i, width := range c.Widths {
		s := stage{
			in: in, width: width, kernel: 3, stride: 2, depth: c.Depths[i], hidden: width * c.MLPRatios[i], blockNo: blocks,
			layer: attention.MapLayer{DModel: width, NHead: c.Heads[i], Reduction: c.Reductions[i], Window: c.Window, Bias: true, Init: linearInit},
		}
		if i == 0 {
			s.kernel, s.stride = c.StemKernel, c.StemStride
		}
		side = (side-1)/s.stride + 1 // padding kernel/2 with an odd kernel
		s.side = side
		stages = append(stages, s)
		in, blocks = width, blocks+s.depth
	}
	return stages
}

// SizeKey implements model.Fitted.
func (Config) SizeKey() string { return "favit.variant" }

// Check implements model.Fitted.
func (c Config) Check(dims model.Dims) error {
	if err := configs.Validate("model.favit", &c); err != nil {
		return err
	}
	if dims.Classes < 1 || dims.ImageSize < 1 || dims.Channels < 1 {
		return fmt.Errorf("model: favit: images of %d pixels and %d channels in %d classes; want at least 1 each", dims.ImageSize, dims.Channels, dims.Classes)
	}
	for i, s := range c.stages(dims) {
		if err := c.Attention.Of.Check(s.layer, s.side, s.side); err != nil {
			return fmt.Errorf("model: favit: stage %d, maps of %dx%d: %w", i+1, s.side, s.side, err)
		}
	}
	return nil
}

// Parameters is the number of values that the network has, by its formulas.
func (c Config) Parameters(dims model.Dims) int {
	stages := c.stages(dims)
	n := (stages[len(stages)-1].width + 1) * dims.Classes
	for _, s := range stages {
		attn := c.Attention.Of.Shape(s.layer, s.side, s.side).Parameters
		mlp := 2*s.width*s.hidden + s.hidden + s.width + 10*s.hidden
		n += s.embedding() + 5*s.width + s.depth*(4*s.width+attn+mlp) // 5: bias and two norms
	}
	return n
}

// MACs is the number of multiply-adds of all layers for one image, without
// norms, activations and sums.
func (c Config) MACs(dims model.Dims) int {
	stages := c.stages(dims)
	macs := stages[len(stages)-1].width * dims.Classes
	for _, s := range stages {
		n := s.side * s.side
		attn := c.Attention.Of.Shape(s.layer, s.side, s.side).MACs
		macs += n*s.embedding() + s.depth*(attn+2*n*s.width*s.hidden+9*n*s.hidden)
	}
	return macs
}

// linearInit is that of linear layers. The authors' is cut off at 2, a hundred
// deviations away.
var linearInit = nn.Normal(0.02)

// Start implements configs.Starter.
func (Body) Start() []string {
	return []string{"model.favit.variant=tiny", "train.batch_size=64", "train.learning_rate=2e-3", "train.weight_decay=0.05", "train.ema=0.999"}
}
