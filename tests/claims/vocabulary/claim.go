package main

import (
	"fmt"
	"slices"

	"sparrow/configs"
	"sparrow/extend"
	"sparrow/recipe"
)

// Claim is a claim's TOML.
type Claim struct {
	Title     string `toml:"title"`
	Statement string `toml:"statement"`
	Paper     string `toml:"paper"`

	Seeds int       `toml:"seeds"`
	Steps []int     `toml:"steps"` // of training after the extension at which is measured; the first is 0
	Rates []float64 `toml:"rates"` // learning rates that are tried with the first seed; others are added until each arm's best is interior

	// The subject: one of the two.
	Comments *Comments `toml:"comments"`
	Pairs    *Pairs    `toml:"pairs"`

	Parent recipe.Config `toml:"parent"` // how a parent is trained, where the subject has none
	Adapt  recipe.Config `toml:"adapt"`  // how it is trained after the extension

	Arms   []Arm    `toml:"arm"`
	Expect []Expect `toml:"expect"`
}

// Arm is a start.
type Arm struct {
	Name     string  `toml:"name"`
	Start    string  `toml:"start"`    // one of extend's; empty: the parent with its own vocabulary
	Shuffled bool    `toml:"shuffled"` // each word has the vector of another
	Rank     int     `toml:"rank"`     // of the embedding; 0: one table
	Energy   float64 `toml:"energy"`   // the least rank that keeps this share of its squares; 0: as rank says
}

// Expect is a bound on a mean over seeds: of a measure of an arm or, with than, of how much more of it than has; positive: the arm is
// better.
type Expect struct {
	Arm     string   `toml:"arm"`
	Than    string   `toml:"than"`
	Less    float64  `toml:"less"`    // minus this share of what the arm is better than less_of
	LessOf  string   `toml:"less_of"` // an arm
	Of      string   `toml:"of"`      // nats, new (nats of new tokens), bits (a byte), rise (share of the parent's loss by factors alone)
	At      int      `toml:"at"`      // step
	AtLeast *float64 `toml:"at_least"`
	AtMost  *float64 `toml:"at_most"`
}

// measures are what an expectation may be of.
var measures = []string{"nats", "new", "bits", "rise"}

// Validate implements the check of a config.
func (c Claim) Validate(r *configs.Report) {
	if c.Seeds < 2 || len(c.Steps) < 2 || c.Steps[0] != 0 || !slices.IsSorted(c.Steps) {
		r.Errorf("steps", "or seeds are too few: want at least 2 seeds, and steps that rise from 0")
	}
	if len(c.Rates) < 3 || !slices.IsSorted(c.Rates) || !(c.Rates[0] > 0) {
		r.Errorf("rates", "want at least 3 that rise")
	}
	if (c.Comments == nil) == (c.Pairs == nil) {
		r.Errorf("comments", "or [pairs]: want one of them")
	}
	for i, a := range c.Arms {
		if a.Start != "" && !slices.Contains(extend.Starts(), a.Start) || c.named(a.Name) != i || a.Rank < 0 || a.Energy < 0 || a.Energy >= 1 {
			r.Errorf(fmt.Sprintf("arm.%d", i), "wants a name of its own, a start of %v or none, and a rank of 0 or more", extend.Starts())
		}
	}
	for i, e := range c.Expect {
		key := fmt.Sprintf("expect.%d", i)
		for _, name := range []string{e.Arm, e.Than, e.LessOf} {
			if c.named(name) < 0 && (name != "" || e.Arm == "") {
				r.Errorf(key, "names no arm by %q", name)
			}
		}
		if !slices.Contains(measures, e.Of) || (e.AtLeast == nil) == (e.AtMost == nil) || !slices.Contains(c.Steps, e.At) || (e.Less != 0) != (e.LessOf != "") {
			r.Errorf(key, "wants of, one of %v, at, one of %v, at_least or at_most, and less beside less_of", measures, c.Steps)
		}
	}
}

// named is the place of an arm; -1: there is none.
func (c Claim) named(name string) int {
	return slices.IndexFunc(c.Arms, func(a Arm) bool { return a.Name == name })
}

// String says an expectation.
func (e Expect) String() string {
	what := map[string]string{"nats": "nats a token", "new": "nats a new token", "bits": "bits a byte", "rise": "rise of the parent's own loss by factors"}[e.Of]
	s := fmt.Sprintf("%s of %s", what, e.Arm)
	if e.Than != "" {
		s += fmt.Sprintf(" less than of %s by", e.Than)
	}
	if e.LessOf != "" {
		s += fmt.Sprintf(" %g of what it is less than %s, and", e.Less, e.LessOf)
	}
	if e.Of != "rise" {
		s += fmt.Sprintf(", after %d steps", e.At)
	}
	if e.AtMost != nil {
		return s + fmt.Sprintf(": at most %g", *e.AtMost)
	}
	return s + fmt.Sprintf(": at least %g", *e.AtLeast)
}
