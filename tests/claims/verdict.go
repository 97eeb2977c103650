package main

import (
	"fmt"
	"slices"

	"sparrow/configs"
)

// Bound is the value that an expectation shall reach. One without is only reported.
type Bound struct {
	AtLeast *float64 `toml:"at_least"` // the bound, from below or from above
	AtMost  *float64 `toml:"at_most"`
	Weak    *float64 `toml:"weak"` // a looser bound: what still counts as a weak form of the claim
}

// Validate reports bounds that contradict each other.
func (b Bound) Validate(r *configs.Report) {
	switch {
	case b.AtLeast != nil && b.AtMost != nil:
		r.Errorf("at_most", "stands beside at_least; want one bound")
	case b.Weak == nil:
	case b.bound() == nil:
		r.Errorf("weak", "wants a bound, at_least or at_most")
	case b.margin(*b.Weak, *b.bound()) >= 0:
		r.Errorf("weak", "is not looser than the bound")
	}
}

// bound is the value to reach, nil for a measure that is only reported.
func (b Bound) bound() *float64 {
	if b.AtMost != nil {
		return b.AtMost
	}
	return b.AtLeast
}

// margin is how far value is on the right side of bound.
func (b Bound) margin(value, bound float64) float64 {
	if b.AtMost != nil {
		return bound - value
	}
	return value - bound
}

// String ends the sentence of an expectation.
func (b Bound) String() string {
	s := ""
	if x := b.bound(); x != nil {
		word := "at least"
		if b.AtMost != nil {
			word = "at most"
		}
		s = fmt.Sprintf(": %s %g", word, *x)
	}
	if b.Weak != nil {
		s += fmt.Sprintf(" (a weak form: %g)", *b.Weak)
	}
	return s
}

// Verdict is what the measurements say of an expectation or a claim.
type Verdict string

// A verdict is what the measurements say for sure, by two standard errors: that
// the bound is reached (holds), that the weak bound is (weak), that the bound is
// missed (fails), or none of them (inconclusive).
const (
	Holds        Verdict = "holds"
	Weak         Verdict = "weak"
	Fails        Verdict = "fails"
	Inconclusive Verdict = "inconclusive"
	Reported     Verdict = "reported" // no bound was set
)

// sure is how many standard errors make a difference.
const sure = 2

// judge turns a value and its standard error, NaN if not known, into a verdict.
func (b Bound) judge(value, spread float64) Verdict {
	reached := func(x *float64) bool {
		if x == nil {
			return false
		}
		m := b.margin(value, *x)
		return m >= 0 && m >= sure*spread
	}
	missed := -b.margin(value, *b.bound())
	switch {
	case reached(b.bound()):
		return Holds
	case reached(b.Weak):
		return Weak
	case missed > 0 && missed >= sure*spread:
		return Fails
	}
	return Inconclusive
}

// overall is the verdict on a claim: its weakest expectation.
func overall(findings []Finding) Verdict {
	for _, v := range []Verdict{Fails, Inconclusive, Weak, Holds} {
		if slices.ContainsFunc(findings, func(f Finding) bool { return f.Verdict == v }) {
			return v
		}
	}
	return Reported
}
