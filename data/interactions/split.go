package interactions

import (
	"fmt"
	"math"
	"slices"

	"sparrow/internal/rng"
)

// part is where an interaction goes.
type part uint8

const (
	train part = iota
	validation
	test
	validationClicks
	testClicks
)

// split gives each interaction its part. all is sorted by user and time.
func (d *Dataset) split(all []one) error {
	parts := make([]part, len(all))
	s := d.source
	switch s.Split {
	case "cold_users":
		d.coldUsers(all, parts)
	case "cold_items":
		d.coldItems(all, parts)
	default:
		d.eachUser(all, parts)
	}
	d.Train = d.lists(all, parts, train)
	d.Validation, d.Test = d.lists(all, parts, validation), d.lists(all, parts, test)
	if s.Split == "cold_users" {
		v, t := d.lists(all, parts, validationClicks), d.lists(all, parts, testClicks)
		d.ValidationClicks, d.TestClicks = &v, &t
	}
	ascending(d.Train)
	for _, x := range []struct {
		what  string
		items int
		wants bool
	}{{"train", len(d.Train.Items), true}, {"validate", len(d.Validation.Items), s.ValidationShare > 0}, {"test", len(d.Test.Items), true}} {
		if x.wants && x.items == 0 {
			return fmt.Errorf("data: %s: %d interactions of %d users leave none to %s; want more, or other shares", s.Ratings, len(all), len(d.Users), x.what)
		}
	}
	return nil
}

// users calls f with the range of each user's interactions.
func (d *Dataset) users(all []one, f func(user, lo, hi int)) {
	for lo := 0; lo < len(all); {
		hi := lo
		for hi < len(all) && all[hi].user == all[lo].user {
			hi++
		}
		f(int(all[lo].user), lo, hi)
		lo = hi
	}
}

// eachUser takes items of each user: the last ones in time, or by chance. One item at least stays to train on.
func (d *Dataset) eachUser(all []one, parts []part) {
	s := d.source
	d.users(all, func(user, lo, hi int) {
		n := hi - lo
		order := make([]int, n) // those to take come first
		for i := range order {
			order[i] = hi - 1 - i
		}
		tests, validations := min(1, n-1), 0
		if s.ValidationShare > 0 {
			validations = max(0, min(1, n-2))
		}
		if s.Split == "ratio" {
			r := rng.New(s.SplitSeed, "interactions/ratio", uint64(user))
			shuffle(r, order)
			tests = min(int(math.Round(s.TestShare*float64(n))), n-1)
			validations = min(int(math.Round(s.ValidationShare*float64(n-tests))), n-tests-1)
		}
		for i, at := range order {
			switch {
			case i < tests:
				parts[at] = test
			case i < tests+validations:
				parts[at] = validation
			}
		}
	})
}

// coldUsers takes whole users. The later half of each, in time, is to be found, and the earlier are the clicks.
func (d *Dataset) coldUsers(all []one, parts []part) {
	to := d.drawn(len(d.Users), "interactions/users")
	d.users(all, func(user, lo, hi int) {
		p := to[user]
		if p == train {
			return
		}
		clicks := validationClicks
		if p == test {
			clicks = testClicks
		}
		half := lo + (hi-lo)/2
		for i := lo; i < hi; i++ {
			if parts[i] = p; i < half {
				parts[i] = clicks
			}
		}
	})
}

// coldItems takes whole items.
func (d *Dataset) coldItems(all []one, parts []part) {
	to := d.drawn(len(d.Items), "interactions/items")
	d.ValidationItems, d.TestItems = make([]bool, len(to)), make([]bool, len(to))
	for i, p := range to {
		d.ValidationItems[i], d.TestItems[i] = p == validation, p == test
	}
	for i, x := range all {
		parts[i] = to[x.item]
	}
}

// drawn shares n users or items out by chance.
func (d *Dataset) drawn(n int, stream string) []part {
	s, order, to := d.source, make([]int, n), make([]part, n)
	for i := range order {
		order[i] = i
	}
	shuffle(rng.New(s.SplitSeed, stream, 0), order)
	tests := int(math.Round(s.TestShare * float64(n)))
	validations := int(math.Round(s.ValidationShare * float64(n-tests)))
	for i, x := range order {
		switch {
		case i < tests:
			to[x] = test
		case i < tests+validations:
			to[x] = validation
		}
	}
	return to
}

// shuffle orders by chance (Fisher and Yates).
func shuffle(r *rng.Source, x []int) {
	for i := len(x) - 1; i > 0; i-- {
		j := r.Intn(i + 1)
		x[i], x[j] = x[j], x[i]
	}
}

// lists are the interactions of a part.
func (d *Dataset) lists(all []one, parts []part, p part) Lists {
	l := Lists{Start: make([]int, len(d.Users)+1)}
	n := 0
	for i := range all {
		if parts[i] == p {
			l.Start[all[i].user+1]++
			n++
		}
	}
	l.Items = make([]int32, 0, n)
	if d.Timed {
		l.Times = make([]int64, 0, n)
	}
	for i, x := range all {
		if parts[i] == p {
			l.Items = append(l.Items, x.item)
			if d.Timed {
				l.Times = append(l.Times, x.time)
			}
		}
	}
	for u := range d.Users {
		l.Start[u+1] += l.Start[u]
	}
	return l
}

// ascending sorts each row by its items, with their times.
func ascending(l Lists) {
	type timed struct {
		item int32
		time int64
	}
	var row []timed
	for u := range l.Rows() {
		lo, hi := l.Start[u], l.Start[u+1]
		if l.Times == nil {
			slices.Sort(l.Items[lo:hi])
			continue
		}
		row = row[:0]
		for i := lo; i < hi; i++ {
			row = append(row, timed{l.Items[i], l.Times[i]})
		}
		slices.SortFunc(row, func(a, b timed) int { return int(a.item) - int(b.item) })
		for i, x := range row {
			l.Items[lo+i], l.Times[lo+i] = x.item, x.time
		}
	}
}
