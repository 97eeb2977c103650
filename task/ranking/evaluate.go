package ranking

import (
	"context"
	"fmt"
	"slices"

	"sparrow/data/interactions"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/recommend"
	"sparrow/task"
)

// clicks say what of a new user the model is told.
type clicks struct {
	n     int
	order string // "first" in time, or "random"; "" where there are none
}

func (c clicks) suffix() string { return fmt.Sprintf("/%s%d", c.order, c.n) }

// plan is what an evaluation measures.
type plan struct {
	recommend.Protocol
	clicks []clicks // of new users; nil: users are known
}

// protocol is that of a source.
func protocol(s interactions.Source) plan {
	p := plan{Protocol: recommend.Protocol{Cutoffs: s.Cutoffs, Candidates: s.Candidates, Seed: s.SplitSeed}}
	if len(p.Cutoffs) == 0 { // of a model from elsewhere
		p.Cutoffs = interactions.Default().Cutoffs
	}
	if s.Split != "cold_users" {
		return p
	}
	for _, n := range s.Clicks {
		if n == 0 {
			p.clicks = append(p.clicks, clicks{0, "clicks"})
			continue
		}
		p.clicks = append(p.clicks, clicks{n, "first"}, clicks{n, "random"})
	}
	if p.clicks == nil {
		p.clicks = []clicks{{0, "clicks"}}
	}
	return p
}

// names are those of all values.
func (p plan) names() []string {
	if p.clicks == nil {
		return p.Names()
	}
	var all []string
	for _, c := range p.clicks {
		for _, name := range p.Names() {
			all = append(all, name+c.suffix())
		}
	}
	return all
}

// Evaluate implements task.Task: by full ranking, see [recommend.Evaluate]. Without a validation split the test is measured in its
// place.
func (t *Task) Evaluate(ctx context.Context, s *model.Session, m task.Measure) (task.Score, error) {
	if m.File != "" {
		return task.Score{}, task.Refusef("--file %s: a recommender is measured on a split of its data; want --split validation or test", m.File)
	}
	if err := t.Read(ctx); err != nil {
		return task.Score{}, err
	}
	if m.Split == task.Training {
		return task.Score{}, task.Refusef("the training split has nothing that is not seen; want --split validation or test")
	}
	if m.Split == task.Validation && t.source.ValidationShare == 0 {
		m.Split = task.Test
	}
	scorer, err := t.body.Scorer(s, t.told())
	if err != nil {
		return task.Score{}, err
	}
	p := protocol(t.source)
	if t.source.Split == "cold_items" {
		if p.Only = t.data.ValidationItems; m.Split == task.Test {
			p.Only = t.data.TestItems
		}
	}
	told := p.clicks
	if told == nil {
		told = []clicks{{}}
	}
	var values []float64
	users := 0
	for i, c := range told {
		after := func(done, total int) {
			if m.After != nil {
				m.After(i*total+done, len(told)*total, 0)
			}
		}
		r, err := recommend.Evaluate(ctx, scorer, t.cases(m, c), p.Protocol, after)
		if err != nil {
			return task.Score{}, task.Refuse(err)
		}
		values, users = append(values, r.Values...), r.Users
	}
	return task.NewScore(t, "users", users, append([]float64{1 - values[0]}, values...)...), nil
}

// cases are the users of a part, the first of [eval] examples.
func (t *Task) cases(m task.Measure, told clicks) []recommend.Case {
	d := t.data
	want, earlier := &d.Validation, (*interactions.Lists)(nil)
	before := d.ValidationClicks
	if m.Split == task.Test {
		want, before = &d.Test, d.TestClicks
		if before == nil && t.source.Split != "cold_items" {
			earlier = &d.Validation
		}
	}
	limit := m.Limit
	if limit == 0 && m.Split == task.Validation {
		limit = t.cfg.Eval.Examples
	}
	var all []recommend.Case
	for u := range d.Users {
		if len(want.Row(u)) == 0 {
			continue
		}
		c := recommend.Case{Want: slices.Sorted(slices.Values(want.Row(u)))}
		c.User, c.Clicks, c.Fields = u, t.train.Row(u), t.catalogue.UserFields.Row(u)
		if want.Times != nil {
			c.Time = want.Times[want.Start[u]]
		}
		c.Seen = c.Clicks
		switch {
		case before != nil:
			c.User, c.Seen = -1, slices.Sorted(slices.Values(before.Row(u)))
			c.Clicks = chosen(before.Row(u), told, t.source.SplitSeed, u)
		case len(c.Clicks) == 0:
			c.User = -1
		case earlier != nil:
			c.Seen = slices.Sorted(slices.Values(slices.Concat(c.Clicks, earlier.Row(u))))
		}
		if all = append(all, c); len(all) == limit {
			break
		}
	}
	return all
}

// chosen are clicks of a new user, of those before in time, ascending.
func chosen(before []int32, told clicks, seed uint64, user int) []int32 {
	rows := slices.Clone(before)
	if told.order == "random" {
		r := rng.New(seed, "ranking/clicks", uint64(user))
		for i := len(rows) - 1; i > 0; i-- {
			j := r.Intn(i + 1)
			rows[i], rows[j] = rows[j], rows[i]
		}
	}
	rows = rows[:min(told.n, len(rows))]
	slices.Sort(rows)
	return rows
}
