package main

import (
	"fmt"
	"slices"

	"sparrow/configs"
)

// Claim is the claim's TOML.
type Claim struct {
	Title     string `toml:"title"`
	Statement string `toml:"statement"`
	Paper     string `toml:"paper"`

	Items     int   `toml:"items"`
	Anchors   int   `toml:"anchors"` // queries that are scored with every item, once for all seeds
	Draw      int   `toml:"draw"`    // of them, by each seed
	Tests     int   `toml:"tests"`
	Seeds     int   `toml:"seeds"`
	Budgets   []int `toml:"budgets"`
	K         []int `toml:"k"`
	Negatives int   `toml:"negatives"`
	MaxLen    int   `toml:"max_len"`

	Subjects []Subject `toml:"subject"`
	Expect   []Expect  `toml:"expect"`

	quick bool
}

// Subject is data of its own, and how long models learn from it.
type Subject struct {
	Name   string  `toml:"name"`
	Train  int     `toml:"train"` // queries or pairs to learn from; 0: all
	Epochs float64 `toml:"epochs"`
}

// Expect is a bound on the mean over seeds of a measure, or of how much more of it there is than of another.
type Expect struct {
	Subject string   `toml:"subject"`
	Of      string   `toml:"of"`
	Than    string   `toml:"than"`
	AtLeast *float64 `toml:"at_least"`
	AtMost  *float64 `toml:"at_most"`
}

// String says an expectation.
func (e Expect) String() string {
	s := e.Subject + ": " + e.Of
	if e.Than != "" {
		s += " more than " + e.Than + " by"
	}
	if e.AtMost != nil {
		return s + fmt.Sprintf(": at most %g", *e.AtMost)
	}
	return s + fmt.Sprintf(": at least %g", *e.AtLeast)
}

// Validate implements the check of a config.
func (c Claim) Validate(r *configs.Report) {
	if c.Seeds < 2 || c.Items < 10 || c.Draw < 3 || c.Draw > c.Anchors || c.Tests < 1 || c.Negatives < 1 {
		r.Errorf("seeds", "or another size is too small; want at least 2 seeds, 10 items, 3 anchor queries of those scored, a test and a negative")
	}
	for i, e := range c.Expect {
		if (e.AtLeast == nil) == (e.AtMost == nil) || !slices.ContainsFunc(c.Subjects, func(s Subject) bool { return s.Name == e.Subject }) {
			r.Errorf(fmt.Sprintf("expect.%d", i), "wants a subject of the claim, and at_least or at_most")
		}
	}
}

// shorten leaves what shows that the machinery works.
func (c *Claim) shorten() {
	c.quick = true
	c.Items, c.Anchors, c.Draw, c.Tests, c.Seeds, c.Negatives = 40, 12, 8, 5, 2, 5
	c.Budgets, c.K, c.MaxLen = []int{8, 16}, []int{1, 5}, 32
	for i := range c.Subjects {
		c.Subjects[i].Train = 60
	}
}
