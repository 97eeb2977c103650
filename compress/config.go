package compress

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/factor"
	"sparrow/internal/shell"
	"sparrow/recipe"
	"sparrow/saved"
)

// Config is one TOML file: one compression.
type Config struct {
	Name     string   `toml:"name" doc:"of the result; -o defaults to runs/<name>"`
	Seed     uint64   `toml:"seed" doc:"order of the calibration data"`
	Compress Settings `toml:"compress"`

	Unmeasured bool `toml:"-"` // Run leaves out the measurement of both models
}

// Settings is the [compress] table.
type Settings struct {
	Methods []Choice      `toml:"-"` // that method may name: those of this package, which a caller may extend
	Known   saved.Options `toml:"-"` // the kinds by which models are opened

	From   string `toml:"from" doc:"run or checkpoint to compress"`
	Method string `toml:"method" doc:"how layers become smaller; auto: the method with the least predicted loss, for each layer and size"`

	// The budget, of which one is set. All count the weights of the layers that match, without biases: values of 4 bytes,
	// and indices.
	Ratio  float64 `toml:"ratio" doc:"share of the dense layers' bytes to remove, more than 0 and less than 1"`
	Params int     `toml:"params" doc:"values to keep" unit:"values"`
	Bytes  int     `toml:"bytes" doc:"bytes to keep" unit:"bytes"`

	Allocation string `toml:"allocation" doc:"how layers share the budget: loss for the least predicted increase of the loss, uniform for equal shares of each" choices:"loss|uniform"`

	Row    string  `toml:"row" doc:"sides that Fisher information weighs in fwsvd, tfwsvd and dsformer: in (the paper's, a weight for each input), out or both" choices:"in|out|both"`
	Floor  float64 `toml:"floor" doc:"added to weights over their mean, so that none is 0"`
	Alpha  float64 `toml:"alpha" doc:"of asvd: power of the inputs' mean size"`
	Sweeps int     `toml:"sweeps" doc:"of tfwsvd, at most"`
	Group  int     `toml:"group" doc:"of magnitude: M of N:M, inputs of which N keep their weight; it divides all inputs"`

	DSFormer DSFormerConfig  `toml:"dsformer" doc:"of dsformer"`
	Quantize *QuantizeConfig `toml:"quantize" doc:"bits that values are stored in; none: float32"`

	Interpolative *InterpolativeConfig `toml:"interpolative" doc:"of interpolative"`

	Cache string `toml:"cache" doc:"folder that keeps statistics of calibration data"`

	Layer       []LayerConfig     `toml:"layer" doc:"which linear layers, later tables win; none: all but the output head"`
	Calibration CalibrationConfig `toml:"calibration"`
	Data        *DataConfig       `toml:"data" doc:"calibration data; none: the checkpoint's own"`
	Finetune    *FinetuneConfig   `toml:"finetune" doc:"training of the result; none: none"`
}

// LayerConfig is one [[compress.layer]] table.
type LayerConfig struct {
	Match  string `toml:"match" doc:"glob over layer names, \"*\" also matches dots; the embedding of words is matched by its name in full only"`
	Method string `toml:"method" doc:"\"\": that of [compress]; dense: the layer stays as it is and counts in no budget"`
}

// CalibrationConfig is the [compress.calibration] table.
type CalibrationConfig struct {
	Examples    int `toml:"examples" doc:"texts, or windows of seq_len tokens, of the training split"`
	FisherBatch int `toml:"fisher_batch" doc:"texts whose gradients are summed before they are squared"`
}

// DataConfig is the [compress.data] table: a [data] table whose tokenizer is the checkpoint's.
type DataConfig struct{ recipe.Data }

// SetDefaults implements configs.Defaulter.
func (c *DataConfig) SetDefaults() { c.Data = recipe.DefaultData() }

// FinetuneConfig is the [compress.finetune] table: a [train] table whose init_from is the compressed checkpoint.
type FinetuneConfig struct{ recipe.Train }

// SetDefaults implements configs.Defaulter: few steps at a low rate.
func (c *FinetuneConfig) SetDefaults() {
	c.Train = recipe.Default().Train
	c.Steps, c.LearningRate, c.Schedule, c.WarmupSteps = 200, 3e-4, "linear", 10
}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{
		Name: "compressed", Seed: 1,
		Compress: Settings{
			Methods: Methods(),
			Method:  "fwsvd", Allocation: "loss", Row: "both", Floor: factor.DefaultFloor, Alpha: 0.5, Sweeps: 10, Group: 4,
			DSFormer: DSFormerConfig{Block: 16, Atoms: []int{64, 128}, Axis: "in", Shared: true, Sweeps: 10, Weights: "fisher"},
			Cache:    "runs/.cache", Calibration: CalibrationConfig{Examples: 256, FisherBatch: 1},
		},
	}
}

// Options are what a program knows beside what comes with it.
type Options struct {
	saved.Options
	Methods []Choice // beside [Methods]

	Unmeasured bool // Verify evaluates and times neither model
}

// Load reads a config file; set are overrides of the form "compress.ratio=0.5". The file may choose what more lists, which
// the compression knows too.
func Load(file string, set []string, more ...Options) (Config, error) {
	cfg := blank(more)
	if says := configs.Peek(file, nil, "compress", "model", "train", "data"); says["compress"] == nil && (says["model"] != nil || says["train"] != nil || says["data"] != nil) {
		return cfg, configs.Problems{{File: file, Message: "is the config of a run, not of a compression: train it by: " + shell.Command("train", "run", "-c", file)}}
	}
	err := configs.Load(file, &cfg, configs.Options{Lists: saved.Known(cfg.Compress.Known).Lists, Set: set, Old: oldDefaults()})
	return cfg, err
}

// blank is the default config of a compression that knows more.
func blank(more []Options) Config {
	cfg := DefaultConfig()
	for _, o := range more {
		cfg.Compress.Methods = append(cfg.Compress.Methods, o.Methods...)
		cfg.Compress.Known = saved.Known(cfg.Compress.Known, o.Options)
	}
	return cfg
}

// stored reads the config that a compression has written into its folder, also one of an earlier version, which spelled out the
// keys of every source of data.
func stored(file string, text []byte, more []Options) (Config, error) {
	cfg, old := blank(more), oldDefaults()
	for name, x := range recipe.OldDefaults {
		if rest, ok := strings.CutPrefix(name, "data."); ok && rest != "source" {
			old["compress.data."+rest] = x
		}
	}
	err := configs.Decode(file, text, &cfg, configs.Options{Lists: saved.Known(cfg.Compress.Known).Lists, Old: old})
	return cfg, err
}

// oldDefaults are those of [recipe.OldDefaults] that a fine-tuning and the data of a calibration have.
func oldDefaults() map[string]any {
	old := map[string]any{}
	for name, x := range recipe.OldDefaults {
		if rest, ok := strings.CutPrefix(name, "train."); ok {
			old["compress.finetune."+rest] = x
		}
		if rest, ok := strings.CutPrefix(name, "data."); ok {
			old["compress.data."+rest] = x
		}
	}
	return old
}

// Validate reports a name that is none.
func (c Config) Validate(r *configs.Report) {
	r.FolderName("name", "the result's folder")
}

// Validate reports what no compression can be.
func (c Settings) Validate(r *configs.Report) {
	if c.From == "" {
		r.Errorf("from", "is empty; want the run or checkpoint to compress")
	}
	r.OneOf("method", c.names()...)
	for i, l := range c.Layer {
		if l.Method != "" {
			r.OneOf(fmt.Sprintf("layer.%d.method", i), append([]string{stays}, c.names()...)...)
		}
	}
	r.OneOf("allocation")
	r.OneOf("row")
	c.validateBudget(r)
	r.Within("floor", c.Floor > 0 && c.Floor < 1, "more than 0 and less than 1")
	r.Within("alpha", c.Alpha > 0 && c.Alpha <= 2, "more than 0 and at most 2")
	r.AtLeast("sweeps", 1)
	r.Within("group", c.Group >= 2 && c.Group <= 256, "2 to 256 inputs")
	if c.Cache == "" {
		r.Errorf("cache", "is empty; want a folder")
	}
	if sparse := c.sparse(); c.Finetune != nil && c.Finetune.STF != nil && !slices.ContainsFunc(c.used(), func(name string) bool { return slices.Contains(sparse, name) }) {
		r.Errorf("finetune.stf", "trains dense-sparse layers, and no method here makes any; want one of %s as method, or no such table", strings.Join(sparse, ", "))
	}
}

// used are the methods that the config names.
func (c Settings) used() []string {
	names := []string{c.Method}
	for _, l := range c.Layer {
		names = append(names, l.Method)
	}
	return names
}

// sparse are the names of methods whose layers may be made of atoms.
func (c Settings) sparse() []string {
	var names []string
	for _, m := range c.Methods {
		if slices.ContainsFunc(c.methods(m.Name), func(m named) bool { return m.Sparse }) {
			names = append(names, m.Name)
		}
	}
	return names
}

func (c Settings) validateBudget(r *configs.Report) {
	set := 0
	for _, b := range []struct {
		key         string
		given, good bool
		want        string
	}{
		{"ratio", c.Ratio != 0, c.Ratio > 0 && c.Ratio < 1, "the share of bytes to remove, more than 0 and less than 1"},
		{"params", c.Params != 0, c.Params > 0, "at least 1 value"},
		{"bytes", c.Bytes != 0, c.Bytes > 0, "at least 1 byte"},
	} {
		if !b.given {
			continue
		}
		if set++; set > 1 {
			r.Errorf(b.key, "is a second budget; want one of ratio, params and bytes")
		}
		r.Within(b.key, b.good, b.want)
	}
	if set == 0 {
		r.Errorf("ratio", "is not set, nor params or bytes; want one of them as the budget")
	}
}

// Validate reports a pattern that cannot match.
func (c LayerConfig) Validate(r *configs.Report) {
	r.GlobPattern("match", "*.mlp.*")
}

// Validate reports numbers that are too small.
func (c CalibrationConfig) Validate(r *configs.Report) {
	r.AtLeast("examples", 1)
	r.Within("fisher_batch", c.FisherBatch >= 1 && c.FisherBatch <= max(c.Examples, 1), fmt.Sprintf("1 to examples = %d", c.Examples))
}

// Validate reports what a fine-tuning decides by itself.
func (c FinetuneConfig) Validate(r *configs.Report) {
	if c.InitFrom != "" {
		r.Errorf("init_from", "is not for a fine-tuning, which starts from the compressed checkpoint; leave it out")
	}
	if c.STF != nil && c.STF.From != "" {
		r.Errorf("stf.from", "is not for a fine-tuning, whose latent weights start from those that were compressed; leave it out")
	}
}
