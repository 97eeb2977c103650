package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"sparrow/configs"
	"sparrow/internal/shell"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// Training is a sweep of training runs.
type Training struct {
	File  string   // config
	Set   []string // overrides of all runs
	Axes  []Axis
	Seeds int    // runs of each cell, whose seeds count up from the config's
	Dir   string // of the runs and results

	Interrupted func() bool // asked whether to stop; nil: never
}

// planned is a training run of a sweep.
type planned struct {
	cfg  recipe.Config
	like *saved.Model
	dir  string
}

// Train makes all runs of a grid, those that are not finished yet, and puts their best validation scores side by side. All configs are
// read before the first run begins. What diverges is noted, and the sweep goes on.
func Train(ctx context.Context, o Training, out io.Writer) (*Report, error) {
	if o.Seeds < 1 || o.Seeds > 1000 {
		return nil, fmt.Errorf("%w: %d seeds; want 1 to 1000", ErrUsage, o.Seeds)
	}
	cells, err := Cells(o.Axes)
	if err != nil {
		return nil, err
	}
	store, err := Open(filepath.Join(o.Dir, "results"))
	if err != nil {
		return nil, err
	}
	var jobs []job
	var metric string
	for i, cell := range cells {
		base, like, err := train.Load(o.File, append(o.Set[:len(o.Set):len(o.Set)], overrides(o.Axes, cell)...))
		if err != nil {
			return nil, err
		}
		if metric != "" && base.Eval.Metric != metric {
			return nil, fmt.Errorf("%w: runs with [eval] metric = %q and %q cannot be compared; want one for all", ErrUsage, metric, base.Eval.Metric)
		}
		metric = base.Eval.Metric
		for s := range o.Seeds {
			p := planned{cfg: base, like: like}
			p.cfg.Seed = base.Seed + uint64(s)
			name := label(o.Axes, cell)
			if o.Seeds > 1 {
				name = strings.TrimPrefix(fmt.Sprintf("%s, seed=%d", name, p.cfg.Seed), ", ")
			}
			text, err := configs.Encode(p.cfg)
			if err != nil {
				return nil, err
			}
			at := folder(name)
			p.dir = filepath.Join(o.Dir, at)
			jobs = append(jobs, job{i, name, at, Key("train\n", string(text)), func(ctx context.Context) (Outcome, error) { return p.train(ctx, o.Interrupted, out) }})
		}
	}
	if err := distinct(jobs); err != nil {
		return nil, err
	}
	outcomes, err := run(ctx, store, jobs, out)
	if err != nil {
		return nil, err
	}
	columns := []string{metric}
	if metric != "loss" {
		columns = append(columns, "loss")
	}
	return report(o.Axes, cells, jobs, outcomes, columns, falling(outcomes)), nil
}

// distinct refuses points of which one would write over another.
func distinct(jobs []job) error {
	seen := map[string]string{}
	for _, j := range jobs {
		if other, ok := seen[j.folder]; ok {
			return fmt.Errorf("%w: %s and %s want the same folder %s; want shorter values, or fewer axes", ErrUsage, other, j.label, j.folder)
		}
		seen[j.folder] = j.label
	}
	return nil
}

// rising is what an outcome has beside its values where more is better.
const rising = "more_is_better"

// falling tells whether less of the first value is better.
func falling(all []Outcome) bool {
	for _, o := range all {
		if x, ok := o.Value(rising); ok {
			return x == 0
		}
	}
	return true
}

// train makes a run, or continues what there is of it.
func (p planned) train(ctx context.Context, interrupted func() bool, out io.Writer) (Outcome, error) {
	t, err := p.open(ctx, out)
	if err != nil {
		return Outcome{}, err
	}
	r, err := t.Run(ctx, interrupted)
	if diverged := new(train.DivergedError); errors.As(err, &diverged) {
		return Outcome{Failed: fmt.Sprintf("diverged at step %d", diverged.Step)}, nil
	}
	if err != nil {
		return Outcome{}, err
	}
	more := 1.0
	if r.Falling {
		more = 0
	}
	o := Outcome{Values: []Value{{r.Metric, r.BestMetric}}}
	if r.Metric != "loss" {
		o.Values = append(o.Values, Value{"loss", r.BestLoss})
	}
	o.Values = append(o.Values, Value{rising, more}, Value{"parameters", float64(r.Parameters)})
	return o, nil
}

// open prepares the run: anew, also where it has ended and its result was lost, or from its newest checkpoint.
func (p planned) open(ctx context.Context, out io.Writer) (*train.Trainer, error) {
	if saved.IsRun(p.dir) {
		var t *train.Trainer
		var done bool
		var err error
		if p.like != nil {
			t, done, err = train.ResumeFrom(ctx, p.like, p.dir, out)
		} else {
			t, done, err = train.Resume(ctx, p.dir, "", nil, out)
		}
		if !done {
			return t, err
		}
	}
	if p.like != nil {
		return train.NewFrom(ctx, p.like, p.cfg, p.dir, true, out)
	}
	return train.New(ctx, p.cfg, p.dir, true, out)
}

// Next is the command that makes the best run of a sweep by itself, and where that run is.
func (o Training) Next(r *Report) (command, dir string) {
	if r.Best < 0 {
		return "", ""
	}
	best := r.Rows[r.Best]
	args := []string{"run", "-c", o.File}
	for _, s := range append(o.Set[:len(o.Set):len(o.Set)], overrides(o.Axes, best.Cell)...) {
		args = append(args, "--set", s)
	}
	metric := task.Metric{Falling: r.Falling}
	at := best.Outcomes[0]
	for _, other := range best.Outcomes[1:] {
		a, _ := other.Value(r.Columns[0])
		b, _ := at.Value(r.Columns[0])
		if metric.Better(a, b) {
			at = other
		}
	}
	return shell.Command("train", args...), filepath.Join(o.Dir, at.Folder)
}
