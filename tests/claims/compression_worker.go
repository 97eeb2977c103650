package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"sparrow/checkpoints"
	"sparrow/compress"
	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/internal/measure"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// keep moves the checkpoint of a parent to a folder that outlives the process, and measures it as what it becomes will be.
func (r *Result) keep(cfg recipe.Config, best, to string) error {
	l, err := saved.Open(best, false, model.Options{})
	if err != nil {
		return err
	}
	if err := r.heldOut(cfg, l); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil { // of a result that was not kept
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(best, to)
}

// heldOut measures a network on held-out data: the validation text of a language model, [run.eval] examples of the test split
// of a classifier.
func (r *Result) heldOut(cfg recipe.Config, l *saved.Model) error {
	var m task.Measure
	if tested(cfg) {
		m.Split = task.Test
	}
	if l.Config.Data.IsNone() { // from elsewhere: it has a task and no data
		own := l.Config
		own.Data, own.Eval = cfg.Data, cfg.Eval
		cfg = own
	}
	goal, err := l.Open(cfg)
	if err != nil {
		return err
	}
	score, err := goal.Evaluate(context.Background(), l.Session, m)
	r.Loss = score.Loss()
	r.Accuracy, _ = score.Value("accuracy")
	r.Spearman, _ = score.Value("spearman")
	return err
}

// tested tells whether what is reported is measured on a test split, and learning rates are chosen by the validation split.
func tested(cfg recipe.Config) bool {
	tsv, ok := cfg.Data.Of.(labelled.Table)
	return classifies(cfg) || ok && tsv.Test != ""
}

// compressOnce is one compression in this process: all that compress run does, then the test split of a classifier.
func compressOnce(r request, dir string) (Result, error) {
	kernel.SetThreads(r.Threads)
	run, cfg := recipe.Default(), compressDefaults()
	if err := configs.Decode("run", []byte(r.Config), &run, configs.Options{Lists: recipe.Lists()}); err != nil {
		return Result{}, err
	}
	if err := configs.Decode("compress", []byte(r.Compress), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		return Result{}, err
	}
	began := time.Now()
	out := Result{Steps: run.Train.Steps, Threads: kernel.Threads(), InstructionSet: kernel.ISA(), Go: runtime.Version()}
	dir = filepath.Join(dir, "result")
	result, err := compress.Run(context.Background(), cfg, dir, io.Discard)
	var diverged *train.DivergedError
	if errors.As(err, &diverged) {
		out.Diverged = fmt.Sprintf("step %d: the %s is %v", diverged.Step, diverged.What, diverged.Value)
		out.Seconds = time.Since(began).Seconds()
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Changed = result.Changed
	quality := result.Compressed
	if result.Tuned != nil {
		quality = result.Tuned
	}
	if quality == nil {
		return out, errors.New("the data to measure on is not there")
	}
	for _, v := range quality.Values {
		switch v.Name {
		case "loss":
			out.Loss = v.Value
		case "accuracy":
			out.ValidationAccuracy = v.Value
		}
	}
	l, err := saved.Open(filepath.Join(dir, filepath.FromSlash(result.Checkpoint)), false, model.Options{})
	if err != nil {
		return out, err
	}
	if err := out.count(cfg, dir, l); err != nil {
		return out, err
	}
	if tested(run) && !r.Tuning {
		if err := out.heldOut(run, l); err != nil {
			return out, err
		}
	}
	out.PeakMemory, out.Seconds = measure.PeakBytes(), time.Since(began).Seconds()
	return out, nil
}

// count counts the bytes of the layers from what the checkpoints store, not from what was planned: all but these layers is the
// same in both.
func (r *Result) count(cfg compress.Config, dir string, l *saved.Model) error {
	parent, err := saved.Describe(cfg.Compress.From, "", false)
	if err != nil {
		return err
	}
	c, err := checkpoints.Open(filepath.Join(dir, "plan"))
	if err != nil {
		return err
	}
	text, err := c.File("plan.json")
	if err != nil {
		return err
	}
	var plan compress.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return fmt.Errorf("plan.json: %w", err)
	}
	r.Parameters = l.Session.Store().Parameters()
	r.DenseBytes = plan.Before.Bytes
	r.Bytes = r.DenseBytes - (parent.Session.Store().StoredBytes() - l.Session.Store().StoredBytes())
	if r.Bytes > plan.Budget.Limit {
		return fmt.Errorf("the layers have %d bytes, the budget is %d", r.Bytes, plan.Budget.Limit)
	}
	return nil
}
