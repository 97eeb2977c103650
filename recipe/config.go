package recipe

import (
	"errors"
	"math"
	"path"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
)

// Config is one TOML file: one run.
type Config struct {
	Name string `toml:"name" doc:"name of the run; -o defaults to runs/<name>"`
	Seed uint64 `toml:"seed" doc:"fixes weights, the order of the data and dropout"`

	Task       *Task      `toml:"task"`
	Data       Data       `toml:"data"`
	Model      Model      `toml:"model"`
	Train      Train      `toml:"train"`
	Eval       Eval       `toml:"eval"`
	Checkpoint Checkpoint `toml:"checkpoint"`
	Sample     Sample     `toml:"sample"`
}

// Task is the [task] table. Without it the task is the one that fits data and network.
type Task struct {
	Kind string `toml:"kind" doc:"what the network is for; empty: the one that fits data and network"`
}

// TaskKind is the task that the config names; "": the one that fits.
func (c Config) TaskKind() string {
	if c.Task == nil {
		return ""
	}
	return c.Task.Kind
}

// Train is the [train] table.
type Train struct {
	Steps     int `toml:"steps" doc:"steps of the optimizer"`
	BatchSize int `toml:"batch_size" doc:"sequences, texts or images of a micro-batch"`
	GradAccum int `toml:"grad_accum" doc:"micro-batches of a step"`

	LearningRate float64 `toml:"learning_rate" doc:"learning rate at its peak"`
	Schedule     string  `toml:"schedule" doc:"how the learning rate changes after the warm-up" choices:"constant|linear|cosine|wsd"`
	WarmupSteps  int     `toml:"warmup_steps" doc:"steps in which the learning rate rises from 0 to its peak"`
	DecaySteps   int     `toml:"decay_steps" doc:"steps at the end in which it falls, of schedule wsd"`
	MinLRRatio   float64 `toml:"min_lr_ratio" doc:"final learning rate over the peak"`

	Optimizer   string  `toml:"optimizer" doc:"AdamW, with moments in 32 bits or in 8 (2.03 bytes a parameter in place of 8)" choices:"adamw|adamw8bit"`
	Beta1       float64 `toml:"beta1" doc:"decay of the mean of gradients"`
	Beta2       float64 `toml:"beta2" doc:"decay of the mean of their squares"`
	Eps         float64 `toml:"eps" doc:"added to the square root"`
	WeightDecay float64 `toml:"weight_decay" doc:"decay a step, times the learning rate, of parameters with two or more dimensions"`
	GradClip    float64 `toml:"grad_clip" doc:"largest global norm of the gradient; 0: no clipping"`

	AdamBlockSize  int  `toml:"adam_block_size" doc:"elements that share a scale, of adamw8bit: a power of two"`
	PerLayerUpdate bool `toml:"per_layer_update" doc:"update each parameter as soon as its gradient is known, and keep no other gradients"`

	EMA float64 `toml:"ema" doc:"decay a step of the averages of the weights that are measured and saved, as in 0.999; 0: the weights themselves are"`

	Patience int `toml:"patience" doc:"evaluations without a better [eval] metric that end the run; 0: none does"`

	InitFrom string   `toml:"init_from" doc:"run or checkpoint to take matching weights from; empty: none"`
	Freeze   []Freeze `toml:"freeze"`  // parameters that do not train
	STF      *STF     `toml:"stf"`     // how dense_sparse layers train; none: as kind = "frozen"
	Distill  *Distill `toml:"distill"` // what a teacher adds to the loss; none: nothing
}

// Freeze is one [[train.freeze]] table.
type Freeze struct {
	Match string `toml:"match" doc:"glob over the names of parameters that do not train; * also matches dots"`
}

// Eval is the [eval] table.
type Eval struct {
	Every  int `toml:"every" doc:"steps between evaluations; the last step is always evaluated; 0: only that" unit:"steps"`
	Tokens int `toml:"tokens" doc:"tokens of the validation split that are measured, a fixed subset; 0: all" unit:"tokens"`

	Examples int    `toml:"examples" doc:"examples of the validation split of labelled data or images, a fixed subset; 0: all"`
	Metric   string `toml:"metric" doc:"what the best checkpoint is best by; of classes also accuracy, top5 (images), f1, macro_f1 and matthews, of scores pearson and spearman"`
}

// Checkpoint is the [checkpoint] table.
type Checkpoint struct {
	Every int `toml:"every" doc:"steps between checkpoints; the last step and each best one are always saved; 0: only those" unit:"steps"`
	Keep  int `toml:"keep" doc:"newest checkpoints to keep; the best is kept beside them"`
}

// Sample is the [sample] table: a text to write when training ends.
type Sample struct {
	Prompt      string  `toml:"prompt" doc:"text that is continued when training ends; empty: none"`
	Tokens      int     `toml:"tokens" doc:"tokens to write" unit:"tokens"`
	Temperature float64 `toml:"temperature" doc:"divides the scores; 0: always the likeliest token"`
	TopP        float64 `toml:"top_p" doc:"share of probability to draw from; 0 or 1: all"`
}

// Default returns the values of keys that a config leaves out.
func Default() Config {
	return Config{
		Name: "run", Seed: 1, Data: DefaultData(), Model: DefaultModel(),
		Train: Train{
			Steps: 1000, BatchSize: 16, GradAccum: 1,
			LearningRate: 1e-3, Schedule: "cosine", MinLRRatio: 0.1,
			Optimizer: "adamw", Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, GradClip: 1,
			AdamBlockSize: defaultAdamBlock,
		},
		Eval:       Eval{Every: 100, Tokens: 65536, Metric: "loss"},
		Checkpoint: Checkpoint{Every: 100, Keep: 2},
		Sample:     Sample{Tokens: 200, Temperature: 0.8, TopP: 0.95},
	}
}

// Load reads a config file; set are overrides of the form "train.steps=10". The file may choose what is in lists, without that
// what comes with the program.
func Load(file string, set []string, lists ...configs.Lists) (Config, error) {
	cfg := Default()
	known := Lists()
	if len(lists) > 0 {
		known = lists[len(lists)-1]
	}
	err := configs.Load(file, &cfg, configs.Options{Lists: known, Set: set, Old: OldDefaults})
	return cfg, err
}

// Validate reports what no run can use.
func (c Config) Validate(r *configs.Report) {
	r.FolderName("name", "the run's folder")
	c.validateTask(r)
	if d := c.Train.Distill; d != nil && d.Teacher == "" {
		r.Errorf("train.distill.teacher", "is empty; want the run or checkpoint to learn from")
	}
}

// validateTask reports a network and data that do not suit each other.
func (c Config) validateTask(r *configs.Report) {
	_, pictures := c.Data.Images()
	labels, hasLabels := c.Data.Labelled()
	key, longest := "data.seq_len", c.Data.SeqLen()
	if hasLabels {
		key, longest = "data.max_len", labels.Labelled().MaxLen
	}
	if context, _ := c.Model.bound(); context > 0 && context < longest {
		r.Errorf(key, "is longer than [model] context = %d", context)
	}
	body := c.Model.Body()
	_, reads := body.(model.Reader)
	_, sees := body.(model.Viewer)
	sequence, steps := body.(model.Sequence)
	switch {
	case body == nil: // which its table reports
	case sees && c.Data.IsNone(): // a model from elsewhere
	case pictures != sees:
		r.Errorf("model.kind", "is not for [data] source = %q; want %s for images (mnist, image_folder), and another kind for texts", c.Data.Name, strings.Join(give[model.Viewer](), " or "))
	case pictures:
		c.validateImages(r)
	case hasLabels && !reads:
		r.Errorf("model.kind", "predicts tokens, but [data] source = %q has labels; want one of %s", c.Data.Name, strings.Join(give[model.Reader](), ", "))
	case !hasLabels && !steps:
		r.Errorf("model.kind", "predicts labels, but [data] source = %q has none; want \"decoder\", or \"encoder\" as a masked language model", c.Data.Name)
	case !hasLabels && !sequence.Causal() && c.Data.SeqLen() < minMaskedLen:
		r.Errorf("data.seq_len", "is too short for a masked language model; want at least %d", minMaskedLen)
	}
	if body != nil && !(steps && sequence.Causal()) && c.Sample.Prompt != "" {
		r.Errorf("sample.prompt", "is for kind = \"decoder\": other networks write no text")
	}
	if !hasLabels && !pictures && c.Eval.Examples != 0 {
		r.Errorf("eval.examples", "is for labelled data, but [data] source = %q; want tokens", c.Data.Name)
	}
	if want := c.metricsOf(); !slices.Contains(want, c.Eval.Metric) {
		r.Errorf("eval.metric", "is not measured on such data; want one of %s", strings.Join(want, ", "))
	}
	if c.Train.Patience > 0 && c.Eval.Every == 0 {
		r.Errorf("train.patience", "counts evaluations, but [eval] every = 0 makes only the last; want every above 0")
	}
}

// validateImages reports a network that cannot look at images of the config's size, where the config tells it.
func (c Config) validateImages(r *configs.Report) {
	pictures, _ := c.Data.Images()
	side, channels := pictures.Shape()
	fitted, ok := c.Model.Body().(model.Fitted)
	if side == 0 || !ok {
		return
	}
	// What a table has that no network can is reported there.
	if err := fitted.Check(model.Dims{Classes: 2, ImageSize: side, Channels: channels}); err != nil && !errors.Is(err, configs.ErrConfig) {
		r.Errorf("model."+fitted.SizeKey(), "cannot look at images of %d pixels: %v", side, err)
	}
}

// Validate reports what no training loop can use.
func (c Train) Validate(r *configs.Report) {
	atLeast(r, "steps", c.Steps, 1)
	atLeast(r, "batch_size", c.BatchSize, 1)
	atLeast(r, "grad_accum", c.GradAccum, 1)
	atLeast(r, "patience", c.Patience, 0)
	within := func(key string, v, low, high float64) {
		if !(v >= low && v < high) {
			r.Errorf(key, "is out of range; want at least %g and less than %g", low, high)
		}
	}
	within("beta1", c.Beta1, 0, 1)
	within("beta2", c.Beta2, 0, 1)
	within("weight_decay", c.WeightDecay, 0, 10)
	within("grad_clip", c.GradClip, 0, 1e9)
	within("ema", c.EMA, 0, 1)
	if !(c.Eps > 0 && c.Eps < 1) {
		r.Errorf("eps", "is out of range; want more than 0 and less than 1")
	}
	c.validateOptimizer(r)
	c.validateSchedule(r)
	c.validateSTF(r)
}

// defaultAdamBlock is the block size of the authors' library.
const defaultAdamBlock = 256

func (c Train) validateOptimizer(r *configs.Report) {
	if c.Optimizer != "adamw" && c.Optimizer != "adamw8bit" {
		r.Errorf("optimizer", "is unknown; want \"adamw\" or \"adamw8bit\"")
	}
	switch n := c.AdamBlockSize; {
	case n < 16 || n > kernel.AdamW8bitMaxBlock || n&(n-1) != 0:
		r.Errorf("adam_block_size", "is out of range; want a power of two from 16 to %d", kernel.AdamW8bitMaxBlock)
	case c.Optimizer == "adamw" && n != defaultAdamBlock:
		r.Errorf("adam_block_size", "is for optimizer = \"adamw8bit\" only, but optimizer = %q", c.Optimizer)
	}
	if !c.PerLayerUpdate {
		return
	}
	if c.GradAccum > 1 {
		r.Errorf("per_layer_update", "wants grad_accum = 1, but it is %d: a parameter is updated, and its gradient forgotten, within one micro-batch", c.GradAccum)
	}
	if c.GradClip > 0 {
		r.Errorf("per_layer_update", "wants grad_clip = 0, but it is %g: the norm of all gradients is known only after the last update", c.GradClip)
	}
}

// validateSchedule reports by key what [Schedule.Validate] would refuse.
func (c Train) validateSchedule(r *configs.Report) {
	if !(c.LearningRate > 0) || math.IsInf(c.LearningRate, 1) {
		r.Errorf("learning_rate", "is out of range; want a finite number above 0")
	}
	if !(c.MinLRRatio >= 0 && c.MinLRRatio <= 1) {
		r.Errorf("min_lr_ratio", "is out of range; want 0 to 1")
	}
	if kinds := []string{"constant", "linear", "cosine", "wsd"}; !slices.Contains(kinds, c.Schedule) {
		r.Errorf("schedule", "is unknown; want one of %s", strings.Join(kinds, ", "))
	}
	if c.Steps < 1 {
		return
	}
	if c.WarmupSteps < 0 || c.WarmupSteps > c.Steps {
		r.Errorf("warmup_steps", "is out of range; want 0 to steps = %d", c.Steps)
		return
	}
	rest := c.Steps - c.WarmupSteps
	switch {
	case c.Schedule == "wsd" && (c.DecaySteps < 1 || c.DecaySteps > rest):
		r.Errorf("decay_steps", "is out of range; wsd wants 1 to %d, the steps after the warm-up", rest)
	case c.Schedule != "wsd" && c.DecaySteps != 0:
		r.Errorf("decay_steps", "is for schedule = \"wsd\" only, but schedule = %q", c.Schedule)
	}
}

func atLeast(r *configs.Report, key string, v, low int) {
	if v < low {
		r.Errorf(key, "is too small; want at least %d", low)
	}
}

// Validate reports a pattern that cannot match.
func (c Freeze) Validate(r *configs.Report) {
	r.GlobPattern("match", "model.embed*")
}

// Validate reports negative numbers.
func (c Eval) Validate(r *configs.Report) {
	if c.Every < 0 {
		r.Errorf("every", "is negative; want 0 (only at the end) or more steps")
	}
	if c.Tokens < 0 {
		r.Errorf("tokens", "is negative; want 0 (all) or more")
	}
	if c.Examples < 0 {
		r.Errorf("examples", "is negative; want 0 (all) or more")
	}
}

// Validate reports negative numbers.
func (c Checkpoint) Validate(r *configs.Report) {
	if c.Every < 0 {
		r.Errorf("every", "is negative; want 0 (only at the end) or more steps")
	}
	atLeast(r, "keep", c.Keep, 1)
}

// Validate reports a sample that cannot be drawn.
func (c Sample) Validate(r *configs.Report) {
	atLeast(r, "tokens", c.Tokens, 1)
	if !(c.Temperature >= 0) {
		r.Errorf("temperature", "is out of range; want 0 or more")
	}
	if !(c.TopP >= 0 && c.TopP <= 1) {
		r.Errorf("top_p", "is out of range; want 0 to 1")
	}
}

// Frozen says whether a [[train.freeze]] pattern matches the parameter.
func (c Train) Frozen(name string) bool {
	return slices.ContainsFunc(c.Freeze, func(f Freeze) bool {
		ok, _ := path.Match(f.Match, name)
		return ok
	})
}

// Dims are the sizes of a language model that follow from its data.
func (c Config) Dims(vocabSize int) model.Dims {
	context, _ := c.Model.bound()
	if context == 0 {
		context = c.Data.SeqLen()
	}
	return model.Dims{VocabSize: vocabSize, Context: context}
}

// Longest is how many tokens a text may have, prompt included; 0: any number.
func (c Config) Longest() int {
	if _, learned := c.Model.bound(); learned {
		return c.Dims(1).Context
	}
	return 0
}

// metricsOf lists what [eval] metric may be for a config's data.
func (c Config) metricsOf() []string {
	if _, ok := c.Data.Images(); ok {
		return []string{"loss", "accuracy", "top5", "f1", "macro_f1", "matthews"}
	}
	labels, ok := c.Data.Labelled()
	_, embeds := c.Model.Sentences()
	switch {
	case !ok && !embeds:
		return []string{"loss", "perplexity"}
	case embeds || labels.Scores():
		return []string{"loss", "pearson", "spearman"}
	}
	return []string{"loss", "accuracy", "f1", "macro_f1", "matthews"}
}

// Room is how many tokens, up to most, may follow a prompt.
func (c Config) Room(prompt, most int) int {
	if n := c.Longest(); n > 0 {
		return min(most, n-prompt)
	}
	return most
}

// LabelledContext is the longest text, in tokens.
func (c Config) LabelledContext() int {
	if context, _ := c.Model.bound(); context > 0 {
		return context
	}
	return c.Data.Lengths().MaxLen
}

// Adapter tells whether the run's checkpoints hold only what trains and leave the
// rest to the checkpoint that it started from, their parent: a run with lora
// layers and an init_from.
func (c Config) Adapter() bool {
	return c.Train.InitFrom != "" && slices.ContainsFunc(c.Model.Linear, IsBased)
}

// IsBased tells whether a layer's kind keeps a frozen base, as lora does.
func IsBased(l nn.Rule) bool {
	_, ok := l.Of.(nn.Based)
	return ok
}

// minMaskedLen is the shortest sequence of a masked language model: the two special tokens around it and a few words.
const minMaskedLen = 8

// validateSTF reports settings that latent values cannot go with.
func (c Train) validateSTF(r *configs.Report) {
	if c.STF.Latent() == nil {
		return
	}
	if c.PerLayerUpdate {
		r.Errorf("per_layer_update", "does not go with [train.stf] kind = %q: the factorizer wants the gradients of a whole step", c.STF.Name)
	}
	if c.EMA > 0 {
		r.Errorf("ema", "does not go with [train.stf] kind = %q: coefficients of atoms that change have no average", c.STF.Name)
	}
}

// Settles is the step after which C and D train instead of latent values; 0: none.
func (c Train) Settles() int {
	latent := c.STF.Latent()
	if latent == nil {
		return 0
	}
	if last := int(math.Round(latent.FreezeShare * float64(c.Steps))); last > 0 {
		return max(1, c.Steps-last)
	}
	return 0
}
