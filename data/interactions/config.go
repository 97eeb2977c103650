package interactions

import (
	"sparrow/configs"
	"sparrow/data"
)

// Source is the source of interactions of users and items.
type Source struct {
	Ratings string `toml:"ratings" doc:"file of interactions, a line each: user, item and, if there are, rating and time; columns are parted by tabs, commas, \"::\" or \"|\", and a header may name them, also as name:type"`
	Users   string `toml:"users" doc:"file with fields of users, the first column their ids; empty: none"`
	Items   string `toml:"items" doc:"file with fields and titles of items, the first column their ids; empty: none"`

	UserFields []string `toml:"user_fields" doc:"columns of users by name or number; \"age:10\" puts numbers in steps, \"zip:first1\" takes the first characters, \"title:decade\" the decade of a year, \"genres[]\" has several values"`
	ItemFields []string `toml:"item_fields" doc:"columns of items, likewise"`
	Context    []string `toml:"context" doc:"fields of the time of an interaction (UTC): weekday, hour"`

	MinRating float64 `toml:"min_rating" doc:"interactions with a lower rating are left out; 0: all are positive"`
	MinCount  int     `toml:"min_count" doc:"users and items with fewer interactions are left out, until none is; 0: none"`

	Split           string  `toml:"split" doc:"what the test asks: by chance a share of each user's items; the last item of each user in time; users or items of whom training saw nothing" choices:"ratio|leave_one_out|cold_users|cold_items"`
	TestShare       float64 `toml:"test_share" doc:"share of a user's items, of users or of items that the test has; leave_one_out takes one item"`
	ValidationShare float64 `toml:"validation_share" doc:"share of what is left, likewise; 0: none, and the last checkpoint is measured on the test alone"`
	SplitSeed       uint64  `toml:"split_seed" doc:"chooses the split, apart from the seed of the weights"`

	Cutoffs    []int `toml:"cutoffs" doc:"lengths of the list of recommendations that is measured"`
	Candidates int   `toml:"candidates" doc:"of a second measurement, sampled items that each wanted item is ranked among; its names end in their number, since it compares with no full ranking; 0: none"`
	Clicks     []int `toml:"clicks" doc:"of cold_users, how many of a new user's items the model is told before it recommends, the first in time and random ones"`
}

// Default returns the values of keys that a config leaves out.
func Default() Source {
	return Source{Split: "ratio", TestShare: 0.2, ValidationShare: 0.1, SplitSeed: 1, Cutoffs: []int{10, 20}, Clicks: []int{0, 1, 3, 5, 10, 20}}
}

// Name implements data.Source.
func (Source) Name() string { return "interactions" }

// MaxCutoff bounds the longest list that is measured.
const MaxCutoff = 10000

// Validate reports every key that is wrong, as far as that shows without reading a file.
func (s Source) Validate(r *configs.Report) {
	if s.Ratings == "" {
		r.Errorf("ratings", `is empty; source = "interactions" needs a file`)
	}
	r.OneOf("split")
	r.Within("test_share", s.TestShare > 0 && s.TestShare < 1, "more than 0 and less than 1")
	r.Within("validation_share", s.ValidationShare >= 0 && s.ValidationShare < 1, "0 to less than 1")
	r.AtLeast("min_count", 0)
	r.AtLeast("candidates", 0)
	if len(s.Cutoffs) == 0 {
		r.Errorf("cutoffs", "is empty; want at least one length, as in [10]")
	}
	for _, k := range s.Cutoffs {
		if k < 1 || k > MaxCutoff {
			r.Errorf("cutoffs", "has the length %d; want 1 to %d", k, MaxCutoff)
		}
	}
	for _, n := range s.Clicks {
		if n < 0 {
			r.Errorf("clicks", "has the number %d; want 0 or more", n)
		}
	}
	for key, file := range map[string]string{"user_fields": s.Users, "item_fields": s.Items} {
		fields := s.UserFields
		if key == "item_fields" {
			fields = s.ItemFields
		}
		if len(fields) > 0 && file == "" {
			r.Errorf(key, "names fields, but [data] %s names no file that has them", map[string]string{"user_fields": "users", "item_fields": "items"}[key])
		}
		for _, f := range fields {
			if _, err := parseField(f); err != nil {
				r.Errorf(key, "has %q: %v", f, err)
			}
		}
	}
	for _, c := range s.Context {
		if contextValues[c] == 0 {
			r.Errorf("context", "has %q; want weekday or hour", c)
		}
	}
}

// Sources are those that come with this package.
func Sources() []configs.Choice[data.Source] {
	return []configs.Choice[data.Source]{{Name: "interactions", New: func() data.Source { return Default() }}}
}

// Start implements configs.Starter.
func (Source) Start() []string { return []string{"data.ratings=my-ratings.csv"} }
