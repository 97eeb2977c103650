package recipe

import (
	"path"
	"slices"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/nn"
)

// Config is one TOML file: one run.
type Config struct {
	Name string `toml:"name" doc:"name of the run; -o defaults to runs/<name>"`
	Seed uint64 `toml:"seed" also:"random_seed" doc:"fixes weights, the order of the data and dropout"`

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
	Steps     int      `toml:"steps" also:"max_steps|iterations|iters|num_steps|n_steps|total_steps" doc:"steps of the optimizer"`
	Epochs    *float64 `toml:"epochs" also:"num_epochs|n_epochs|max_epochs|num_train_epochs|passes" doc:"passes over the training data, in place of steps, which follow from it when the data is read; left out: steps counts" unit:"passes"`
	BatchSize int      `toml:"batch_size" also:"bs|per_device_train_batch_size|train_batch_size|micro_batch_size" doc:"sequences, texts or images of a micro-batch"`
	GradAccum int      `toml:"grad_accum" also:"gradient_accumulation_steps|gradient_accumulation|accumulate_grad_batches|accumulation_steps" doc:"micro-batches of a step"`

	Shards int `toml:"shards" doc:"equal parts of a step's rows, batch_size times grad_accum, whose gradients are added in a fixed binary tree: a power of two, at least the number of processes that share a step (docs/cluster.md); 0: the rows are one part, micro-batch after micro-batch"`
	ZeRO   int `toml:"zero" doc:"what processes that share a run keep each a part of: 0 nothing, 1 the optimizer's state (ZeRO stage 1), whole parameters to a process; the bytes are the same"`

	LearningRate float64 `toml:"learning_rate" also:"lr|max_lr|base_lr" doc:"learning rate at its peak"`
	Schedule     string  `toml:"schedule" also:"lr_scheduler|lr_scheduler_type|scheduler|lr_schedule" doc:"how the learning rate changes after the warm-up" choices:"constant|linear|cosine|wsd"`
	WarmupSteps  int     `toml:"warmup_steps" also:"warmup|num_warmup_steps|warmup_iters" doc:"steps in which the learning rate rises from 0 to its peak"`
	DecaySteps   int     `toml:"decay_steps" doc:"steps at the end in which it falls, of schedule wsd"`
	MinLRRatio   float64 `toml:"min_lr_ratio" also:"min_lr" doc:"final learning rate over the peak"`

	Optimizer   string  `toml:"optimizer" also:"optim" doc:"AdamW, with moments in 32 bits or in 8 (2.03 bytes a parameter in place of 8)" choices:"adamw|adamw8bit"`
	Beta1       float64 `toml:"beta1" doc:"decay of the mean of gradients"`
	Beta2       float64 `toml:"beta2" doc:"decay of the mean of their squares"`
	Eps         float64 `toml:"eps" doc:"added to the square root"`
	WeightDecay float64 `toml:"weight_decay" also:"wd|decay" doc:"decay a step, times the learning rate, of parameters that are declared to decay: matrices, tables and learned vectors of a text or image; not norms, biases and the values of S"`
	GradClip    float64 `toml:"grad_clip" also:"max_grad_norm|clip_grad_norm|gradient_clip_val|gradient_clipping|clip" doc:"largest global norm of the gradient; 0: no clipping"`

	Precision *string `toml:"precision" also:"bf16|fp16|mixed_precision|dtype|torch_dtype|autocast|amp" doc:"what the matrix products of linear layers, convolutions and attention read in training; they add up in float32, which all else is, weights and moments included; left out: float32" choices:"float32|bfloat16"`

	AdamBlockSize  int  `toml:"adam_block_size" doc:"elements that share a scale, of adamw8bit: a power of two"`
	PerLayerUpdate bool `toml:"per_layer_update" doc:"update each parameter as soon as its gradient is known, and keep no other gradients"`

	EMA float64 `toml:"ema" also:"ema_decay" doc:"decay a step of the averages of the weights that are measured and saved, as in 0.999; 0: the weights themselves are"`

	Patience int `toml:"patience" also:"early_stopping|early_stopping_patience|early_stop" doc:"evaluations without a better [eval] metric that end the run; 0: none does"`

	InitFrom string   `toml:"init_from" also:"resume_from|pretrained|model_name_or_path" doc:"run or checkpoint to take matching weights from; empty: none"`
	NewRows  *float64 `toml:"new_rows_rate" doc:"learning rate of the rows that model extend has not copied, over that of all else; left out: 1"`
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
	Every  int `toml:"every" also:"eval_steps|save_steps|eval_interval|eval_every" doc:"steps between evaluations, of which one comes before the first step; the last step is always evaluated; 0: only that" unit:"steps"`
	Tokens int `toml:"tokens" doc:"tokens of the validation split that are measured, a fixed subset; 0: all" unit:"tokens"`

	Examples int    `toml:"examples" doc:"examples of the validation split of labelled data or images, a fixed subset; 0: all"`
	Metric   string `toml:"metric" doc:"what the best checkpoint is best by; of classes also accuracy, top5 (images), f1, macro_f1 and matthews, of scores pearson and spearman"`
}

// Checkpoint is the [checkpoint] table.
type Checkpoint struct {
	Every int `toml:"every" also:"eval_steps|save_steps|eval_interval|eval_every" doc:"steps between checkpoints; the last step and each best one are always saved; 0: only those" unit:"steps"`
	Keep  int `toml:"keep" also:"save_total_limit" doc:"newest checkpoints to keep; the best is kept beside them"`
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

// Reads is what products read in training.
func (c Train) Reads() kernel.Precision {
	if c.Precision != nil && *c.Precision == kernel.BFloat16.String() {
		return kernel.BFloat16
	}
	return kernel.Full
}

// Frozen says whether a [[train.freeze]] pattern matches the parameter.
func (c Train) Frozen(name string) bool {
	return slices.ContainsFunc(c.Freeze, func(f Freeze) bool {
		ok, _ := path.Match(f.Match, name)
		return ok
	})
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
