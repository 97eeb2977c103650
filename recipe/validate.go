package recipe

import (
	"fmt"
	"math"

	"sparrow/configs"
	"sparrow/kernel"
)

// Validate reports what no run can use. Tasks say whether data and network suit each other.
func (c Config) Validate(r *configs.Report) {
	r.FolderName("name", "the run's folder")
	if d := c.Train.Distill; d != nil && d.Teacher == "" {
		r.Errorf("train.distill.teacher", "is empty; want the run or checkpoint to learn from")
	}
	labels, hasLabels := c.Data.Labelled()
	key, longest := "data.seq_len", c.Data.SeqLen()
	if hasLabels {
		key, longest = "data.max_len", labels.Labelled().MaxLen
	}
	if context, _ := c.Model.bound(); context > 0 && context < longest {
		r.Errorf(key, "is longer than [model] context = %d", context)
	}
	if c.Train.Patience > 0 && c.Eval.Every == 0 {
		r.Errorf("train.patience", "counts evaluations, but [eval] every = 0 makes only the last; want every above 0")
	}
}

// Validate reports what no training loop can use.
func (c Train) Validate(r *configs.Report) {
	r.AtLeast("steps", 1)
	r.AtLeast("batch_size", 1)
	r.AtLeast("grad_accum", 1)
	r.AtLeast("patience", 0)
	c.validateShards(r)
	if c.Epochs != nil && !(*c.Epochs > 0 && *c.Epochs <= maxEpochs) {
		r.Errorf("epochs", "is out of range; want more than 0, to %d", maxEpochs)
	}
	within := func(key string, v, low, high float64) {
		r.Within(key, v >= low && v < high, fmt.Sprintf("at least %g and less than %g", low, high))
	}
	within("beta1", c.Beta1, 0, 1)
	within("beta2", c.Beta2, 0, 1)
	within("weight_decay", c.WeightDecay, 0, 10)
	within("grad_clip", c.GradClip, 0, 1e9)
	within("ema", c.EMA, 0, 1)
	if x := c.NewRows; x != nil {
		r.Within("new_rows_rate", *x >= 0 && *x <= 1000, "0 to 1000")
		r.Only("new_rows_rate", c.InitFrom != "", "init_from", "none: rows are new to a checkpoint that model extend made")
		r.Only("new_rows_rate", c.Optimizer == "adamw", "optimizer = \"adamw\"", "none: blocks of adamw8bit share scales")
	}
	if p := c.Precision; p != nil && *p != "float32" && *p != "bfloat16" {
		r.Errorf("precision", "is unknown; want one of float32, bfloat16")
	}
	r.Within("eps", c.Eps > 0 && c.Eps < 1, "more than 0 and less than 1")
	c.validateOptimizer(r)
	c.validateSchedule(r)
	c.validateSTF(r)
}

// validateShards reports parts that a step's rows cannot be cut into.
func (c Train) validateShards(r *configs.Report) {
	r.Within("zero", c.ZeRO == 0 || c.ZeRO == 1, "0 or 1")
	r.Only("zero", c.ZeRO == 0 || c.Shards > 0, "shards", "none: one part is one process's")
	switch rows := c.BatchSize * c.GradAccum; {
	case c.Shards < 0 || c.Shards&(c.Shards-1) != 0:
		r.Errorf("shards", "is out of range; want 0 or a power of two")
	case c.Shards <= 1:
	case rows%c.Shards != 0:
		r.Errorf("shards", "does not divide the %d rows of a step, batch_size times grad_accum", rows)
	case c.PerLayerUpdate:
		r.Errorf("shards", "keeps gradients until all shards are added, and per_layer_update keeps none: leave one of them out")
	case c.STF != nil:
		r.Errorf("shards", "does not go with [train.stf], whose latent values have gradients of their own: leave one of them out")
	}
}

// MicroBatch is how many rows are computed at once, and Micros how many times a step: batch_size and grad_accum, or so that each shard
// has whole micro-batches.
func (c Train) MicroBatch() int {
	if c.Shards == 0 {
		return c.BatchSize
	}
	a, b := c.BatchSize, c.BatchSize*c.GradAccum/c.Shards
	for b > 0 { // their greatest common divisor
		a, b = b, a%b
	}
	return a
}

// Micros is how many micro-batches a step has; see [Train.MicroBatch].
func (c Train) Micros() int { return c.BatchSize * c.GradAccum / c.MicroBatch() }

// maxEpochs keeps the number of steps a number.
const maxEpochs = 1_000_000

// defaultAdamBlock is the block size of the authors' library.
const defaultAdamBlock = 256

func (c Train) validateOptimizer(r *configs.Report) {
	r.OneOf("optimizer")
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
	r.Within("learning_rate", c.LearningRate > 0 && !math.IsInf(c.LearningRate, 1), "a finite number above 0")
	r.Within("min_lr_ratio", c.MinLRRatio >= 0 && c.MinLRRatio <= 1, "0 to 1")
	r.OneOf("schedule")
	if c.Steps < 1 || c.Epochs != nil { // steps are not known yet
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
	r.AtLeast("keep", 1)
}

// Validate reports a sample that cannot be drawn.
func (c Sample) Validate(r *configs.Report) {
	r.AtLeast("tokens", 1)
	r.Within("temperature", c.Temperature >= 0, "0 or more")
	r.Within("top_p", c.TopP >= 0 && c.TopP <= 1, "0 to 1")
}
