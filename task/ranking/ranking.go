package ranking

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	"sparrow/data/interactions"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/model/recommender"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/recommend"
	"sparrow/task"
)

// Task is what all recommenders have; one that trains is a [Solved] or a [Stepped].
type Task struct {
	cfg    recipe.Config
	source interactions.Source
	body   recommender.Body

	catalogue *interactions.Catalogue // nil: only the data tells it
	train     recommend.Sets          // what the network learned from
	held      recommend.Sets          // of each user the rest: nobody is recommended what he has
	known     *recommender.Known
	data      *interactions.Dataset // nil: not read
	kept      map[string][]byte     // what a checkpoint keeps; made once

	mu      sync.Mutex // of what recommends, for several goroutines
	made    recommend.Scorer
	madeFor *nn.Store
}

// Fits says why a config is not one of a recommender.
func Fits(c recipe.Config) error {
	if _, err := task.Fit[recommender.Body, interactions.Source](c, `source = "interactions"`); err != nil {
		return err
	}
	s, _ := c.Data.Of.(interactions.Source)
	if s.ValidationShare == 0 && !c.Data.IsNone() && (c.Eval.Every != 0 || c.Train.Patience != 0) {
		return &task.Misfit{Key: "eval.every", Value: c.Eval.Every, Message: "chooses checkpoints on a validation split, but [data] validation_share = 0; want eval.every = 0, which measures the last one on the test split"}
	}
	if _, timed := c.Model.Of.(recommender.Timed); len(s.Context) > 0 && !timed {
		return &task.Misfit{Key: "data.context", Value: s.Context, Message: fmt.Sprintf("is for networks that read the time of a choice, but [model] kind = %q; want none", c.Model.Name)}
	}
	if learner, ok := c.Model.Of.(recommender.Learner); ok {
		if c.Train.Optimizer != "adamw" {
			return &task.Misfit{Key: "train.optimizer", Value: c.Train.Optimizer, Message: "has blocks that span the rows of a table, of which a step changes some; want \"adamw\""}
		}
		if _, hard := learner.(recommender.Hard); learner.Samples().Hardest > 1 && !hard {
			return &task.Misfit{Key: "model.hardest", Value: learner.Samples().Hardest, Message: "wants a network that scores single pairs, such as kind = \"mf\"; want 1"}
		}
	}
	return task.Offer{Examples: true, Metrics: append([]string{"loss"}, protocol(s).names()...)}.Check(c)
}

// Open makes the task of a config; its kind follows from how the network trains.
func Open(cfg recipe.Config, files task.Files) (task.Task, error) {
	t := &Task{cfg: cfg}
	t.source, _ = cfg.Data.Of.(interactions.Source)
	var ok bool
	if t.body, ok = cfg.Model.Of.(recommender.Body); !ok {
		return nil, task.Refusef("[model] kind = %q does not recommend", cfg.Model.Name)
	}
	if files != nil {
		if err := t.restore(files); err != nil {
			return nil, err
		}
	}
	if solver, ok := t.body.(recommender.Solver); ok {
		return &Solved{Task: t, solver: solver}, nil
	}
	if learner, ok := t.body.(recommender.Learner); ok {
		return &Stepped{Task: t, learner: learner}, nil
	}
	return nil, task.Refusef("[model] kind = %q neither trains by steps nor is solved", cfg.Model.Name)
}

// Read implements task.Task.
func (t *Task) Read(ctx context.Context) error {
	if t.data != nil {
		return nil
	}
	if t.cfg.Data.IsNone() {
		return task.Refusef("[data] source is empty; want source = \"interactions\" with a file of ratings")
	}
	d, err := t.source.Read(ctx)
	if err != nil {
		return task.Refuse(err)
	}
	if c := t.catalogue; c != nil && (len(c.Users) != len(d.Users) || len(c.Items) != len(d.Items)) {
		return task.Refusef("[data] ratings = %q has %d users and %d items; the model was made for %d and %d", t.source.Ratings, len(d.Users), len(d.Items), len(c.Users), len(c.Items))
	}
	t.data, t.catalogue, t.known, t.kept = d, &d.Catalogue, nil, nil
	n := len(d.Items)
	t.train = recommend.Sets{Start: d.Train.Start, Items: d.Train.Items, Columns: n}
	t.held = union(n, &d.Validation, &d.Test, d.ValidationClicks, d.TestClicks)
	return nil
}

// union has the items of all lists, ascending.
func union(columns int, lists ...*interactions.Lists) recommend.Sets {
	rows := lists[0].Rows()
	s := recommend.Sets{Start: make([]int, rows+1), Columns: columns}
	for u := range rows {
		for _, l := range lists {
			if l != nil {
				s.Items = append(s.Items, l.Row(u)...)
			}
		}
		s.Start[u+1] = len(s.Items)
	}
	sorted := interactions.Lists{Start: s.Start, Items: s.Items}.Sorted()
	s.Items = sorted.Items
	return s
}

// Share implements task.Sharer.
func (t *Task) Share(from task.Task) {
	o, ok := from.(interface{ own() *Task })
	if !ok || o.own().data == nil || !task.SameData(t.cfg.Data, o.own().cfg.Data) {
		return
	}
	x := o.own()
	t.data, t.catalogue, t.train, t.held, t.known, t.kept = x.data, x.catalogue, x.train, x.held, x.known, x.kept
}

func (t *Task) own() *Task { return t }

// Facts implements task.Task.
func (t *Task) Facts() task.Facts {
	f := task.Facts{Unit: "examples", PerRow: 1, PerBatch: t.cfg.Train.BatchSize, Each: "interaction"}
	if t.catalogue != nil {
		f.Files = t.files()
	}
	if t.data != nil {
		f.Line, f.Hash, f.Bytes, f.Rows = t.data.Describe(), t.data.SHA256, t.data.Bytes(), len(t.data.Train.Items)
	}
	return f
}

// Dims implements task.Task.
func (t *Task) Dims() (model.Dims, error) {
	if t.catalogue == nil {
		return model.Dims{}, task.ErrUnread
	}
	c := t.catalogue
	return model.Dims{Catalogue: model.Catalogue{
		Users: len(c.Users), Items: len(c.Items),
		UserFields: len(c.UserFields.Names), ItemFields: len(c.ItemFields.Names), UserValues: c.UserFields.Count(), ItemValues: c.ItemFields.Count(),
		UserLength: c.UserFields.Longest(), ItemLength: c.ItemFields.Longest(),
		TimeFields: len(t.source.Context), TimeValues: t.source.ContextValues(),
	}}, nil
}

// Longest implements task.Task: rows have no length.
func (t *Task) Longest() (key string, n int) { return "ratings", 0 }

// Metrics implements task.Task: those of the evaluation, and the first of them as a loss.
func (t *Task) Metrics() []task.Metric {
	names := protocol(t.source).names()
	all := []task.Metric{{Name: "loss", Falling: true, Means: "1 - " + names[0], Digits: 4}}
	for _, name := range names {
		all = append(all, task.Metric{Name: name, Digits: 4})
	}
	return all
}

// told is what the network is told of the data.
func (t *Task) told() recommender.Known {
	if t.known == nil {
		d, _ := t.Dims() // the catalogue is there
		t.known = &recommender.Known{Train: t.train, Dims: d.Catalogue}
		if f := t.catalogue.UserFields; len(f.Names) > 0 {
			t.known.UserFields = f.Row
		}
		if len(t.source.Context) > 0 {
			t.known.Context = t.source.ContextOf
		}
		if f := t.catalogue.ItemFields; len(f.Names) > 0 {
			t.known.ItemFields = f.Row
		}
	}
	return *t.known
}

// Solved is the task of a network that is solved in rounds.
type Solved struct {
	*Task
	solver recommender.Solver
}

// Rounds implements task.Solved.
func (t *Solved) Rounds() int { return t.solver.Rounds() }

// Solve implements task.Solved.
func (t *Solved) Solve(ctx context.Context, round int, s *nn.Store) ([]metrics.Value, error) {
	k := t.told()
	loss, err := t.solver.Solve(ctx, round, s, k)
	t.known.Users = cmp.Or(t.known.Users, k.Users)
	return []metrics.Value{{Name: "loss", X: loss}}, err
}

// Suggest implements task.Suggester: the first user.
func (t *Task) Suggest(context.Context, *model.Session) (task.Suggestion, error) {
	for u, id := range t.catalogue.Users {
		if len(t.train.Row(u)) > 0 && !strings.HasPrefix(id, "-") {
			return task.Suggestion{Command: "recommend", Args: []string{"--user", id}}, nil
		}
	}
	return task.Suggestion{}, nil
}
