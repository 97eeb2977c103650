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
		{"the gap itself is noise", gap, losses(2, 2, 2), losses(2.0, 2.3, 1.9), losses(2.1, 2.0, 2.0), Inconclusive, "within its own interval"},
		{"no gap", gap, losses(2, 2, 2), full, low, Fails, "no gap to close"},
		{"one seed tells nothing of a loss", gap, losses(2.05), low[:1], full[:1], Inconclusive, "within its own interval"},
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

// TestIntervals: a verdict is certain by the 95% interval of as many seeds as there are, no narrower: 4.303 standard errors of
// three seeds, 2.776 of five. Values a hundredth inside of it tell nothing, those a hundredth outside do.
func TestIntervals(t *testing.T) {
	for seeds, critical := range map[int]float64{3: 4.302653, 5: 2.776445, 9: 2.306004} {
		for _, c := range []struct {
			off  float64 // in half widths
			want Verdict
		}{{-1.01, Holds}, {-0.99, Inconclusive}, {-0.4, Inconclusive}, {0.4, Inconclusive}, {0.99, Inconclusive}, {1.01, Fails}} {
			e := Expect{Measure: "difference", Of: "loss", Arm: "x", Than: "full", Bound: Bound{AtMost: bound(0)}}
			var x, full []float64
			for i := range seeds {
				full = append(full, 2)
				x = append(x, 2+0.01*float64(i-seeds/2))
			}
			_, spread := jackknife(map[string][]float64{"x": x}, false, func(m map[string]float64) float64 { return m["x"] })
			half := critical * spread
			for i := range x {
				x[i] += c.off * half
			}
			f := e.Evaluate(map[string][]Result{"x": losses(x...), "full": losses(full...)})
			if f.Verdict != c.want {
				t.Errorf("%d seeds, %g half widths above the bound: %s, want %s", seeds, c.off, f.Verdict, c.want)
			}
			if f.Interval == nil || math.Abs(f.Interval[1]-f.Interval[0]-2*half) > 1e-6 || math.Abs(f.Interval[1]+f.Interval[0]-2*c.off*half) > 1e-6 {
				t.Errorf("%d seeds: interval %v, want %g ± %g", seeds, f.Interval, c.off*half, half)
			}
			if wants := c.want == Inconclusive || seeds < leastSeeds; wants != (f.Wants != "") {
				t.Errorf("%d seeds, %s: wants %q", seeds, f.Verdict, f.Wants)
			}
		}
	}
}

// TestStandardErrors: a bound of two standard errors is the interval of as many seeds as there are.
func TestStandardErrors(t *testing.T) {
	unseen, seen := Bound{AtMost: bound(2)}, Bound{AtMost: bound(-2)}
	for _, c := range []struct {
		b     Bound
		value float64
		want  Verdict
	}{
		{unseen, -9, Holds}, {unseen, 2.5, Holds}, {unseen, 4.2, Holds}, {unseen, 4.4, Fails},
		{seen, -4.4, Holds}, {seen, -4.2, Inconclusive}, {seen, 1.4, Inconclusive}, {seen, 4.4, Fails},
	} {
		f := Finding{Verdict: Inconclusive}
		if c.b.settleErrors(&f, c.value, 3); f.Verdict != c.want || f.Wants == "" {
			t.Errorf("%g standard errors%s: %s (%s), want %s", c.value, c.b, f.Verdict, f.Wants, c.want)
		}
	}
}

// TestArithmetic: what follows from shapes stands apart and decides nothing, unless it is false.
func TestArithmetic(t *testing.T) {
	arms := map[string][]Result{"x": {{Loss: 1, Parameters: 50, CacheBytes: 10, PeakMemory: 5}}, "full": {{Loss: 1, Parameters: 100, CacheBytes: 20, PeakMemory: 10}}}
	for of, want := range map[string]bool{"parameters": true, "cache_bytes": true, "attention_parameters": true, "peak_memory": false, "loss": false} {
		if f := (Expect{Measure: "ratio", Of: of, Arm: "x", Than: "full"}).Evaluate(arms); f.Arithmetic != want {
			t.Errorf("%s is arithmetic: %t, want %t", of, f.Arithmetic, want)
		}
	}
	if got := overall([]Finding{{Verdict: Holds, Arithmetic: true}, {Verdict: Inconclusive}}); got != Inconclusive {
		t.Errorf("arithmetic beside an open line: %s", got)
	}
	if got := overall([]Finding{{Verdict: Holds, Arithmetic: true}, {Verdict: Reported}}); got != Reported {
		t.Errorf("arithmetic alone: %s, want only reported", got)
	}
	if got := overall([]Finding{{Verdict: Fails, Arithmetic: true}, {Verdict: Holds}}); got != Fails {
		t.Errorf("false arithmetic: %s", got)
	}
	var b strings.Builder
	findings := []Finding{{Expect: "counted", Verdict: Holds, Arithmetic: true}, {Expect: "trained", Verdict: Weak}}
	findingsTable(&b, findings, false)
	if s := b.String(); strings.Contains(s, "counted") || !strings.Contains(s, "trained") {
		t.Errorf("the first table:\n%s", s)
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
