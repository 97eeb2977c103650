package main

import (
	"fmt"
	"slices"

	"sparrow/configs"
	"sparrow/tests/claims/interval"
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

// A verdict is what the measurements say for sure, by the 95% interval of
// Student's t over paired seeds: that the bound is reached (holds), that the weak
// bound is (weak), that the bound is missed (fails), or none of them
// (inconclusive).
const (
	Holds        Verdict = "holds"
	Weak         Verdict = "weak"
	Fails        Verdict = "fails"
	Inconclusive Verdict = "inconclusive"
	Reported     Verdict = "reported" // no bound was set
)

// leastSeeds is of how many runs an arm a difference is claimed at least.
const leastSeeds = 5

// halfWidth is that of the interval of a value, from its standard error over n seeds or rounds; NaN if that is not known.
func halfWidth(spread float64, n int) float64 {
	if spread == 0 { // exact, however few
		return 0
	}
	return interval.Critical(n-1) * spread
}

// settle judges a finding whose value has that standard error, NaN if not known, over n seeds or rounds, and says what it would
// take to tell more.
func (b Bound) settle(f *Finding, value, spread float64, n int, of string) {
	if half := halfWidth(spread, n); finite(half) != nil && f.Value != nil {
		f.Interval = &[2]float64{value - half, value + half}
	}
	if f.Verdict == Reported || b.bound() == nil {
		return
	}
	f.Verdict = b.judge(value, spread, n)
	switch {
	case of != "seeds" || spread == 0:
	case f.Verdict == Inconclusive:
		margin := b.margin(value, *b.bound())
		if seeds := interval.Needed(spread, n, margin); margin != 0 && seeds > n {
			f.Wants = fmt.Sprintf("%d seeds of this spread would tell", max(seeds, leastSeeds))
		} else if seeds == 0 || margin == 0 {
			f.Wants = "the value is at the bound: no number of seeds is sure to tell"
		}
	case n < leastSeeds:
		f.Wants = fmt.Sprintf("from %d seeds, by an interval of %.3g standard errors; a new run wants %d", n, interval.Critical(n-1), leastSeeds)
	}
}

// settleErrors judges a difference in its standard errors. A bound of two of them asks whether the difference can be seen, so it stands
// for half of the interval's width, however many seeds that is of. Where the difference is to be seen and is not, nothing is known
// yet: it fails only if the opposite is seen.
func (b Bound) settleErrors(f *Finding, value float64, n int) {
	if f.Verdict == Reported || b.bound() == nil {
		return
	}
	bound := *b.bound() * interval.Critical(n-1) / 2
	wanted := b.AtMost != nil && bound < 0 || b.AtLeast != nil && bound > 0
	switch margin := b.margin(value, bound); {
	case margin >= 0:
		f.Verdict = Holds
	case wanted && b.margin(value, -bound) >= 0:
		f.Verdict = Inconclusive
	default:
		f.Verdict = Fails
	}
	f.Wants = fmt.Sprintf("2 stands for the interval of %d seeds, %.3g", n, interval.Critical(n-1))
}

// judge turns a value and its standard error, NaN if not known, of n seeds or rounds into a verdict.
func (b Bound) judge(value, spread float64, n int) Verdict {
	half := halfWidth(spread, n)
	reached := func(x *float64) bool {
		if x == nil {
			return false
		}
		m := b.margin(value, *x)
		return m >= 0 && m >= half
	}
	missed := -b.margin(value, *b.bound())
	switch {
	case reached(b.bound()):
		return Holds
	case reached(b.Weak):
		return Weak
	case missed > 0 && missed >= half:
		return Fails
	}
	return Inconclusive
}

// overall is the verdict on a claim: its weakest expectation. One that is true by arithmetic, whatever trains, does not count for
// the claim; one that is false does against it.
func overall(findings []Finding) Verdict {
	findings = slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Arithmetic && f.Verdict != Fails })
	for _, v := range []Verdict{Fails, Inconclusive, Weak, Holds} {
		if slices.ContainsFunc(findings, func(f Finding) bool { return f.Verdict == v }) {
			return v
		}
	}
	return Reported
}
