package main

import (
	"math"
	"strings"
	"testing"
)

func bound(x float64) *float64 { return &x }

// losses makes the runs of an arm.
func losses(values ...float64) []Result {
	var runs []Result
	for _, v := range values {
		runs = append(runs, Result{Loss: v, Parameters: 100, Steps: 1})
	}
	return runs
}

// relative is room for rounding.
const relative = 1e-12

func near(a, b float64) bool { return math.Abs(a-b) <= relative*max(1, math.Abs(a), math.Abs(b)) }

func TestJackknife(t *testing.T) {
	a, b := []float64{2.1, 2.4, 2.2}, []float64{2.0, 2.2, 2.3}
	difference := func(m map[string]float64) float64 { return m["a"] - m["b"] }
	value, spread := jackknife(map[string][]float64{"a": a, "b": b}, false, difference)
	// The standard error of paired differences, from its textbook formula.
	var mean, squares float64
	for i := range a {
		mean += (a[i] - b[i]) / 3
	}
	for i := range a {
		squares += math.Pow(a[i]-b[i]-mean, 2)
	}
	if want := math.Sqrt(squares / 2 / 3); !near(value, mean) || !near(spread, want) {
		t.Errorf("jackknife of a difference = %v ± %v, want %v ± %v", value, spread, mean, want)
	}
	if _, spread := jackknife(map[string][]float64{"a": {1}, "b": {2}}, false, difference); !math.IsNaN(spread) {
		t.Errorf("one seed has standard error %v, want NaN", spread)
	}
	if _, spread := jackknife(map[string][]float64{"a": {1}, "b": {2}}, true, difference); spread != 0 {
		t.Errorf("one exact value has standard error %v, want 0", spread)
	}
}

func TestMeasures(t *testing.T) {
	runs := map[string][]Result{
		"full":   {{Loss: 2, Parameters: 1000, PeakMemory: 4000, CacheBytes: 256, AttentionParameters: 300}},
		"low":    {{Loss: 2.5, Parameters: 400, PeakMemory: 3000, CacheBytes: 64, AttentionParameters: 150}},
		"sparse": {{Loss: 2.1, Parameters: 450, PeakMemory: 1000}},
	}
	for _, c := range []struct {
		e    Expect
		want float64
	}{
		{Expect{Measure: "gap_closed", Of: "loss", Arm: "sparse", From: "low", To: "full"}, 0.8},
		{Expect{Measure: "value", Of: "loss", Arm: "low"}, 2.5},
		{Expect{Measure: "difference", Of: "loss", Arm: "low", Than: "full"}, 0.5},
		{Expect{Measure: "ratio", Of: "perplexity", Arm: "sparse", Than: "full"}, math.Exp(0.1)},
		{Expect{Measure: "saved", Of: "parameters", Arm: "sparse", Than: "full"}, 0.55},
		{Expect{Measure: "saved", Of: "peak_memory", Arm: "sparse", Than: "full"}, 0.75},
		{Expect{Measure: "saved", Of: "cache_bytes", Arm: "low", Than: "full"}, 0.75},
		{Expect{Measure: "ratio", Of: "attention_parameters", Arm: "low", Than: "full"}, 0.5},
	} {
		f := c.e.Evaluate(runs)
		if f.Value == nil || math.Abs(*f.Value-c.want) > 1e-9 {
			t.Errorf("%s = %s, want %g", c.e, number(f.Value, "%g"), c.want)
		}
	}
}

func TestVerdicts(t *testing.T) {
	gap := Expect{Measure: "gap_closed", Of: "loss", Arm: "x", From: "low", To: "full", Bound: Bound{AtLeast: bound(0.8), Weak: bound(0.5)}}
	below := Expect{Measure: "difference", Of: "loss", Arm: "x", Than: "full", Bound: Bound{AtMost: bound(0)}}
	within := Expect{Measure: "difference", Of: "loss", Arm: "x", Than: "full", Bound: Bound{AtMost: bound(0.05)}}
	unseen := Expect{Measure: "standard_errors", Of: "loss", Arm: "x", Than: "full", Bound: Bound{AtMost: bound(2)}}
	saved := Expect{Measure: "saved", Of: "parameters", Arm: "x", Than: "full", Bound: Bound{AtLeast: bound(0.25)}}
	report := Expect{Measure: "difference", Of: "loss", Arm: "x", Than: "full"}
	full, low := losses(2.00, 2.01, 1.99), losses(3.00, 3.01, 2.99)
	for _, c := range []struct {
		name         string
		e            Expect
		x, low, full []Result
		want         Verdict
		reason       string
	}{
		{"closes the gap", gap, losses(2.05, 2.06, 2.04), low, full, Holds, ""},
		{"a difference in the noise", unseen, losses(2.06, 2.0, 1.98), low, full, Holds, ""},
		{"a small difference out of the noise", unseen, losses(2.03, 2.04, 2.021), low, full, Fails, ""},
		{"better, out of the noise", unseen, losses(1.93, 1.94, 1.921), low, full, Holds, ""},
		{"no difference at all", unseen, full, low, full, Holds, ""},
		{"one seed", unseen, losses(2.03), low, full, Inconclusive, "standard error is not known"},
		{"closes most of it", gap, losses(2.35, 2.36, 2.34), low, full, Weak, ""},
		{"closes little", gap, losses(2.7, 2.71, 2.69), low, full, Fails, ""},
		{"too near the bound to tell, surely above the weak one", gap, losses(2.1, 2.2, 2.3), low, full, Weak, ""},
		{"too noisy to tell", gap, losses(2.0, 2.3, 2.9), low, full, Inconclusive, ""},
		{"the gap itself is noise", gap, losses(2, 2, 2), losses(2.0, 2.3, 1.9), losses(2.1, 2.0, 2.0), Inconclusive, "under two standard errors"},
		{"no gap", gap, losses(2, 2, 2), full, low, Fails, "no gap to close"},
		{"one seed tells nothing of a loss", gap, losses(2.05), low[:1], full[:1], Inconclusive, "under two standard errors"},
		{"better", below, losses(1.9, 1.91, 1.89), nil, full, Holds, ""},
		{"worse", below, losses(2.1, 2.11, 2.09), nil, full, Fails, ""},
		{"a difference under two standard errors", below, losses(1.9, 2.1, 1.98), nil, full, Inconclusive, ""},
		{"as good, up to a margin", within, losses(2.001, 2.009, 1.991), nil, full, Holds, ""},
		{"equal is at most equal", below, full, nil, full, Holds, ""},
		{"diverged", below, []Result{{Loss: 1}, {Diverged: "step 3: the loss is NaN"}, {Loss: 1}}, nil, full, Inconclusive, "x diverged with seed 2"},
		{"enough parameters saved", saved, []Result{{Parameters: 75}}, nil, full[:1], Holds, ""},
		{"one parameter too many", saved, []Result{{Parameters: 76}}, nil, full[:1], Fails, ""},
		{"without a bound", report, losses(9, 9, 9), nil, full, Reported, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.e.Evaluate(map[string][]Result{"x": c.x, "low": c.low, "full": c.full})
			if f.Verdict != c.want || !strings.Contains(f.Reason, c.reason) || c.reason == "" && f.Reason != "" {
				t.Errorf("%s: value %s ± %s: verdict %s (%q), want %s (%q)", c.e, number(f.Value, "%g"), number(f.Error, "%g"), f.Verdict, f.Reason, c.want, c.reason)
			}
		})
	}
}

func TestUnknownPeakMemory(t *testing.T) {
	e := Expect{Measure: "saved", Of: "peak_memory", Arm: "x", Than: "y", Bound: Bound{AtLeast: bound(0.5)}}
	f := e.Evaluate(map[string][]Result{"x": losses(1), "y": losses(1)})
	if f.Verdict != Inconclusive || f.Value != nil || f.Reason == "" {
		t.Errorf("without a measurement: %+v, want inconclusive with a reason", f)
	}
}

func TestOverall(t *testing.T) {
	for _, c := range []struct {
		of   []Verdict
		want Verdict
	}{
		{[]Verdict{Holds, Reported}, Holds},
		{[]Verdict{Holds, Weak}, Weak},
		{[]Verdict{Weak, Inconclusive, Holds}, Inconclusive},
		{[]Verdict{Inconclusive, Fails, Holds}, Fails},
		{[]Verdict{Reported}, Reported},
	} {
		var findings []Finding
		for _, v := range c.of {
			findings = append(findings, Finding{Verdict: v})
		}
		if got := overall(findings); got != c.want {
			t.Errorf("overall(%v) = %s, want %s", c.of, got, c.want)
		}
	}
}
