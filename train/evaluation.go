package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/task"
)

// begin measures what is still to be measured before the next step: a network that has not trained, or what an interrupted run
// left out.
func (t *Trainer) begin(ctx context.Context, files *metrics.Files) (score task.Score, err error) {
	if t.state.Step == 0 && t.state.StartBest { // it is measured
		return score, nil
	}
	switch {
	case t.state.Pending:
		return t.afterStep(ctx, files)
	case t.state.Step > 0, t.solved != nil || t.cfg.Eval.Every == 0 || t.last == 0:
		return score, nil
	}
	if score, err = t.evaluate(ctx, files); err == nil {
		t.start = score.Loss()
		t.startMetric, _ = score.Value(task.MetricOf(t.task, t.cfg.Eval.Metric).Name)
	}
	return score, err
}

// recall takes the validation loss before the first step and the loss of the last one from metrics.csv, where they are there.
func (t *Trainer) recall() {
	records, err := metrics.Read(filepath.Join(t.dir, "metrics.csv"))
	if err != nil {
		return // it is opened besides, by who tells
	}
	for _, r := range records {
		if loss, ok := r.Value("validation_loss"); ok && r.Step == 0 {
			t.start = loss
			t.startMetric, _ = r.Value(t.cfg.Eval.Metric)
		}
		if loss, ok := r.Value("loss"); ok {
			t.trainLoss = loss
		}
	}
}

// afterStep evaluates and saves when it is time to: evaluation first, so that
// its record lies before the checkpoint that a resumed run starts from.
func (t *Trainer) afterStep(ctx context.Context, files *metrics.Files) (score task.Score, err error) {
	best := false
	if t.due(t.cfg.Eval.Every) {
		t.state.Pending = true
		if score, err = t.evaluate(ctx, files); err != nil {
			return score, err
		}
		t.state.Pending = false
		if t.wild(score.Loss()) {
			if err := t.keepStart(ctx); err != nil {
				return score, err
			}
			t.Message("%s", t.advice(score.Loss()))
			t.state.Stale++
		} else {
			best = t.rank(score)
		}
	}
	ends := exhausted(t.cfg.Train, t.state)
	if ends {
		t.Message("stopping: no better %s in the last %d evaluations", t.cfg.Eval.Metric, t.state.Stale)
	}
	if t.stopping() && t.state.Step < t.last && !ends {
		return score, t.interrupted()
	}
	if best || ends || t.solved != nil || t.due(t.cfg.Checkpoint.Every) { // a round is dear
		return score, t.keep()
	}
	return score, nil
}

// evaluate measures the network and keeps the record. A loss that shows divergence is a [DivergedError].
func (t *Trainer) evaluate(ctx context.Context, files *metrics.Files) (score task.Score, err error) {
	err = t.averaged(func() (err error) {
		score, err = t.task.Evaluate(ctx, t.session, task.Measure{After: func(int, int, float64) { t.stopping() }})
		return err
	})
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return score, t.interrupted()
	case !kernel.Finite(score.Loss()):
		e := t.diverged(validationLoss, score.Loss())
		if e.Step = t.state.Step; e.Last == "" && t.start > 0 {
			if err := t.keepStart(ctx); err != nil {
				return score, err
			}
			e.Start = checkpoints.StepDir(t.dir, 0)
		}
		return score, e
	case err != nil:
		return score, err
	}
	if err := files.Write(recordOf(score, t.state.Step)); err != nil {
		return score, err
	}
	t.Message("step %d: validation loss %s", t.state.Step, score.Summary(t.task))
	if x, ok := t.task.(task.Warner); ok {
		if warning := x.Warn(t.session); warning != "" {
			t.Message("step %d: warning: %s", t.state.Step, warning)
		}
	}
	t.classes = score.Classes
	if !t.leads() {
		return score, nil
	}
	if err := t.present(); err != nil {
		return score, err
	}
	records, err := metrics.Read(filepath.Join(t.dir, "metrics.csv"))
	if err != nil {
		return score, err
	}
	return score, t.writePage(records, fmt.Sprintf("step %d of %d", t.state.Step, t.last), "", true)
}

// wild tells whether a validation loss is one of a run that has diverged, though it is a number: above twice that of the start and above
// what guessing among all classes or tokens costs. Memorizing raises the validation loss as well, so the loss of the last step must be as
// bad.
func (t *Trainer) wild(loss float64) bool {
	bound := 2 * t.start
	n := t.dims.VocabSize
	if t.dims.Classes > 0 {
		n = t.dims.Classes
	}
	if n > 0 && !t.dims.Regression {
		bound = max(bound, math.Log(float64(n)))
	}
	return t.start > 0 && loss > bound && t.trainLoss > bound
}

// advice is what a run that has diverged is told.
func (t *Trainer) advice(loss float64) string {
	best := checkpoints.StepDir(t.dir, t.state.BestStep)
	if t.state.StartBest {
		best += ", the start"
	}
	return fmt.Sprintf("warning: the run has diverged: the validation loss is %.4g, more than twice the %.4g of the start. The best checkpoint stays %s; start again with a lower rate, as by: --set train.learning_rate=%.3g",
		loss, t.start, best, t.cfg.Train.LearningRate/10)
}

// interrupted saves the run as it was after its last whole step. Before the first there is nothing to save: resumed, it starts anew.
func (t *Trainer) interrupted() error {
	if t.state.Step > 0 {
		if err := t.keep(); err != nil {
			return err
		}
	}
	return shell.ErrInterrupted
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
	if (t.state.BestStep > 0 || t.state.StartBest) && !tied && !metric.Better(value, t.best()) {
		t.state.Stale++
		return false
	}
	t.state.BestStep, t.state.BestLoss, t.state.Stale, t.state.StartBest = t.state.Step, score.Loss(), 0, false
	if metric.Name != "loss" {
		t.state.BestMetric = value
	}
	return true
}

// recordOf is what the files of a run keep of an evaluation.
func recordOf(s task.Score, step int) metrics.Record {
	values := append([]metrics.Value(nil), s.Values...)
	values[0].Name = "validation_loss"
	return metrics.Record{Step: step, Kind: metrics.KindEval, Values: values}
}
