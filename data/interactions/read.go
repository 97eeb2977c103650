package interactions

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"sparrow/data"
)

// Lists are rows of items: those of user u are Items[Start[u]:Start[u+1]].
type Lists struct {
	Start []int
	Items []int32
	Times []int64 // seconds of each; nil: not known, or of no use
}

// Row is the items of user u.
func (l Lists) Row(u int) []int32 { return l.Items[l.Start[u]:l.Start[u+1]] }

// Rows is the number of users.
func (l Lists) Rows() int { return len(l.Start) - 1 }

// Sorted has the items of each row in ascending order, without times.
func (l Lists) Sorted() Lists {
	s := Lists{Start: l.Start, Items: slices.Clone(l.Items)}
	for u := range l.Rows() {
		slices.Sort(s.Row(u))
	}
	return s
}

// Dataset is a set of interactions that has been read and split.
type Dataset struct {
	Catalogue

	Train      Lists // ascending in each row, with the times of each
	Validation Lists // in the order of time
	Test       Lists

	// Of cold_users, what new users chose before: their clicks, in the order of time. Of others nil.
	ValidationClicks, TestClicks *Lists
	// Of cold_items, which items are new, in validation and in the test. Of others nil.
	ValidationItems, TestItems []bool

	SHA256 string
	Timed  bool // interactions have times
	source Source
}

// Catalogue are the users and items by their numbers.
type Catalogue struct {
	Users  []string `json:"users"` // ids
	Items  []string `json:"items"`
	Titles []string `json:"titles,omitempty"` // of items; nil: none

	UserFields Fields `json:"user_fields"`
	ItemFields Fields `json:"item_fields"`
}

// one is an interaction.
type one struct {
	user, item int32
	line       int32 // order in the file
	time       int64
}

// Read reads the files and splits them. A pair that occurs more than once counts by its last time.
func (s Source) Read(ctx context.Context) (*Dataset, error) {
	if err := data.Check(s); err != nil {
		return nil, err
	}
	d := &Dataset{source: s}
	all, err := s.interactions(ctx, d)
	if err != nil {
		return nil, err
	}
	if all, err = s.fewest(d, all); err != nil {
		return nil, err
	}
	if err := s.sides(ctx, d); err != nil {
		return nil, err
	}
	d.SHA256 = s.hash(d, all)
	return d, d.split(all)
}

// interactions reads the pairs, numbers users and items in the order in which they come, and sorts by user and time.
func (s Source) interactions(ctx context.Context, d *Dataset) ([]one, error) {
	t, file, err := openTable(s.Ratings, true)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	user, item := t.named(0, "user"), t.named(1, "item", "movie", "poi", "product", "book", "artist")
	rating, at := t.named(2, "rating", "score", "count", "freq"), t.named(3, "time", "date")
	if item < 0 || user == item {
		return nil, fmt.Errorf("data: %s: %d column; want a user and an item at least, parted by tabs, commas, \"::\" or \"|\"", s.Ratings, t.columns)
	}
	if s.MinRating > 0 && rating < 0 {
		return nil, fmt.Errorf("data: %s: min_rating = %g, but the file has no column of ratings", s.Ratings, s.MinRating)
	}
	d.Timed = at >= 0
	users, items := map[string]int32{}, map[string]int32{}
	var all []one
	for {
		if err := t.next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if err := t.interrupted(ctx); err != nil {
			return nil, err
		}
		if rating >= 0 && s.MinRating > 0 {
			x, err := strconv.ParseFloat(string(t.fields[rating]), 64)
			if err != nil || math.IsNaN(x) {
				return nil, t.wrong(fmt.Errorf("the rating is %q; want a number", t.fields[rating]))
			}
			if x < s.MinRating {
				continue
			}
		}
		x := one{line: int32(len(all))}
		if at >= 0 {
			if x.time, err = seconds(string(t.fields[at])); err != nil {
				return nil, t.wrong(err)
			}
		}
		if x.user, err = number(users, &d.Users, t.fields[user]); err == nil {
			x.item, err = number(items, &d.Items, t.fields[item])
		}
		if err != nil {
			return nil, t.wrong(err)
		}
		if len(all) == math.MaxInt32 {
			return nil, t.wrong(fmt.Errorf("more than %d interactions", math.MaxInt32))
		}
		all = append(all, x)
	}
	return once(all), nil
}

// number gives an id its number.
func number(known map[string]int32, names *[]string, id []byte) (int32, error) {
	n, ok := known[string(id)]
	if !ok {
		if len(id) == 0 {
			return 0, errors.New("the id of a user or an item is empty")
		}
		n = int32(len(*names))
		name := text(id)
		known[string(id)] = n
		*names = append(*names, name)
	}
	return n, nil
}

// seconds reads a time: seconds since 1970, or a date.
func seconds(field string) (int64, error) {
	if x, err := strconv.ParseFloat(field, 64); err == nil && math.Abs(x) < 1e18 {
		return int64(x), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, field); err == nil {
			return t.Unix(), nil
		}
	}
	return 0, fmt.Errorf("the time is %q; want seconds since 1970 or a date like 2024-05-31", field)
}

// once sorts by user, time and line, and drops all but the last of equal pairs.
func once(all []one) []one {
	slices.SortFunc(all, func(a, b one) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.item, b.item), cmp.Compare(a.time, b.time), cmp.Compare(a.line, b.line))
	})
	kept := all[:0]
	for i, x := range all {
		if i+1 == len(all) || all[i+1].user != x.user || all[i+1].item != x.item {
			kept = append(kept, x)
		}
	}
	slices.SortFunc(kept, func(a, b one) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.time, b.time), cmp.Compare(a.line, b.line))
	})
	return kept
}

// fewest drops users and items with fewer than min_count interactions until none has, and numbers the others anew.
func (s Source) fewest(d *Dataset, all []one) ([]one, error) {
	for {
		users, items := make([]int, len(d.Users)), make([]int, len(d.Items))
		for _, x := range all {
			users[x.user]++
			items[x.item]++
		}
		before := len(all)
		all = slices.DeleteFunc(all, func(x one) bool { return users[x.user] < s.MinCount || items[x.item] < s.MinCount })
		if len(all) > 0 && len(all) == before {
			d.Users = renumber(all, d.Users, users, func(x *one) *int32 { return &x.user })
			d.Items = renumber(all, d.Items, items, func(x *one) *int32 { return &x.item })
			return all, nil
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("data: %s: no interaction is left; lower [data] min_rating = %g or min_count = %d", s.Ratings, s.MinRating, s.MinCount)
		}
	}
}

// renumber drops the names that nothing counts.
func renumber(all []one, names []string, counts []int, of func(*one) *int32) []string {
	to, kept := make([]int32, len(names)), names[:0]
	for i, n := range counts {
		if n > 0 {
			to[i] = int32(len(kept))
			kept = append(kept, names[i])
		}
	}
	for i := range all {
		n := of(&all[i])
		*n = to[*n]
	}
	return kept
}

// hash is that of all that was read and of how it is split.
func (s Source) hash(d *Dataset, all []one) string {
	h := sha256.New()
	for _, names := range [][]string{d.Users, d.Items, d.UserFields.all(), d.ItemFields.all()} {
		for _, name := range names {
			fmt.Fprintf(h, "%d:%s", len(name), name)
		}
		h.Write([]byte{0})
	}
	var b [16]byte
	for _, x := range all {
		binary.LittleEndian.PutUint32(b[:], uint32(x.user))
		binary.LittleEndian.PutUint32(b[4:], uint32(x.item))
		binary.LittleEndian.PutUint64(b[8:], uint64(x.time))
		h.Write(b[:])
	}
	fmt.Fprintf(h, "%s %g %g %d", s.Split, s.TestShare, s.ValidationShare, s.SplitSeed)
	return hex.EncodeToString(h.Sum(nil))
}

// Describe is one line for logs.
func (d *Dataset) Describe() string {
	n := len(d.Train.Items)
	for _, l := range []*Lists{&d.Validation, &d.Test, d.ValidationClicks, d.TestClicks} {
		if l != nil {
			n += len(l.Items)
		}
	}
	return fmt.Sprintf("interactions: %d users, %d items, %d interactions, %d to train, %d to validate, %d to test, split %s",
		len(d.Users), len(d.Items), n, len(d.Train.Items), len(d.Validation.Items), len(d.Test.Items), d.source.asks())
}

// Bytes is the memory that the interactions take.
func (d *Dataset) Bytes() int {
	n := 0
	for _, l := range []*Lists{&d.Train, &d.Validation, &d.Test, d.ValidationClicks, d.TestClicks} {
		if l != nil {
			n += 8*len(l.Start) + 4*len(l.Items) + 8*len(l.Times)
		}
	}
	for _, names := range [][]string{d.Users, d.Items, d.Titles} {
		for _, name := range names {
			n += 16 + len(name)
		}
	}
	return n
}

// asks names the question of a split.
func (s Source) asks() string {
	switch s.Split {
	case "leave_one_out":
		return "by time (the last of each user)"
	case "cold_users":
		return fmt.Sprintf("by users (%g of them new)", s.TestShare)
	case "cold_items":
		return fmt.Sprintf("by items (%g of them new)", s.TestShare)
	}
	return fmt.Sprintf("by chance (%g of each user's)", s.TestShare)
}
