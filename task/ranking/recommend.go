package ranking

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"sparrow/data"
	"sparrow/model"
	"sparrow/recommend"
	"sparrow/task"
)

// Find implements task.Recommender.
func (t *Task) Find(text string, most int) []task.Item {
	text = strings.ToLower(strings.TrimSpace(text))
	type found struct {
		task.Item
		at int
	}
	var all []found
	for i := range t.catalogue.Items {
		x := t.item(int32(i))
		at := strings.Index(strings.ToLower(x.Name()), text)
		if at < 0 && strings.Contains(strings.ToLower(x.ID), text) {
			at = len(x.Name())
		}
		if at >= 0 {
			all = append(all, found{x, at})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(min(a.at, 1), min(b.at, 1)) })
	items := make([]task.Item, 0, min(most, len(all)))
	for _, x := range all[:min(most, len(all))] {
		items = append(items, x.Item)
	}
	return items
}

// item is that of a number.
func (t *Task) item(i int32) task.Item {
	x := task.Item{ID: t.catalogue.Items[i]}
	if t.catalogue.Titles != nil {
		x.Title = t.catalogue.Titles[i]
	}
	return x
}

// number is that of an item by its id, by its title or by a part of the title that no other has.
func (t *Task) number(name string) (int32, error) {
	if i := slices.Index(t.catalogue.Items, name); i >= 0 {
		return int32(i), nil
	}
	var part []int32
	for i, title := range t.catalogue.Titles {
		if strings.EqualFold(title, name) {
			return int32(i), nil
		}
		if strings.Contains(strings.ToLower(title), strings.ToLower(name)) {
			part = append(part, int32(i))
		}
	}
	switch {
	case name == "":
		return 0, task.Refusef("the name of an item is empty")
	case len(part) == 1:
		return part[0], nil
	case len(part) == 0:
		return 0, task.Refusef("there is no item %q; want an id such as %s, or a title", name, data.SomeOf(t.catalogue.Items[:min(3, len(t.catalogue.Items))]))
	}
	var titles []string
	for _, i := range part {
		titles = append(titles, t.catalogue.Titles[i])
	}
	return 0, task.Refusef("%d items have %q in their titles: %s; want one of them", len(part), name, data.SomeOf(titles))
}

// who is whom a wish is of, and the items that he has.
func (t *Task) who(w task.Wish) (who recommend.Who, has []int32, err error) {
	who.User = -1
	if w.User != "" {
		u := slices.Index(t.catalogue.Users, w.User)
		if u < 0 {
			return who, nil, task.Refusef("there is no user %q; want an id of the data such as %s, or items that a new one likes", w.User, data.SomeOf(t.catalogue.Users[:min(3, len(t.catalogue.Users))]))
		}
		who.Clicks, has, who.Fields = t.train.Row(u), t.held.Row(u), t.catalogue.UserFields.Row(u)
		if len(who.Clicks) > 0 && len(w.Items) == 0 && len(w.Fields) == 0 {
			who.User = u // his vector is learned; with more about him it is found anew
		}
	}
	for _, name := range w.Items {
		i, err := t.number(name)
		if err != nil {
			return who, nil, err
		}
		who.Clicks = append(slices.Clone(who.Clicks), i)
	}
	who.Clicks = distinct(who.Clicks)
	if len(w.Fields) > 0 {
		fields := t.catalogue.UserFields
		own := make([][]int32, len(fields.Names))
		copy(own, who.Fields)
		for name, value := range w.Fields {
			at, number, err := fields.Number(name, value)
			if err != nil {
				return who, nil, task.Refuse(err)
			}
			own[at] = []int32{number}
		}
		who.Fields = own
	}
	return who, distinct(slices.Concat(who.Clicks, has)), nil
}

// distinct sorts items, each once.
func distinct(items []int32) []int32 { return slices.Compact(slices.Sorted(slices.Values(items))) }

// reasons is how many are told of each item.
const reasons = 5

// Recommend implements task.Recommender.
func (t *Task) Recommend(ctx context.Context, s *model.Session, w task.Wish) ([]task.Recommended, error) {
	if w.N < 1 {
		return nil, task.Refusef("%d items to recommend; want at least 1", w.N)
	}
	who, has, err := t.who(w)
	if err != nil {
		return nil, err
	}
	scorer, err := t.scorer(s)
	if err != nil {
		return nil, err
	}
	scores := make([]float32, scorer.Items())
	if err := scorer.Score(scores, []recommend.Who{who}); err != nil {
		return nil, task.Refuse(err)
	}
	explained, _ := scorer.(recommend.Explained)
	gates, err := t.gates(scorer, who, w.Why)
	if err != nil {
		return nil, err
	}
	var all []task.Recommended
	for _, x := range recommend.Top(scores, min(w.N, len(scores)), has, nil) {
		r := task.Recommended{Item: t.item(x.Item), Score: float64(x.Score)}
		if w.Why && explained != nil {
			for _, c := range first(explained.Why(who, x.Item), reasons) {
				r.Why = append(r.Why, task.Reason{What: t.item(c.Item).Name(), Kind: "item", Weight: float64(c.Score)})
			}
		}
		r.Why = append(r.Why, gates...)
		all = append(all, r)
	}
	return all, ctx.Err()
}

// gates are the weights of the fields of a user, of a network that has some.
func (t *Task) gates(scorer recommend.Scorer, who recommend.Who, why bool) (all []task.Reason, err error) {
	gated, ok := scorer.(recommend.Gated)
	if !why || !ok {
		return nil, nil
	}
	weights, err := gated.Of(who)
	if len(weights) == 0 || who.Fields == nil {
		return nil, err
	}
	fields := t.catalogue.UserFields
	from := 0
	for f, name := range fields.Names {
		for _, v := range who.Fields[f] {
			all = append(all, task.Reason{What: name + "=" + fields.Values[f][int(v)-from], Kind: "field", Weight: float64(weights[1+f])})
		}
		from += len(fields.Values[f])
	}
	return all, nil
}

func first[T any](x []T, n int) []T { return x[:min(n, len(x))] }

// scorer is what the session's weights score by, made once for weights that do not change any more.
func (t *Task) scorer(s *model.Session) (recommend.Scorer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.made == nil || t.madeFor != s.Store() {
		made, err := t.body.Scorer(s, t.told())
		if err != nil {
			return nil, err
		}
		t.made, t.madeFor = made, s.Store()
	}
	return t.made, nil
}
