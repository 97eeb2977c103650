package train

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/internal/shell"
	"sparrow/metrics"
	"sparrow/metrics/plot"
	"sparrow/metrics/progress"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train/page"
	"sparrow/train/stf"
)

// Result is what a finished run tells.
type Result struct {
	Score      task.Score    // on the validation subset, after the last step
	Summary    string        // of it, in one line
	Best       string        // folder of the best checkpoint
	BestLoss   float64       // of that checkpoint
	Metric     string        // it is the best by: [eval] metric
	BestMetric float64       // of that checkpoint
	Falling    bool          // less of it is better
	Stopped    bool          // early, by [train] patience
	Plot       string        // path of loss.svg
	Duration   time.Duration // of this process's steps
	Tokens     int           // trained on in all, or examples: targets of the loss
	Parameters int           // that trained
	Changed    stf.Changed   // supports in each tenth of the run; nil: no [train.stf] with latent values

	task.Suggestion // what to try
}

// Run trains to the last step. interrupted is asked after every micro-batch, and in an evaluation after every batch, whether to
// save and stop; it may be nil. When ctx ends, the run saves and stops likewise. What a step or an evaluation has done by then is
// dropped, and done again when the run is resumed. The folder, which nobody else could continue so far, is given back.
func (t *Trainer) Run(ctx context.Context, interrupted func() bool) (r Result, err error) {
	defer t.unlock()
	outer := ctx
	if t.group.Size() > 1 { // of several processes none stops by itself
		ctx = context.WithoutCancel(ctx)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wanted := t.stopper(func() bool { return interrupted != nil && interrupted() || outer.Err() != nil })
	t.stopping = func() bool {
		if wanted() {
			stop()
		}
		return ctx.Err() != nil
	}
	files := &metrics.Files{} // to nowhere
	if t.leads() {
		if files, err = metrics.Open(t.dir, t.state.Step); err != nil {
			return Result{}, err
		}
	}
	defer files.Close()
	if t.state.Step > 0 || t.state.StartBest {
		t.recall()
	}
	if err := t.meet(); err != nil {
		return Result{}, err
	}
	progress := progress.New(t.out, t.last, t.state.Step)
	progress.Counts(t.facts.Unit)
	defer progress.Close()
	t.progress.Store(progress)
	defer t.plan.limitGarbage()()
	began := time.Now()
	score, err := t.begin(ctx, files)
	for err == nil && t.state.Step < t.last && !exhausted(t.cfg.Train, t.state) {
		stepBegan, before := time.Now(), t.state.Tokens
		var record metrics.Record
		if record, err = t.advance(ctx); err != nil {
			break
		}
		loss, _ := record.Value("loss")
		speed := float64(t.state.Tokens-before) / time.Since(stepBegan).Seconds()
		record.Values = append(record.Values, metrics.Value{Name: t.facts.Unit + "_per_second", X: speed})
		if err := files.Write(record); err != nil {
			return Result{}, err
		}
		progress.Step(t.state.Step, loss, speed)
		t.trainLoss = loss
		score, err = t.afterStep(ctx, files)
	}
	if errors.Is(err, shell.ErrInterrupted) || errors.As(err, new(*DivergedError)) {
		status := "interrupted after step " + strconv.Itoa(t.state.Step)
		if !errors.Is(err, shell.ErrInterrupted) {
			status = "ended: " + err.Error()
		}
		return Result{}, errors.Join(err, t.plot(status)) // the curve shows how it came to that
	}
	if err != nil {
		return Result{}, err
	}
	if err := errors.Join(files.Close(), t.plot(t.finished())); err != nil {
		return Result{}, err
	}
	progress.Close()
	summary := "" // of a run that had ended
	if len(score.Values) > 0 {
		summary = score.Summary(t.task)
	}
	r = Result{
		Score: score, Summary: summary, Best: checkpoints.StepDir(t.dir, t.state.BestStep), BestLoss: t.state.BestLoss, Plot: filepath.Join(t.dir, "loss.svg"),
		Metric: t.cfg.Eval.Metric, BestMetric: t.best(), Falling: task.MetricOf(t.task, t.cfg.Eval.Metric).Falling, Stopped: t.state.Step < t.last,
		Duration: time.Since(began), Tokens: t.state.Tokens, Parameters: t.trainable(),
		Changed: stf.ChangedOf(t.state),
	}
	if x, ok := t.task.(task.Suggester); ok && t.leads() {
		err = t.averaged(func() (err error) {
			r.Suggestion, err = x.Suggest(ctx, t.session)
			return err
		})
	}
	if err == nil && r.Sample != "" {
		if records, wrong := metrics.Read(filepath.Join(t.dir, "metrics.csv")); wrong == nil {
			err = t.writePage(records, t.finished(), r.Sample, false)
		}
	}
	return r, err
}

// finished is the status of a run that has ended.
func (t *Trainer) finished() string { return fmt.Sprintf("finished after %d steps", t.state.Step) }

// plot draws loss.svg and the run's page from what has been written so far.
func (t *Trainer) plot(status string) error {
	if !t.leads() {
		return nil
	}
	records, err := metrics.Read(filepath.Join(t.dir, "metrics.csv"))
	if err != nil {
		return err
	}
	return errors.Join(plot.WriteLoss(filepath.Join(t.dir, "loss.svg"), fmt.Sprintf("%s, best by %s", t.cfg.Name, strings.ReplaceAll(t.cfg.Eval.Metric, "_", " ")), records), t.writePage(records, status, "", false))
}

// writePage writes the page of the run, report.html.
func (t *Trainer) writePage(records []metrics.Record, status, sample string, underway bool) error {
	config, err := configs.Encode(t.cfg)
	if err != nil {
		return err
	}
	facts := []page.Fact{
		{Name: "model", Text: fmt.Sprintf("%s, %s, %s parameters", t.cfg.Model.Name, t.cfg.Model.Body().Layout(), metrics.Count(t.store.Parameters()+t.store.BaseParameters()))},
		{Name: "data", Text: t.facts.Line}, {Name: "memory", Text: t.plan.Summary()},
	}
	if t.state.BestStep > 0 || t.state.StartBest {
		facts = append(facts, page.Fact{Name: "best", Text: fmt.Sprintf("%s %.4f at step %d", strings.ReplaceAll(t.cfg.Eval.Metric, "_", " "), t.best(), t.state.BestStep)})
	}
	var classes strings.Builder
	if t.classes != nil {
		if err := t.classes.Write(&classes); err != nil {
			return err
		}
	}
	return page.Write(filepath.Join(t.dir, "report.html"), page.Run{Name: t.cfg.Name, Status: status, Facts: facts, Records: records, Sample: sample,
		Classes: classes.String(), Config: string(config), Underway: underway})
}

// exhausted tells whether patience ends the run.
func exhausted(c recipe.Train, s saved.State) bool { return c.Patience > 0 && s.Stale >= c.Patience }
