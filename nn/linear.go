package nn

import (
	"math"
	"path"
	"slices"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/configs"
)

// LinearConfig says how linear layers are represented: one [[model.linear]] table.
type LinearConfig struct {
	Match      string  `toml:"match"`       // glob over layer names, "*" also matches dots
	Kind       string  `toml:"kind"`        // dense | low_rank | sltrain | dense_sparse | lora
	Rank       int     `toml:"rank"`        // R of the factors, all kinds but dense and dense_sparse
	Alpha      float64 `toml:"alpha"`       // the product of the factors counts alpha / rank, sltrain and lora; 0: rank
	Density    float64 `toml:"density"`     // delta in the paper: share of the entries of S that exist, sltrain
	UpInit     string  `toml:"up_init"`     // of B: zeros | uniform; "": uniform for low_rank, else zeros
	TrainScale bool    `toml:"train_scale"` // learn the product's factor as tanh(s), s = 1 at the start, sltrain
	Mode       string  `toml:"mode"`        // materialized | factored; "": whichever costs less by shape, sltrain and dense_sparse
	Base       string  `toml:"base"`        // how the frozen weight is kept: float32 | int8 | int4; "": float32, lora
	Block      int     `toml:"block"`       // b, width of a block, which divides the cut side, dense_sparse
	Atoms      int     `toml:"atoms"`       // K of a dictionary, up to 256, dense_sparse
	Nonzeros   []int   `toml:"nonzeros"`    // s, atoms that each vector of a block uses: one number, or one for each block, dense_sparse
	Axis       string  `toml:"axis"`        // side of W that is cut into blocks: in | out; "": in, whose products are faster, dense_sparse
	Shared     bool    `toml:"shared"`      // one dictionary for all blocks, dense_sparse
	Quantize   string  `toml:"quantize"`    // how a checkpoint holds the values: int8 | int4; "": float32, all kinds but lora; such layers do not train
	QuantBlock int     `toml:"quant_block"` // values that share a scale; 0: 64, of a lora layer's base 256
}

// linearKinds are the representations that exist.
var linearKinds = []string{"dense", "low_rank", "sltrain", "dense_sparse", "lora"}

// linearKey is a key that only some kinds read.
type linearKey struct {
	key   string
	given bool
	kinds []string
}

func (c LinearConfig) keys() []linearKey {
	return []linearKey{
		{"rank", c.Rank != 0, []string{"low_rank", "sltrain", "lora"}},
		{"alpha", c.Alpha != 0, []string{"sltrain", "lora"}},
		{"density", c.Density != 0, []string{"sltrain"}},
		{"up_init", c.UpInit != "", []string{"low_rank", "sltrain", "lora"}},
		{"train_scale", c.TrainScale, []string{"sltrain"}},
		{"mode", c.Mode != "", []string{"sltrain", "dense_sparse"}},
		{"base", c.Base != "", []string{"lora"}},
		{"block", c.Block != 0, []string{"dense_sparse"}},
		{"atoms", c.Atoms != 0, []string{"dense_sparse"}},
		{"nonzeros", len(c.Nonzeros) > 0, []string{"dense_sparse"}},
		{"axis", c.Axis != "", []string{"dense_sparse"}},
		{"shared", c.Shared, []string{"dense_sparse"}},
		{"quantize", c.Quantize != "", []string{"dense", "low_rank", "sltrain", "dense_sparse"}},
	}
}

// Validate reports a pattern that cannot match, an unknown kind, keys that the
// kind does not read and factors that cannot be.
func (c LinearConfig) Validate(r *configs.Report) {
	if _, err := path.Match(c.Match, ""); err != nil || c.Match == "" {
		r.Errorf("match", "is no glob pattern; want one like \"*.mlp.*\"")
	}
	oneOf := func(key, v string, known ...string) {
		if !slices.Contains(known, v) {
			r.Errorf(key, "is unknown; want one of %s", strings.Join(slices.DeleteFunc(known, func(s string) bool { return s == "" }), ", "))
		}
	}
	oneOf("kind", c.Kind, slices.Clone(linearKinds)...)
	oneOf("up_init", c.UpInit, "", "zeros", "uniform")
	oneOf("mode", c.Mode, "", "materialized", "factored")
	oneOf("base", c.Base, "", "float32", "int8", "int4")
	oneOf("quantize", c.Quantize, "", "int8", "int4")
	oneOf("axis", c.Axis, "", "in", "out")
	if !slices.Contains(linearKinds, c.Kind) {
		return
	}
	for _, k := range c.keys() {
		if k.given && !slices.Contains(k.kinds, c.Kind) {
			r.Errorf(k.key, "is for kind = \"%s\" only, but kind = %q", strings.Join(k.kinds, `" or "`), c.Kind)
		}
	}
	c.validateQuantBlock(r)
	if c.Kind == "dense" {
		return
	}
	if c.Kind == "dense_sparse" {
		c.validateDenseSparse(r)
		return
	}
	if c.Rank < 1 {
		r.Errorf("rank", "is too small; %s wants at least 1", c.Kind)
	}
	if !(c.Alpha >= 0) || math.IsInf(c.Alpha, 1) {
		r.Errorf("alpha", "is out of range; want 0 (as rank) or a finite number above")
	}
	if c.Kind != "sltrain" {
		return
	}
	if !(c.Density > 0 && c.Density < 1) {
		r.Errorf("density", "is out of range; want more than 0 and less than 1")
	}
}

// Scale is alpha / rank, the factor of the product of the factors.
func (c LinearConfig) Scale() float64 {
	if c.Alpha == 0 {
		return 1
	}
	return c.Alpha / float64(c.Rank)
}

// Linear is y = x Wᵀ + b with W [out, in] and b [out], however W is represented.
type Linear interface {
	// Forward maps x [N, in] to [N, out].
	Forward(x *G.Node) *G.Node
}

// NewLinear makes the linear layer b.Name(""), with or without a bias, which
// starts at zero. Its representation is that of the last [[model.linear]] table
// whose pattern matches its name. A dense weight starts from init, and so does
// a lora layer's base unless a checkpoint replaces it; factors have initial values
// of their own. The tap "input" is what the layer reads.
func NewLinear(b *Builder, in, out int, bias bool, init Init) Linear {
	l := newLinear(b, in, out, bias, init)
	if f := b.opts.Tapped; f != nil && f(b.Name("input")) {
		return &observed{b, l}
	}
	return l
}

// observed is a linear layer whose input is kept.
type observed struct {
	b *Builder
	Linear
}

func (l *observed) Forward(x *G.Node) *G.Node {
	l.b.Tap("input", x)
	return l.Linear.Forward(x)
}

func newLinear(b *Builder, in, out int, bias bool, init Init) Linear {
	l := newLinearOf(b, in, out, bias, init)
	b.Store.quantize(b.prefix)
	return l
}

func newLinearOf(b *Builder, in, out int, bias bool, init Init) Linear {
	var offset *Weight
	if bias {
		w := b.Weight("bias", Constant(0), out)
		offset = &w
	}
	cfg := b.linear()
	layer := Layer{Kind: cfg.Kind, In: in, Out: out, Config: cfg}
	b.Store.describe(b.prefix, layer)
	b.Store.pack(b.prefix)
	switch cfg.Kind {
	case "low_rank":
		return newLowRank(b, cfg, in, out, offset)
	case "sltrain":
		return newSLTrain(b, cfg, in, out, offset)
	case "dense_sparse":
		return newDenseSparse(b, layer, offset)
	case "lora":
		return newLoRA(b, cfg, in, out, offset, init)
	}
	return &dense{b.Weight("weight", init, out, in), offset}
}

// dense keeps W as it is.
type dense struct {
	weight Weight
	bias   *Weight
}

func (l *dense) Forward(x *G.Node) *G.Node { return l.weight.linear(x, l.bias) }

// Layer is what a store knows of one linear layer.
type Layer struct {
	Kind    string
	In, Out int
	Config  LinearConfig
}

// Parameters is the number of trainable values, the bias left out.
func (l Layer) Parameters() int {
	switch l.Kind {
	case "low_rank", "lora":
		return l.Config.Rank * (l.In + l.Out)
	case "sltrain":
		n := l.Config.Rank*(l.In+l.Out) + l.Nonzeros()
		if l.Config.TrainScale {
			n++
		}
		return n
	case "dense_sparse":
		return l.dictionaries()*l.Config.Atoms*l.Config.Block + l.Nonzeros()
	}
	return l.In * l.Out
}

// BaseBytes is the memory of the frozen weight of a lora layer.
func (l Layer) BaseBytes(dtype tensor.Dtype) int {
	if l.Kind != "lora" {
		return 0
	}
	return l.Config.base().Bytes(l.Out*l.In, int(dtype.Size()))
}

// Nonzeros is the number of entries of S, or of the sparse factor of a dense_sparse layer.
func (l Layer) Nonzeros() int {
	switch l.Kind {
	case "sltrain":
		return int(math.Floor(l.Config.Density * float64(l.Out) * float64(l.In)))
	case "dense_sparse":
		return l.atoms().Len()
	}
	return 0
}

// IndexBytes is what the places of those entries take in a checkpoint.
func (l Layer) IndexBytes() int {
	if l.Kind == "dense_sparse" {
		return l.atoms().PackedLen()
	}
	return 4 * l.Nonzeros()
}
