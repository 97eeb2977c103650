package train

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/metrics/plot"
	"sparrow/metrics/progress"
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
	progress := progress.New(t.out, t.last, t.state.Step)
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
