package main

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/tests/claims/interval"
	"sparrow/tests/claims/provenance"
)

// outcome is the claim with its measurements.
type outcome struct {
	claim    *Claim
	commit   string
	machine  provenance.Machine
	cells    []result
	joined   []joining
	missing  []string
	findings []finding
}

type result struct {
	Cell    cell       `json:"cell"`
	Methods []measured `json:"methods"`
}

// joining is which classes became one, and what k-means of the features found of them on the part that chose them.
type joining struct {
	Subject string   `json:"subject"`
	Classes []string `json:"classes"`
	Blind   float64  `json:"blind"`
}

// finding is an expectation with what was measured: the mean over seeds and its 95% interval by Student's t, each seed the mean of its
// cells.
type finding struct {
	Expect  string     `json:"expect"`
	Value   float64    `json:"value"`
	Between [2]float64 `json:"interval"`
	Verdict string     `json:"verdict"`
}

func (e Expect) String() string {
	s := fmt.Sprintf("%s of %s", e.Of, e.Method)
	if e.Than != "" {
		s += " minus that of " + e.Than
	}
	if e.Subject != "" {
		s += " on " + e.Subject
	}
	if e.Joined {
		s += ", pairs of classes as one"
	}
	if e.Alpha != 0 {
		s += fmt.Sprintf(", alpha %g", e.Alpha)
	}
	if e.AtMost != 0 {
		return s + fmt.Sprintf(": at most %g", e.AtMost)
	}
	return s + fmt.Sprintf(": at least %g", e.AtLeast)
}

// in tells whether a cell is one that an expectation is about.
func (e Expect) in(r result) bool {
	c := r.Cell
	return c.Joined == e.Joined && (e.Subject == "" || e.Subject == c.Subject) && (e.Alpha == 0 || e.Alpha == c.Alpha) &&
		slices.ContainsFunc(r.Methods, func(m measured) bool { return m.Method == e.Method })
}

// value is what an expectation is about, in one cell.
func (e Expect) value(r result) float64 {
	of := func(name string) float64 {
		m := r.Methods[slices.IndexFunc(r.Methods, func(m measured) bool { return m.Method == name })]
		if e.Of == "distance" {
			return m.Distance
		}
		return m.Accuracy
	}
	if e.Than == "" {
		return of(e.Method)
	}
	return of(e.Method) - of(e.Than)
}

// judge measures all expectations.
func (o *outcome) judge() {
	for _, e := range o.claim.Expect {
		sums, counts := make([]float64, o.claim.Seeds), make([]float64, o.claim.Seeds)
		for _, r := range o.cells {
			if e.in(r) {
				sums[r.Cell.Seed-1] += e.value(r)
				counts[r.Cell.Seed-1]++
			}
		}
		sums = sums[:len(counts)-len(slices.DeleteFunc(slices.Clone(counts), func(n float64) bool { return n > 0 }))] // the first seeds alone may have it
		f := finding{Expect: e.String(), Verdict: "not measured"}
		if counts[0] > 0 {
			for i := range sums {
				sums[i] /= counts[i]
			}
			mean, half := interval.Mean(sums)
			f.Value, f.Between = mean, [2]float64{mean - half, mean + half}
			f.Verdict = verdict(e, f.Between)
		}
		o.findings = append(o.findings, f)
	}
}

// verdict holds where the whole interval is on the right side of the bound, fails where it is on the wrong one.
func verdict(e Expect, between [2]float64) string {
	low, high, bound := between[0], between[1], e.AtLeast
	if e.AtMost != 0 {
		low, high, bound = -between[1], -between[0], -e.AtMost
	}
	return interval.Judge(low, high, bound)
}

// report is the outcome for machines.
func (o *outcome) report() any {
	return struct {
		Title    string             `json:"title"`
		Paper    string             `json:"paper"`
		Findings []finding          `json:"findings"`
		Joined   []joining          `json:"joined"`
		Missing  []string           `json:"missing"`
		Cells    []result           `json:"cells"`
		Commit   string             `json:"commit"`
		Machine  provenance.Machine `json:"machine"`
	}{o.claim.Title, o.claim.Paper, o.findings, o.joined, o.missing, o.cells, o.commit, o.machine}
}

// text is the outcome as Markdown.
func (o *outcome) text(quick bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", o.claim.Title)
	if quick {
		b.WriteString("A few small cells, to check the machinery: the numbers mean nothing.\n\n")
	}
	fmt.Fprintf(&b, "%s\n\nPaper: %s\n\n", o.claim.Statement, o.claim.Paper)
	if len(o.missing) > 0 {
		fmt.Fprintf(&b, "Not on this machine: %s.\n\n", strings.Join(o.missing, ", "))
	}
	b.WriteString("| expected | measured | 95% interval | verdict |\n|---|---|---|---|\n")
	for _, f := range o.findings {
		fmt.Fprintf(&b, "| %s | %.4f | %.4f to %.4f | %s |\n", f.Expect, f.Value, f.Between[0], f.Between[1], f.Verdict)
	}
	fmt.Fprintf(&b, "\nAccuracy on held out examples and, in brackets, L1 error of the shares; means of %d seeds.\n\n| data | classes | alpha | domains |", o.claim.Seeds)
	columns := append(slices.Clone(methods), trained)
	for _, m := range columns {
		fmt.Fprintf(&b, " %s |", strings.ReplaceAll(m, "|", "\\|"))
	}
	b.WriteString("\n|---|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for first := 0; first < len(o.cells); first += o.claim.Seeds {
		group := o.cells[first : first+o.claim.Seeds]
		c := group[0].Cell
		name := c.Subject
		if c.Joined {
			name += ", joined"
		}
		fmt.Fprintf(&b, "| %s | %d | %g | %d |", name, c.Classes, c.Alpha, c.Domains)
		for _, method := range columns {
			var accuracy, distance, n float64
			refused := 0
			for _, r := range group {
				for _, m := range r.Methods {
					if m.Method != method {
						continue
					}
					n++
					accuracy += m.Accuracy
					distance += m.Distance
					if m.Refused != "" {
						refused++
					}
				}
			}
			if n == 0 {
				b.WriteString(" - |")
				continue
			}
			fmt.Fprintf(&b, " %.3f (%.2f)", accuracy/n, distance/n)
			if refused > 0 {
				fmt.Fprintf(&b, ", %d refused", refused)
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	if len(o.joined) > 0 {
		b.WriteString("\nJoined, so that k-means of the features finds least on a part that is not measured:\n\n")
		for _, j := range o.joined {
			fmt.Fprintf(&b, "- %s: %s; k-means there %.3f\n", j.Subject, strings.Join(j.Classes, "| "), j.Blind)
		}
	}
	fmt.Fprintf(&b, "\nThe discriminator is a linear head on frozen features, fitted on 70%% of the examples: vectors of a sentence encoder of texts cut to %d words, or %d random waves of %d directions of most variance of images. Cells are as many as classes. Commit %.9s, %s.\n", mostWords, waves, directions, o.commit, o.machine.CPU)
	return b.String()
}
