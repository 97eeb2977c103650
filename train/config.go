package train

import (
	"path"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/model"
)

// Config is one TOML file: one run.
type Config struct {
	Name string `toml:"name"` // of the run; -o defaults to runs/<name>
	Seed uint64 `toml:"seed"` // fixes weights, order of data and dropout

	Data       data.Config      `toml:"data"`
	Model      model.Config     `toml:"model"`
	Train      LoopConfig       `toml:"train"`
	Eval       EvalConfig       `toml:"eval"`
	Checkpoint CheckpointConfig `toml:"checkpoint"`
	Sample     SampleConfig     `toml:"sample"`
}

// LoopConfig is the [train] table.
type LoopConfig struct {
	Steps     int `toml:"steps"`      // optimizer steps
	BatchSize int `toml:"batch_size"` // sequences a micro-batch
	GradAccum int `toml:"grad_accum"` // micro-batches a step

	LearningRate float64 `toml:"learning_rate"` // at its peak
	Schedule     string  `toml:"schedule"`      // constant | linear | cosine | wsd
	WarmupSteps  int     `toml:"warmup_steps"`  // from 0 up to the peak
	DecaySteps   int     `toml:"decay_steps"`   // at the end, of wsd
	MinLRRatio   float64 `toml:"min_lr_ratio"`  // final learning rate over the peak

	Optimizer   string  `toml:"optimizer"`    // adamw
	Beta1       float64 `toml:"beta1"`        // decay of the mean of gradients
	Beta2       float64 `toml:"beta2"`        // decay of the mean of their squares
	Eps         float64 `toml:"eps"`          // added to the square root
	WeightDecay float64 `toml:"weight_decay"` // of parameters with two or more dimensions
	GradClip    float64 `toml:"grad_clip"`    // largest global norm of the gradient; 0: no clipping

	InitFrom string         `toml:"init_from"` // checkpoint to take matching weights from; "": none
	Freeze   []FreezeConfig `toml:"freeze"`    // parameters that do not train
}

// FreezeConfig is one [[train.freeze]] table.
type FreezeConfig struct {
	Match string `toml:"match"` // glob over parameter names, "*" also matches dots
}

// EvalConfig is the [eval] table.
type EvalConfig struct {
	Every  int `toml:"every"`  // steps; the last step is always evaluated; 0: only that
	Tokens int `toml:"tokens"` // of the validation split, a fixed subset; 0: all
}

// CheckpointConfig is the [checkpoint] table.
type CheckpointConfig struct {
	Every int `toml:"every"` // steps; the last step and each best one are always saved; 0: only those
	Keep  int `toml:"keep"`  // newest checkpoints to keep; the best is kept beside them
}

// SampleConfig is the [sample] table: a text to write when training ends.
type SampleConfig struct {
	Prompt      string  `toml:"prompt"`      // "": no sample
	Tokens      int     `toml:"tokens"`      // to write
	Temperature float64 `toml:"temperature"` // 0: always the likeliest token
	TopP        float64 `toml:"top_p"`       // share of probability to draw from; 0 or 1: all
}

// DefaultConfig returns the values of keys that a config leaves out.
func DefaultConfig() Config {
	return Config{
		Name: "run", Seed: 1, Data: data.DefaultConfig(), Model: model.DefaultConfig(),
		Train: LoopConfig{
			Steps: 1000, BatchSize: 16, GradAccum: 1,
			LearningRate: 1e-3, Schedule: "cosine", MinLRRatio: 0.1,
			Optimizer: "adamw", Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, GradClip: 1,
		},
		Eval:       EvalConfig{Every: 100, Tokens: 65536},
		Checkpoint: CheckpointConfig{Every: 100, Keep: 2},
		Sample:     SampleConfig{Tokens: 200, Temperature: 0.8, TopP: 0.95},
	}
}

// Load reads a config file; set are overrides of the form "train.steps=10".
func Load(file string, set []string) (Config, error) {
	cfg := DefaultConfig()
	err := configs.Load(file, set, &cfg)
	return cfg, err
}

// Schedule is the learning rate of each step.
func (c LoopConfig) schedule() Schedule {
	return Schedule{Kind: c.Schedule, Warmup: c.WarmupSteps, Steps: c.Steps, DecaySteps: c.DecaySteps, Peak: c.LearningRate, MinRatio: c.MinLRRatio}
}

// Validate reports what no run can use.
func (c Config) Validate(r *configs.Report) {
	if c.Name == "" || strings.ContainsAny(c.Name, `/\`) || c.Name[0] == '.' {
		r.Errorf("name", "name = %q; want a name for the run's folder, without slashes", c.Name)
	}
	if c.Model.Context > 0 && c.Model.Context < c.Data.SeqLen {
		r.Errorf("data.seq_len", "seq_len = %d is longer than [model] context = %d", c.Data.SeqLen, c.Model.Context)
	}
}

// Validate reports what no training loop can use.
func (c LoopConfig) Validate(r *configs.Report) {
	atLeast := func(key string, v, low int) {
		if v < low {
			r.Errorf(key, "%s = %d; want at least %d", key, v, low)
		}
	}
	within := func(key string, v, low, high float64) {
		if !(v >= low && v < high) {
			r.Errorf(key, "%s = %g; want at least %g and less than %g", key, v, low, high)
		}
	}
	atLeast("steps", c.Steps, 1)
	atLeast("batch_size", c.BatchSize, 1)
	atLeast("grad_accum", c.GradAccum, 1)
	within("beta1", c.Beta1, 0, 1)
	within("beta2", c.Beta2, 0, 1)
	within("weight_decay", c.WeightDecay, 0, 10)
	within("grad_clip", c.GradClip, 0, 1e9)
	if !(c.Eps > 0 && c.Eps < 1) {
		r.Errorf("eps", "eps = %g; want more than 0 and less than 1", c.Eps)
	}
	if c.Optimizer != "adamw" {
		r.Errorf("optimizer", "optimizer = %q is unknown; want \"adamw\"", c.Optimizer)
	}
	if c.Steps >= 1 {
		if err := c.schedule().Validate(); err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				r.Errorf("schedule", "%s", line)
			}
		}
	}
}

// Validate reports a pattern that cannot match.
func (c FreezeConfig) Validate(r *configs.Report) {
	if _, err := path.Match(c.Match, ""); err != nil || c.Match == "" {
		r.Errorf("match", "match = %q is no glob pattern; want one like \"model.embed*\"", c.Match)
	}
}

// Validate reports negative numbers.
func (c EvalConfig) Validate(r *configs.Report) {
	if c.Every < 0 {
		r.Errorf("every", "every = %d; want 0 (only at the end) or more steps", c.Every)
	}
	if c.Tokens < 0 {
		r.Errorf("tokens", "tokens = %d; want 0 (all) or more", c.Tokens)
	}
}

// Validate reports negative numbers.
func (c CheckpointConfig) Validate(r *configs.Report) {
	if c.Every < 0 {
		r.Errorf("every", "every = %d; want 0 (only at the end) or more steps", c.Every)
	}
	if c.Keep < 1 {
		r.Errorf("keep", "keep = %d; want at least 1", c.Keep)
	}
}

// Validate reports a sample that cannot be drawn.
func (c SampleConfig) Validate(r *configs.Report) {
	if c.Tokens < 1 {
		r.Errorf("tokens", "tokens = %d; want at least 1", c.Tokens)
	}
	if !(c.Temperature >= 0) {
		r.Errorf("temperature", "temperature = %g; want 0 or more", c.Temperature)
	}
	if !(c.TopP >= 0 && c.TopP <= 1) {
		r.Errorf("top_p", "top_p = %g; want 0 to 1", c.TopP)
	}
}

// frozen says whether a [[train.freeze]] pattern matches the parameter.
func (c LoopConfig) frozen(name string) bool {
	return slices.ContainsFunc(c.Freeze, func(f FreezeConfig) bool {
		ok, _ := path.Match(f.Match, name)
		return ok
	})
}

// dims are the network's sizes that follow from the data.
func (c Config) dims(vocabSize int) model.Dims {
	context := c.Model.Context
	if context == 0 {
		context = c.Data.SeqLen
	}
	return model.Dims{VocabSize: vocabSize, Context: context}
}
