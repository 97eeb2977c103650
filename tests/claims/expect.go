package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"sparrow/configs"
)

// Expect is one expectation: a measure over arms and the bound that it shall
// reach. One without a bound is only reported.
type Expect struct {
	Measure string `toml:"measure"` // value | gap_closed | difference | standard_errors | ratio | saved
	Of      string `toml:"of"`      // of metricNames
	Arm     string `toml:"arm"`
	From    string `toml:"from"` // gap_closed: the arm where the gap begins
	To      string `toml:"to"`   // gap_closed: the arm where it ends
	Than    string `toml:"than"` // the others, but value: the arm to compare with
	Bound
}

// Measures, with m the mean over seeds of what [Expect.Of] names:
//
//	value            m(arm)
//	gap_closed       (m(from) - m(arm)) / (m(from) - m(to))
//	difference       m(arm) - m(than)
//	standard_errors  m(arm) - m(than), in standard errors of itself
//	ratio            m(arm) / m(than)
//	saved            1 - m(arm) / m(than)
//
// standard_errors asks whether a difference can be seen at all, so its own error is
// 0. A noisy experiment sees none: another expectation must bound the difference.
var measures = []string{"value", "gap_closed", "difference", "standard_errors", "ratio", "saved"}

// metrics are what a run has measured; exact ones do not depend on the seed, and counted ones follow from the shapes of the
// network alone.
var metrics = map[string]struct {
	value   func(Result) float64
	exact   bool
	counted bool
}{
	"loss":        {func(r Result) float64 { return r.Loss }, false, false},
	"perplexity":  {func(r Result) float64 { return math.Exp(r.Loss) }, false, false},
	"parameters":  {func(r Result) float64 { return float64(r.Parameters) }, true, true},
	"peak_memory": {func(r Result) float64 { return float64(r.PeakMemory) }, true, false},

	"cache_bytes":          {func(r Result) float64 { return float64(r.CacheBytes) }, true, true},
	"attention_parameters": {func(r Result) float64 { return float64(r.AttentionParameters) }, true, true},

	"accuracy":      {func(r Result) float64 { return r.Accuracy }, false, false},
	"epoch_seconds": {func(r Result) float64 { return r.EpochSeconds }, false, false},
	"step_seconds":  {func(r Result) float64 { return r.StepSeconds }, false, false},

	"spearman":            {func(r Result) float64 { return r.Spearman }, false, false},
	"corruption_accuracy": {func(r Result) float64 { return r.CorruptionAccuracy }, false, false},

	"ndcg@10": ranked("ndcg@10"), "ndcg@20": ranked("ndcg@20"), "recall@10": ranked("recall@10"), "mrr": ranked("mrr"),
	"f1@2": ranked("f1@2"), "f1@5": ranked("f1@5"), "f1@10": ranked("f1@10"), "f1@20": ranked("f1@20"), "f1@50": ranked("f1@50"), "f1@100": ranked("f1@100"),

	"layer_bytes": {func(r Result) float64 { return float64(r.Bytes) }, true, false}, // of compressions, in their own expectations
}

var metricNames = slices.Concat([]string{"loss", "perplexity", "parameters", "peak_memory", "cache_bytes", "attention_parameters", "accuracy", "epoch_seconds", "step_seconds",
	"corruption_accuracy"}, rankMetrics)

// Some of these are for language models only, some for classifiers, some for those of images.
var (
	languageMetrics   = []string{"perplexity", "cache_bytes"}
	classifierMetrics = []string{"accuracy", "epoch_seconds", "step_seconds"}
	imageMetrics      = []string{"corruption_accuracy"}
)

// Validate reports an expectation that says nothing.
func (e Expect) Validate(r *configs.Report) {
	if !slices.Contains(measures, e.Measure) {
		r.Errorf("measure", "is unknown; want one of %s", strings.Join(measures, ", "))
		return
	}
	if !slices.Contains(metricNames, e.Of) {
		r.Errorf("of", "is unknown; want one of %s", strings.Join(metricNames, ", "))
	} else if e.Measure == "standard_errors" && metrics[e.Of].exact {
		r.Errorf("of", "has no standard error; for %s want difference", e.Of)
	}
	need := func(key, v string, wanted bool) {
		if wanted && v == "" {
			r.Errorf(key, "is empty; %s wants an arm", e.Measure)
		}
		if !wanted && v != "" {
			r.Errorf(key, "has no meaning for %s", e.Measure)
		}
	}
	gap := e.Measure == "gap_closed"
	need("arm", e.Arm, true)
	need("from", e.From, gap)
	need("to", e.To, gap)
	need("than", e.Than, !gap && e.Measure != "value")
}

// String is the expectation as a sentence.
func (e Expect) String() string {
	what := strings.ReplaceAll(e.Of, "_", " ")
	var s string
	switch e.Measure {
	case "value":
		s = fmt.Sprintf("%s of %s", what, e.Arm)
	case "gap_closed":
		s = fmt.Sprintf("share of the gap in %s from %s to %s that %s closes", what, e.From, e.To, e.Arm)
	case "difference":
		s = fmt.Sprintf("%s of %s minus that of %s", what, e.Arm, e.Than)
	case "standard_errors":
		s = fmt.Sprintf("%s of %s minus that of %s, in standard errors", what, e.Arm, e.Than)
	case "ratio":
		s = fmt.Sprintf("%s of %s over that of %s", what, e.Arm, e.Than)
	case "saved":
		s = fmt.Sprintf("share of the %s of %s that %s saves", what, e.Than, e.Arm)
	}
	return s + e.Bound.String()
}

// Finding is a measured expectation.
type Finding struct {
	Expect string   `json:"expect"`
	Value  *float64 `json:"value"`          // nil: could not be computed
	Error  *float64 `json:"standard_error"` // nil: not known, with one seed
	// Interval holds the true value with 95% probability, by Student's t; nil: not known.
	Interval *[2]float64 `json:"interval,omitempty"`
	Verdict  Verdict     `json:"verdict"`
	Reason   string      `json:"reason,omitempty"` // of a verdict that the numbers do not explain
	Wants    string      `json:"wants,omitempty"`  // what would tell more

	Arithmetic bool `json:"arithmetic,omitempty"` // it follows from the arms' shapes, whatever trains
}

// Evaluate measures the expectation on the runs of each arm, one a seed, in the
// order of the seeds.
func (e Expect) Evaluate(runs map[string][]Result) Finding {
	f := Finding{Expect: e.String(), Verdict: Inconclusive, Arithmetic: metrics[e.Of].counted}
	if e.bound() == nil {
		f.Verdict = Reported
	}
	arms := []string{e.Arm, e.Than}
	switch e.Measure {
	case "value":
		arms = arms[:1]
	case "gap_closed":
		arms = []string{e.Arm, e.From, e.To}
	}
	values := map[string][]float64{}
	for _, a := range arms {
		for i, r := range runs[a] {
			if r.Diverged != "" {
				f.Reason = fmt.Sprintf("%s diverged with seed %d", a, i+1)
				return f
			}
			if e.Of == "peak_memory" && r.PeakMemory == 0 {
				f.Reason = "peak memory is not known on this system"
				return f
			}
			values[a] = append(values[a], metrics[e.Of].value(r))
		}
	}
	exact := metrics[e.Of].exact
	value, spread := jackknife(values, exact, e.value)
	if e.Measure == "standard_errors" {
		if value, spread = inErrors(value, spread); math.IsNaN(value) {
			f.Reason = "the standard error is not known"
			return f
		}
	}
	f.Value = finite(value)
	f.Error = finite(spread)
	if f.Value == nil {
		f.Reason = "the arm to compare with measures 0"
		return f
	}
	if e.Measure == "gap_closed" {
		gap, spread := jackknife(values, exact, func(m map[string]float64) float64 { return m[e.From] - m[e.To] })
		if half := halfWidth(spread, seedsOf(values)); !(math.Abs(gap) >= half) {
			f.Reason = fmt.Sprintf("the gap of %.4g is within its own interval, ± %s", gap, number(finite(half), "%.2g"))
			return f
		}
		if gap < 0 && f.Verdict != Reported {
			f.Verdict, f.Reason = Fails, fmt.Sprintf("there is no gap to close: %s is already better than %s", e.From, e.To)
			return f
		}
	}
	if e.Measure == "standard_errors" {
		e.settleErrors(&f, value, seedsOf(values))
		return f
	}
	e.settle(&f, value, spread, seedsOf(values), "seeds")
	return f
}

// seedsOf is how many seeds all arms have.
func seedsOf(values map[string][]float64) int {
	n := math.MaxInt
	for _, v := range values {
		n = min(n, len(v))
	}
	return n
}

// value computes the measure from the arms' means.
func (e Expect) value(m map[string]float64) float64 {
	switch e.Measure {
	case "value":
		return m[e.Arm]
	case "gap_closed":
		return (m[e.From] - m[e.Arm]) / (m[e.From] - m[e.To])
	case "difference", "standard_errors":
		return m[e.Arm] - m[e.Than]
	case "ratio":
		return m[e.Arm] / m[e.Than]
	}
	return 1 - m[e.Arm]/m[e.Than]
}

// jackknife computes f of the arms' means over seeds and its standard error from
// leaving out one seed at a time, the same one in every arm, because arms with
// the same seed see the same batches:
//
//	SE² = (n-1)/n sum_i (f_i - mean f_i)²    (Efron and Stein 1981)
//
// For a difference this is the standard error of the paired differences. With one
// seed it is not known, NaN, or 0 if the values are exact.
func jackknife(values map[string][]float64, exact bool, f func(map[string]float64) float64) (value, spread float64) {
	n := seedsOf(values)
	means := func(without int) map[string]float64 {
		m := map[string]float64{}
		for arm, v := range values {
			var sum float64
			count := 0
			for i, x := range v[:n] {
				if i != without {
					sum += x
					count++
				}
			}
			m[arm] = sum / float64(count)
		}
		return m
	}
	value = f(means(-1))
	if n == 1 {
		if exact {
			return value, 0
		}
		return value, math.NaN()
	}
	parts := make([]float64, n)
	var mean float64
	for i := range parts {
		parts[i] = f(means(i))
		mean += parts[i] / float64(n)
	}
	var sum float64
	for _, p := range parts {
		sum += (p - mean) * (p - mean)
	}
	return value, math.Sqrt(float64(n-1) / float64(n) * sum)
}

// finite returns nil for what JSON cannot hold.
func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// inErrors is a value in its standard errors, which has none of its own; NaN where the error is not known. 0 is 0 of any
// size.
func inErrors(value, spread float64) (inUnits, none float64) {
	if value == 0 {
		return 0, 0
	}
	if value /= spread; math.IsInf(value, 0) {
		return math.NaN(), 0
	}
	return value, 0
}
