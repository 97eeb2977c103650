package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"sparrow/configs"
)

// CompressExpect is one expectation of a compression.
type CompressExpect struct {
	Measure string   `toml:"measure"` // difference | standard_errors | fewer_bytes
	Of      string   `toml:"of"`      // loss | accuracy; fewer_bytes is of the loss
	Arm     string   `toml:"arm"`
	Than    []string `toml:"than"` // arms to compare with, or "parent"; of several the best
	At      float64  `toml:"at"`   // the ratio; fewer_bytes has none
	Bound
}

// Measures of a compression, with m the mean over seeds:
//
//	difference       m(arm) - best of m(than), at one ratio
//	standard_errors  the same in standard errors of itself
//	fewer_bytes      share of bytes that the arm needs fewer than the best of the others with as low a loss: the largest,
//	                 over the others' ratios, of 1 - b / b', where b' are their bytes, L' the lowest of their losses, and
//	                 b the fewest bytes with which the arm's loss, linear over log bytes between its ratios, is at most L'
var compressMeasures = []string{"difference", "standard_errors", "fewer_bytes"}

// Validate reports an expectation that says nothing.
func (e CompressExpect) Validate(r *configs.Report) {
	if !slices.Contains(compressMeasures, e.Measure) {
		r.Errorf("measure", "is unknown; want one of %s", strings.Join(compressMeasures, ", "))
		return
	}
	switch frontier := e.Measure == "fewer_bytes"; {
	case frontier && e.Of != "":
		r.Errorf("of", "has no meaning for fewer_bytes, which is of the loss")
	case frontier && e.At != 0:
		r.Errorf("at", "has no meaning for fewer_bytes, which is of all ratios")
	case !frontier && e.Of != "loss" && e.Of != "accuracy" && e.Of != "spearman":
		r.Errorf("of", "is unknown; want loss, accuracy or spearman")
	}
	if e.Arm == "" {
		r.Errorf("arm", "is empty; %s wants an arm", e.Measure)
	}
	if len(e.Than) == 0 {
		r.Errorf("than", "is empty; %s wants arms to compare with", e.Measure)
	}
}

// String is the expectation as a sentence.
func (e CompressExpect) String() string {
	than := strings.Join(e.Than, ", ")
	if len(e.Than) > 1 {
		than = "the better of " + strings.Join(e.Than, " and ")
	}
	var s string
	switch e.Measure {
	case "fewer_bytes":
		s = fmt.Sprintf("share of bytes that %s needs fewer than %s at equal loss, somewhere", e.Arm, than)
	default:
		s = fmt.Sprintf("%s of %s minus that of %s, with %s fewer bytes", e.Of, e.Arm, than, ratioText(e.At))
		if e.Measure == "standard_errors" {
			s += ", in standard errors"
		}
	}
	return s + e.Bound.String()
}

// Evaluate measures the expectation on the points of all arms.
func (e CompressExpect) Evaluate(arms []armRuns) Finding {
	f := Finding{Expect: e.String(), Verdict: Inconclusive}
	if e.bound() == nil {
		f.Verdict = Reported
	}
	values := map[string][]float64{} // by point, then by seed
	mine := map[string][]armRuns{}   // points by arm, in the order of their ratios
	for _, a := range arms {
		if a.Arm != e.Arm && !slices.Contains(e.Than, a.Arm) || e.At != 0 && a.Arm != parentName && a.Ratio != e.At {
			continue
		}
		for i, r := range a.Runs {
			if r.Diverged != "" {
				f.Reason = fmt.Sprintf("%s diverged with seed %d", a.point(), i+1)
				return f
			}
			of := e.Of
			if e.Measure == "fewer_bytes" {
				of = "loss"
				values[a.point()+" bytes"] = append(values[a.point()+" bytes"], float64(r.Bytes))
			}
			values[a.point()] = append(values[a.point()], metrics[of].value(r))
		}
		mine[a.Arm] = append(mine[a.Arm], a)
	}
	value, spread := jackknife(values, false, func(m map[string]float64) float64 {
		if e.Measure == "fewer_bytes" {
			return e.fewerBytes(mine, m)
		}
		than := math.NaN()
		for _, name := range e.Than {
			x := m[mine[name][0].point()]
			if e.Of == "loss" && !(x >= than) || e.Of != "loss" && !(x <= than) {
				than = x
			}
		}
		return m[mine[e.Arm][0].point()] - than
	})
	if e.Measure == "standard_errors" {
		if value, spread = inErrors(value, spread); math.IsNaN(value) {
			f.Reason = "the standard error is not known"
			return f
		}
	}
	f.Value, f.Error = finite(value), finite(spread)
	if f.Value == nil {
		f.Reason = "no loss of the others is one that the arm reaches"
		return f
	}
	if e.Measure == "standard_errors" {
		e.settleErrors(&f, value, seedsOf(values))
		return f
	}
	e.settle(&f, value, spread, seedsOf(values), "seeds")
	return f
}

// spot is a point of a frontier.
type spot struct{ bytes, loss float64 }

// fewerBytes is the measure of the means m; -Inf if the arm nowhere has as low a loss as the others.
func (e CompressExpect) fewerBytes(points map[string][]armRuns, m map[string]float64) float64 {
	frontier := func(name string) []spot { // ascending bytes
		var line []spot
		for _, a := range slices.Backward(points[name]) {
			line = append(line, spot{m[a.point()+" bytes"], m[a.point()]})
		}
		return line
	}
	mine := frontier(e.Arm)
	saved := math.Inf(-1)
	for _, name := range e.Than {
		for _, other := range frontier(name) {
			// Where another of the others has that loss with fewer bytes, that one is the one to beat.
			best := other.bytes
			for _, rival := range e.Than {
				best = min(best, bytesAt(frontier(rival), other.loss))
			}
			saved = max(saved, 1-bytesAt(mine, other.loss)/best)
		}
	}
	return saved
}

// bytesAt is the fewest bytes with which a frontier, linear over log bytes, has at most that loss; +Inf: it never has. Bytes
// below those of its points do not count, whatever is to be expected of them.
func bytesAt(line []spot, loss float64) float64 {
	for i, p := range line {
		switch {
		case p.loss > loss:
			continue
		case i == 0 || p.loss == loss:
			return p.bytes
		}
		before := line[i-1]
		t := (before.loss - loss) / (before.loss - p.loss)
		return math.Exp((1-t)*math.Log(before.bytes) + t*math.Log(p.bytes))
	}
	return math.Inf(1)
}

// Gate is the [compress.gate] table: what a ratio must do to a network before verdicts use it. An arm that cannot be good, such as
// one of method "random_basis", has to lose at least so much there; where it does not, the layers have room to spare, and what
// another arm keeps says nothing about it. Ratios that fail stay in the tables.
type Gate struct {
	Arm   string  `toml:"arm"`
	Of    string  `toml:"of"`    // loss | accuracy
	Loses float64 `toml:"loses"` // at least, against the parent
}

// Validate reports a gate that nothing passes through.
func (g *Gate) Validate(r *configs.Report) {
	if g.Of != "loss" && g.Of != "accuracy" {
		r.Errorf("of", "is unknown; want loss or accuracy")
	}
	if !(g.Loses > 0) || math.IsInf(g.Loses, 1) {
		r.Errorf("loses", "wants what the arm has to lose, more than 0")
	}
}

// validateGate reports a gate that does not suit the arms.
func (c *Claim) validateGate(r *configs.Report) {
	g := c.Compress.Gate
	if g == nil {
		return
	}
	if g.Of == "accuracy" && !c.classifies() {
		r.Errorf("compress.gate.of", "is not measured of a language model")
	}
	at := c.arm(g.Arm)
	if at < 0 {
		r.Errorf("compress.gate.arm", "is none of the arms: %q", g.Arm)
		return
	}
	for i, e := range c.Compress.Expect {
		if e.At != 0 && !slices.Contains(c.ratios(at), e.At) {
			r.Errorf(fmt.Sprintf("compress.expect.%d.at", i), "is none of the ratios of the gate, %s", g.Arm)
		}
	}
}

// lost is what the gate's arm loses at a ratio, the mean over seeds; one that diverged has lost everything.
func (g *Gate) lost(arms []armRuns, ratio float64) (lost float64, known bool) {
	parent, _, ok := arms[0].mean(g.Of)
	if !ok {
		return 0, false
	}
	at := slices.IndexFunc(arms, func(a armRuns) bool { return a.Arm == g.Arm && a.Ratio == ratio })
	if at < 0 {
		return 0, false
	}
	mean, _, ok := arms[at].mean(g.Of)
	switch {
	case !ok:
		return math.Inf(1), true
	case g.Of == "accuracy":
		return parent - mean, true
	}
	return mean - parent, true
}

// passed are the arms' points at ratios that pass, the parent first; all, if there is no gate.
func (g *Gate) passed(arms []armRuns) []armRuns {
	if g == nil {
		return arms
	}
	return slices.DeleteFunc(slices.Clone(arms), func(a armRuns) bool { return a.Arm != parentName && !g.passes(arms, a.Ratio) })
}

func (g *Gate) passes(arms []armRuns, ratio float64) bool {
	if g == nil {
		return true
	}
	lost, known := g.lost(arms, ratio)
	return known && lost >= g.Loses
}

// evaluate measures an expectation on the points that pass. One at a ratio that does not is inconclusive.
func (g *Gate) evaluate(e CompressExpect, arms []armRuns) Finding {
	if e.At == 0 || g.passes(arms, e.At) {
		if some := g.passed(arms); g == nil || len(some) > 1 {
			return e.Evaluate(some)
		}
	}
	f := e.Evaluate(arms)
	if f.Verdict != Reported {
		f.Verdict = Inconclusive
	}
	f.Reason = fmt.Sprintf("the gate is shut: %s loses less than %g of the %s", g.Arm, g.Loses, g.Of)
	return f
}
