package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"sparrow/data/labelled"
	"sparrow/discover"
	"sparrow/factor"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/task"
)

// Embedder is a task whose vectors of texts are features.
type Embedder interface {
	task.Stepped
	task.Embedder
	task.Suggester
}

// features tells domains apart by a head on the vectors of a network that stays as it is.
type features struct {
	Embedder
	domains []string
	head    *discover.Head
}

// FitsFeatures says why a config is not one of a network whose vectors are features: one that gives vectors, without data of its own.
func FitsFeatures(embeds func(recipe.Config) error) func(recipe.Config) error {
	return func(c recipe.Config) error {
		if !c.Data.IsNone() {
			return &task.Misfit{Key: task.SourceKey, Value: c.Data.Name, Message: "is data to train on; want none, as of a model whose vectors are used as they are"}
		}
		return embeds(c)
	}
}

// OpenFeatures takes a head and what was discovered with it from a checkpoint.
func OpenFeatures(inner Embedder, files task.Files) (*Task, error) {
	m, err := readModel(files)
	switch {
	case err != nil:
		return nil, err
	case m == nil || m.Head == nil:
		return nil, task.Refusef("[task] kind: nothing was discovered with this model yet, which gives vectors of texts: find classes by: model discover MODEL --data FILE --text COLUMN --domains COLUMN")
	}
	return &Task{Inner: &features{inner, m.Domains, m.Head}, model: m}, nil
}

// Reads implements task.Predictor.
func (*features) Reads() task.Form { return task.OneText }

// Names implements task.Predictor.
func (f *features) Names() []string { return f.domains }

// Suggest implements task.Suggester.
func (*features) Suggest(context.Context, *model.Session) (task.Suggestion, error) {
	return task.Suggestion{Command: "predict", Args: []string{"TEXT"}}, nil
}

// List implements task.Lister.
func (*features) List(context.Context, string) ([]task.Listed, error) {
	return nil, task.Refusef("the model has no data of its own: name a file by --data, with --text and --domains")
}

// Predict implements task.Predictor: p(d|x).
func (f *features) Predict(ctx context.Context, s *model.Session, in []task.Input) ([]task.Prediction, error) {
	list := make([]task.Listed, len(in))
	for i, x := range in {
		if len(x.Texts) != 1 {
			return nil, &task.InputError{Index: i, Err: fmt.Errorf("%d texts; want 1", len(x.Texts))}
		}
		list[i].Text = x.Texts[0]
	}
	x, err := embed(ctx, f.Embedder, s, list, nil)
	if err != nil {
		return nil, err
	}
	if x.Cols != len(f.head.Weight[0]) {
		return nil, fmt.Errorf("%s: a head of %d features on vectors of %d numbers", classesFile, len(f.head.Weight[0]), x.Cols)
	}
	said := f.head.Probabilities(x)
	out := make([]task.Prediction, len(in))
	for i := range out {
		for d, v := range said.Row(i) {
			out[i] = append(out[i], metrics.Value{Name: f.domains[d], X: v})
		}
		slices.SortStableFunc(out[i], func(a, b metrics.Value) int { return cmp.Compare(b.X, a.X) })
	}
	return out, nil
}

// embedRows is how many texts are embedded between looks at the progress.
const embedRows = 128

// embed gives each text its features. Those of similar length are read together.
func embed(ctx context.Context, e Embedder, s *model.Session, all []task.Listed, after func(done, total int)) (*factor.Matrix, error) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(all[b].Text), len(all[a].Text)) })
	var x *factor.Matrix
	for first := 0; first < len(order); first += embedRows {
		some := order[first:min(first+embedRows, len(order))]
		texts := make([]string, len(some))
		for i, at := range some {
			texts[i] = all[at].Text
		}
		rows, err := e.Embed(ctx, s, texts, task.Vectors{})
		var about *task.InputError
		if errors.As(err, &about) {
			return nil, &task.InputError{Index: some[about.Index], Err: about.Err}
		}
		if err != nil {
			return nil, err
		}
		if x == nil {
			x = factor.NewMatrix(len(all), len(rows[0]))
		}
		for i, at := range some {
			for d, v := range rows[i] {
				x.Row(at)[d] = float64(v)
			}
		}
		if after != nil {
			after(first+len(some), len(all))
		}
	}
	return x, nil
}

// Table is a file of texts and their domains.
type Table struct {
	File         string
	Text, Domain string // columns
	Limit        int    // most examples, chosen by hashes; 0: all
}

// heldShare of each domain is held out of a head's fit.
const heldShare = 0.3

// Features are the task of a network whose vectors are features, or nil.
func Features(t task.Task) Embedder {
	if own, ok := t.(*Task); ok {
		if f, ok := own.Inner.(*features); ok {
			return f.Embedder
		}
		return nil
	}
	e, _ := t.(Embedder)
	return e
}

// Fit reads a table, fits a head on the vectors of its texts, which tells their domains apart, and looks for classes in what it says.
func Fit(ctx context.Context, e Embedder, s *model.Session, table Table, o Options) (*Classes, error) {
	from := labelled.DefaultTable()
	from.Train, from.TextColumns, from.LabelColumn, from.ValidationShare, from.MaxExamples = table.File, []string{table.Text}, table.Domain, heldShare, table.Limit
	list, err := labelled.List(ctx, from, nil, o.Truth)
	if err != nil {
		return nil, task.Refuse(err)
	}
	all := make([]task.Listed, len(list))
	var names []string
	for i, x := range list {
		all[i] = task.Listed{Text: x.Text, Label: x.Label, Truth: x.Truth, Held: x.Held}
		if at, known := slices.BinarySearch(names, x.Label); !known {
			names = slices.Insert(names, at, x.Label)
		}
	}
	x, err := embed(ctx, e, s, all, o.After)
	if err != nil {
		return nil, err
	}
	head, err := fitHead(ctx, x, all, names)
	if err != nil {
		return nil, err
	}
	return find(ctx, all, names, head.Probabilities(x), head, o)
}

// fitHead fits a head on the examples that are not held out.
func fitHead(ctx context.Context, x *factor.Matrix, all []task.Listed, names []string) (*discover.Head, error) {
	n := 0
	for _, e := range all {
		if e.Held {
			n++
		}
	}
	if n == 0 || n == len(all) {
		return nil, task.Refusef("%d examples leave %d to fit a head and %d to check it; want more", len(all), len(all)-n, n)
	}
	parts := [2]*factor.Matrix{factor.NewMatrix(len(all)-n, x.Cols), factor.NewMatrix(n, x.Cols)}
	var domain [2][]int
	for i, e := range all {
		part := 0
		if e.Held {
			part = 1
		}
		copy(parts[part].Row(len(domain[part])), x.Row(i))
		d, _ := slices.BinarySearch(names, e.Label)
		domain[part] = append(domain[part], d)
	}
	return discover.FitHead(ctx, parts[0], domain[0], len(names), parts[1], domain[1])
}
