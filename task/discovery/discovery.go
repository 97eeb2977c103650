package discovery

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/discover"
	"sparrow/factor"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// Inner is a task that labels: its labels are the domains.
type Inner interface {
	task.Stepped
	task.Predictor
	task.Lister
	task.Suggester
}

// Task trains a classifier of domains. Once classes were discovered it predicts those.
type Task struct {
	Inner
	model *discover.Model // nil: nothing was discovered yet
}

// classesFile is what a checkpoint keeps of discovered classes.
const classesFile = "classes.json"

// readModel reads what was discovered; nil: nothing was yet.
func readModel(files task.Files) (*discover.Model, error) {
	if files == nil {
		return nil, nil
	}
	text, err := files.File(classesFile)
	if err != nil {
		return nil, nil
	}
	m := &discover.Model{}
	if err := task.StrictJSON(text, m); err != nil {
		return nil, fmt.Errorf("%s/%s: %w", files.Dir(), classesFile, err)
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("%w: %s/%s: %w", checkpoints.ErrCheckpoint, files.Dir(), classesFile, err)
	}
	return m, nil
}

// Open wraps a task that labels, and takes what was discovered from a checkpoint, if it has that.
func Open(inner Inner, files task.Files) (*Task, error) {
	t := &Task{Inner: inner}
	m, err := readModel(files)
	if m == nil || err != nil {
		return t, err
	}
	if domains := inner.Names(); !slices.Equal(m.Domains, domains) {
		return nil, fmt.Errorf("%w: %s/%s: it is of %d domains, and the network tells %d others apart", checkpoints.ErrCheckpoint, files.Dir(), classesFile, len(m.Domains), len(domains))
	}
	t.model = m
	return t, nil
}

// Facts implements task.Task.
func (t *Task) Facts() task.Facts {
	f := t.Inner.Facts()
	if t.model != nil {
		f.Files[classesFile] = task.JSONFile(t.model)
	}
	return f
}

// Names implements task.Predictor: of the classes, before there are any of the domains.
func (t *Task) Names() []string {
	if t.model == nil {
		return t.Inner.Names()
	}
	return t.model.Classes
}

// Predict implements task.Predictor: p(y|x), or p(y|x,d) of an input whose domain is known.
func (t *Task) Predict(ctx context.Context, s *model.Session, in []task.Input) ([]task.Prediction, error) {
	for i, x := range in {
		if x.Domain == "" {
			continue
		}
		if t.model == nil {
			return nil, &task.InputError{Index: i, Err: fmt.Errorf("a domain is given, %q, but no classes were discovered yet: this model predicts domains; find them by: model discover", x.Domain)}
		}
		if !slices.Contains(t.model.Domains, x.Domain) {
			return nil, &task.InputError{Index: i, Err: fmt.Errorf("domain %q is none of training, %s; leave it out if it is not known", x.Domain, some(t.model.Domains))}
		}
	}
	said, err := t.Inner.Predict(ctx, s, in)
	if err != nil || t.model == nil {
		return said, err
	}
	p := matrixOf(said, t.model.Domains)
	discover.Temper(p, t.model.Temperature)
	y, err := t.model.Posterior(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make([]task.Prediction, len(in))
	for i, x := range in {
		if x.Domain != "" {
			t.model.Known(y.Row(i), slices.Index(t.model.Domains, x.Domain))
		}
		for k, v := range y.Row(i) {
			out[i] = append(out[i], metrics.Value{Name: t.model.Classes[k], X: v})
		}
		slices.SortStableFunc(out[i], func(a, b metrics.Value) int { return cmp.Compare(b.X, a.X) })
	}
	return out, nil
}

// matrixOf are predictions as rows, in the order of names.
func matrixOf(said []task.Prediction, names []string) *factor.Matrix {
	at := map[string]int{}
	for d, name := range names {
		at[name] = d
	}
	p := factor.NewMatrix(len(said), len(names))
	for i, one := range said {
		for _, v := range one {
			p.Row(i)[at[v.Name]] = v.X
		}
	}
	return p
}

// some lists the first few names.
func some(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Share implements task.Sharer.
func (t *Task) Share(from task.Task) {
	if o, ok := from.(*Task); ok {
		if s, ok := t.Inner.(task.Sharer); ok {
			s.Share(o.Inner)
		}
	}
}

// Init implements task.Initializer.
func (t *Task) Init(s *model.Session) error {
	if x, ok := t.Inner.(task.Initializer); ok {
		return x.Init(s)
	}
	return nil
}

// Suggest implements task.Suggester.
func (t *Task) Suggest(ctx context.Context, s *model.Session) (task.Suggestion, error) {
	if t.model == nil {
		return task.Suggestion{Command: "discover", Args: []string{"--classes", "auto", "-o", "classes"}}, nil
	}
	return t.Inner.Suggest(ctx, s)
}

// Fits says why a config is not for the discovery of classes, which is any task's that labels single texts or images. It fits only
// where [task] kind names it: the same data and network fit the task that labels.
func Fits(inner ...func(recipe.Config) error) func(recipe.Config) error {
	return func(c recipe.Config) error {
		var against error
		for _, fits := range inner {
			err := fits(c)
			if err == nil {
				against = nil
				break
			}
			if m, ok := err.(*task.Misfit); !ok || m.Key != task.SourceKey { // that of the task which has the data
				against = err
			} else if against == nil {
				against = &task.Misfit{Key: task.SourceKey, Value: c.Data.Name, Message: fmt.Sprintf("has %s; want texts or images whose labels are the domains", c.Data.Gives())}
			}
		}
		from, ok := c.Data.Labelled()
		switch {
		case against != nil:
			return against
		case ok && from.Scores():
			return &task.Misfit{Key: task.SourceKey, Value: c.Data.Name, Message: "has scores; want domains, which are names: set regression = false"}
		case ok && len(c.Data.Columns().TextColumns) == 2:
			return &task.Misfit{Key: "data.text_columns", Message: "has 2 columns; classes are discovered of single texts: want 1"}
		}
		return nil
	}
}
