package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/metrics/plot"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// Result is what a finished run tells.
type Result struct {
	Score      task.Score    // on the validation subset, after the last step
	Summary    string        // of it, in one line
	Best       string        // folder of the best checkpoint
	BestLoss   float64       // of that checkpoint
	Metric     string        // it is the best by: [eval] metric
	BestMetric float64       // of that checkpoint
	Stopped    bool          // early, by [train] patience
	Plot       string        // path of loss.svg
	Duration   time.Duration // of this process's steps
	Tokens     int           // trained on in all, or examples: targets of the loss
	Parameters int           // that trained

	task.Suggestion // what to try
}

// validationLoss is what a [DivergedError] calls the loss of an evaluation.
const validationLoss = "validation loss"

// DivergedError ends a run whose loss or gradient, or the loss of its validation
// text, is no number any more.
type DivergedError struct {
	Step      int
	What      string // "loss", "gradient" or "validation loss"
	Value     float64
	Parameter string  // whose gradient it is, if known
	Partial   bool    // per-layer updates may have changed parameters, in memory, by then
	Solved    bool    // step is a round of a solver, which has no learning rate
	Rate      float64 // peak learning rate
	Dir       string  // of the run
	Last      string  // newest checkpoint, "" if none
}

func (e *DivergedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "train: step %d: the %s is %v", e.Step, e.What, e.Value)
	if e.Parameter != "" {
		fmt.Fprintf(&b, " (first in the gradient of %s)", e.Parameter)
	}
	switch {
	case e.Solved:
		b.WriteString("; what is on disk is from before this round")
		return b.String()
	case e.What == validationLoss:
		b.WriteString("; what is on disk is from before this step. Try a lower learning_rate or a longer warmup_steps")
	case e.Partial:
		b.WriteString("; per_layer_update may have changed parameters by then, in memory only: what is on disk is from before this step." +
			" Try a lower learning_rate or a longer warmup_steps")
	default:
		b.WriteString("; nothing was updated. Try a lower learning_rate, a longer warmup_steps or a smaller grad_clip")
	}
	if e.Last != "" {
		fmt.Fprintf(&b, "; the last good state is %s, continue it by: %s", e.Last, saved.ResumeCommand(e.Dir, "--set", fmt.Sprintf("train.learning_rate=%.3g", e.Rate/10)))
	} else {
		fmt.Fprintf(&b, ". There is no checkpoint yet: start again with --force, for example with --set train.learning_rate=%.3g", e.Rate/10)
	}
	return b.String()
}

// Run trains to the last step. interrupted is asked after every step whether to
// save and stop; it may be nil. When ctx ends, the run saves and stops likewise.
// The folder, which nobody else could continue so far, is given back.
func (t *Trainer) Run(ctx context.Context, interrupted func() bool) (Result, error) {
	defer t.unlock()
	files, err := metrics.Open(t.dir, t.state.Step)
	if err != nil {
		return Result{}, err
	}
	defer files.Close()
	progress := metrics.NewProgress(t.out, t.last, t.state.Step)
	progress.Counts(t.facts.Unit)
	defer progress.Close()
	t.progress.Store(progress)
	defer t.plan.limitGarbage()()
	began := time.Now()
	var score task.Score
	for t.state.Step < t.last && !exhausted(t.cfg.Train, t.state) {
		stepBegan, before := time.Now(), t.state.Tokens
		record, err := t.advance(context.WithoutCancel(ctx)) // what has begun ends, like an evaluation
		if err != nil {
			return Result{}, errors.Join(err, t.plot()) // the curve shows how it came to that
		}
		loss, _ := record.Value("loss")
		speed := float64(t.state.Tokens-before) / time.Since(stepBegan).Seconds()
		record.Values = append(record.Values, metrics.Value{Name: t.facts.Unit + "_per_second", X: speed})
		if err := files.Write(record); err != nil {
			return Result{}, err
		}
		progress.Step(t.state.Step, loss, speed)
		stop := interrupted != nil && interrupted() || ctx.Err() != nil
		// An evaluation that has begun ends: without it a resumed run would lack its record.
		if score, err = t.afterStep(context.WithoutCancel(ctx), files, stop); err != nil {
			if diverged := new(DivergedError); errors.As(err, &diverged) {
				err = errors.Join(err, t.plot())
			}
			return Result{}, err
		}
		if stop && t.state.Step < t.last && !exhausted(t.cfg.Train, t.state) {
			return Result{}, errors.Join(shell.ErrInterrupted, t.plot())
		}
	}
	if err := errors.Join(files.Close(), t.plot()); err != nil {
		return Result{}, err
	}
	progress.Close()
	summary := "" // of a run that had ended
	if len(score.Values) > 0 {
		summary = score.Summary(t.task)
	}
	r := Result{
		Score: score, Summary: summary, Best: checkpoints.StepDir(t.dir, t.state.BestStep), BestLoss: t.state.BestLoss, Plot: filepath.Join(t.dir, "loss.svg"),
		Metric: t.cfg.Eval.Metric, BestMetric: t.best(), Stopped: t.state.Step < t.last,
		Duration: time.Since(began), Tokens: t.state.Tokens, Parameters: t.trainable(),
	}
	if x, ok := t.task.(task.Suggester); ok {
		err = t.averaged(func() (err error) {
			r.Suggestion, err = x.Suggest(ctx, t.session)
			return err
		})
	}
	return r, err
}

// step makes one update: the gradient of the loss summed over all micro-batches,
// divided once by the number of targets.
func (t *Trainer) step() (metrics.Record, error) {
	c := t.cfg.Train
	rate := t.schedule.At(t.state.Step)
	var loss float64
	count := 0
	var last *model.Program
	for micro := range c.GradAccum {
		program, targets, err := t.stream.Next()
		if err != nil {
			return metrics.Record{}, err
		}
		last = program
		program.SetStep(t.state.MicroBatch)
		if t.teacher != nil {
			if err := model.Teach(program, t.teacher, distilled); err != nil {
				return metrics.Record{}, err
			}
		}
		count += targets
		if t.layers != nil {
			t.layers.begin(t.state.Step+1, rate, 1/float64(count))
		} else {
			t.grads.Add = micro > 0
			t.straight.add(micro > 0)
		}
		if err := program.Run(); err != nil {
			if diverged := new(DivergedError); errors.As(err, &diverged) {
				return metrics.Record{}, diverged // without the names of the operators it came through
			}
			return metrics.Record{}, err
		}
		loss += program.Loss()
		t.state.MicroBatch++
	}
	scale := 1 / float64(count)
	loss *= scale
	gradNorm := t.gradNorm() * scale
	if err := t.finite(loss, gradNorm); err != nil {
		return metrics.Record{}, err
	}
	if c.GradClip > 0 {
		scale *= min(1, c.GradClip/(gradNorm+1e-6)) // as torch.nn.utils.clip_grad_norm_
	}
	if t.layers == nil {
		UpdateAll(t.optimizer, t.grads, t.state.Step+1, rate, scale)
	}
	swaps, err := t.straight.update(t.grads, t.state.Step+1, rate, scale)
	if err != nil {
		return metrics.Record{}, err
	}
	t.state.Swaps += swaps
	t.state.Step++
	if t.averages != nil {
		t.averages.update(t.state.Step)
	}
	t.state.Tokens += count
	t.state.Cursor = t.stream.Cursor()
	values := []metrics.Value{{Name: "loss", X: loss}, {Name: "learning_rate", X: rate}, {Name: "grad_norm", X: gradNorm}, {Name: t.facts.Unit, X: float64(t.state.Tokens)}}
	if t.state.Step == 1 || t.due(t.cfg.Eval.Every) {
		values = append(values, t.factorNorms(1/float64(count))...)
		values = append(values, t.stageNorms(last, 1/float64(count))...)
		latent, err := t.straight.values(t.state.Swaps)
		if err != nil {
			return metrics.Record{}, err
		}
		values = append(values, latent...)
	}
	if err := t.turn(); err != nil {
		return metrics.Record{}, err
	}
	return metrics.Record{Step: t.state.Step, Kind: metrics.KindTrain, Values: values}, nil
}

// due says whether the step just done is one of those that come every so often, or the last.
func (t *Trainer) due(every int) bool {
	return t.state.Step == t.last || every > 0 && t.state.Step%every == 0
}

// gradNorm is the norm of the gradients of the last run.
func (t *Trainer) gradNorm() float64 {
	if t.layers != nil {
		return t.layers.norm()
	}
	return t.straight.norm(GradNorm(t.grads))
}

// finite returns an error when loss or gradient has left the numbers.
func (t *Trainer) finite(loss, gradNorm float64) error {
	if kernel.Finite(loss) && kernel.Finite(gradNorm) {
		return nil
	}
	e := t.diverged("loss", loss)
	if kernel.Finite(loss) {
		e.What, e.Value = "gradient", gradNorm
	}
	if t.layers != nil {
		return e
	}
	for _, name := range t.grads.Names() {
		if !allFinite(t.grads.Get(name)) {
			e.Parameter = name
			break
		}
	}
	return e
}

// diverged is the error of the step in progress.
func (t *Trainer) diverged(what string, value float64) *DivergedError {
	e := &DivergedError{Step: t.state.Step + 1, What: what, Value: value, Rate: t.cfg.Train.LearningRate, Dir: t.dir, Partial: t.layers != nil, Solved: t.solved != nil}
	if all, err := checkpoints.List(t.dir); err == nil && len(all) > 0 {
		e.Last = all[len(all)-1]
	}
	return e
}

func allFinite(d *tensor.Dense) bool {
	if d.Dtype() == tensor.Float32 {
		return kernel.AllFinite(d.Float32s())
	}
	return kernel.AllFinite(d.Float64s())
}

// afterStep evaluates and saves when it is time to: evaluation first, so that
// its record lies before the checkpoint that a resumed run starts from.
func (t *Trainer) afterStep(ctx context.Context, files *metrics.Files, stop bool) (task.Score, error) {
	step := t.state.Step
	var score task.Score
	best := false
	if t.due(t.cfg.Eval.Every) {
		err := t.averaged(func() (err error) {
			score, err = t.task.Evaluate(ctx, t.session, task.Measure{})
			return err
		})
		if !kernel.Finite(score.Loss()) {
			diverged := t.diverged(validationLoss, score.Loss())
			diverged.Step = step
			return score, diverged
		}
		if err != nil {
			return score, err
		}
		if err := files.Write(recordOf(score, step)); err != nil {
			return score, err
		}
		t.Message("step %d: validation loss %s", step, score.Summary(t.task))
		best = t.rank(score)
	}
	if exhausted(t.cfg.Train, t.state) {
		t.Message("stopping: no better %s in the last %d evaluations", t.cfg.Eval.Metric, t.state.Stale)
		stop = true
	}
	if best || stop || t.due(t.cfg.Checkpoint.Every) {
		return score, t.save()
	}
	return score, nil
}

// best is the [eval] metric of the best evaluation so far.
func (t *Trainer) best() float64 {
	if t.cfg.Eval.Metric == "loss" {
		return t.state.BestLoss
	}
	return t.state.BestMetric
}

// rank notes an evaluation and tells whether it is the best so far; of equal ones that of the lower loss is.
func (t *Trainer) rank(score task.Score) bool {
	metric := task.MetricOf(t.task, t.cfg.Eval.Metric)
	value, _ := score.Value(metric.Name)
	tied := value == t.best() && score.Loss() < t.state.BestLoss
	if t.state.BestStep > 0 && !tied && !metric.Better(value, t.best()) {
		t.state.Stale++
		return false
	}
	t.state.BestStep, t.state.BestLoss, t.state.Stale = t.state.Step, score.Loss(), 0
	if metric.Name != "loss" {
		t.state.BestMetric = value
	}
	return true
}

// plot draws loss.svg from what has been written so far.
func (t *Trainer) plot() error {
	records, err := metrics.Read(filepath.Join(t.dir, "metrics.csv"))
	if err != nil {
		return err
	}
	return plot.WriteLoss(filepath.Join(t.dir, "loss.svg"), records)
}

// exhausted tells whether patience ends the run.
func exhausted(c recipe.Train, s saved.State) bool { return c.Patience > 0 && s.Stale >= c.Patience }

// recordOf is what the files of a run keep of an evaluation.
func recordOf(s task.Score, step int) metrics.Record {
	values := append([]metrics.Value(nil), s.Values...)
	values[0].Name = "validation_loss"
	return metrics.Record{Step: step, Kind: metrics.KindEval, Values: values}
}
