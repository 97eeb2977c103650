package main

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/tests/claims/interval"
	"sparrow/tests/claims/provenance"
)

// outcome is a claim's measurements, as they are written for machines.
type outcome struct {
	Title    string             `json:"title"`
	Paper    string             `json:"paper"`
	Findings []finding          `json:"findings"`
	Cells    []Result           `json:"cells"`
	Tried    []Result           `json:"tried"`
	Commit   string             `json:"commit"`
	Machine  provenance.Machine `json:"machine"`
}

// finding is an expectation with what was measured: the mean over seeds and its 95% interval by Student's t.
type finding struct {
	Expect  string     `json:"expect"`
	Value   float64    `json:"value"`
	Between [2]float64 `json:"interval"`
	Verdict string     `json:"verdict"`
}

// of are an arm's results, by seed.
func (o *outcome) of(arm string) []Result {
	return slices.DeleteFunc(slices.Clone(o.Cells), func(r Result) bool { return r.Arm != arm })
}

// value is a measure of a result at a step.
func (e Expect) value(c *Claim, r Result) float64 {
	loss := r.Losses[slices.Index(c.Steps, e.At)]
	switch e.Of {
	case "new":
		return loss.New
	case "bits":
		return loss.Bits
	case "rise":
		return r.Rise
	}
	return loss.Nats
}

// judge measures all expectations.
func (o *outcome) judge(c *Claim) {
	for _, e := range c.Expect {
		var x []float64
		arm, than, less := o.of(e.Arm), o.of(e.Than), o.of(e.LessOf)
		for i := range arm {
			v := e.value(c, arm[i])
			if e.Than != "" {
				v = e.value(c, than[i]) - v
			}
			if e.LessOf != "" {
				v -= e.Less * (e.value(c, less[i]) - e.value(c, arm[i]))
			}
			x = append(x, v)
		}
		mean, half := interval.Mean(x)
		f := finding{Expect: e.String(), Value: mean, Between: [2]float64{mean - half, mean + half}}
		if e.AtMost != nil {
			f.Verdict = interval.Judge(-f.Between[1], -f.Between[0], -*e.AtMost)
		} else {
			f.Verdict = interval.Judge(f.Between[0], f.Between[1], *e.AtLeast)
		}
		o.Findings = append(o.Findings, f)
	}
}

// text is the outcome as Markdown.
func (o *outcome) text(c *Claim, quick bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", c.Title)
	if quick {
		b.WriteString("A few steps, to check the machinery: the numbers mean nothing.\n\n")
	}
	fmt.Fprintf(&b, "%s\n\nPaper: %s\n\n", c.Statement, c.Paper)
	b.WriteString("| expected | measured | 95% interval | verdict |\n|---|---|---|---|\n")
	for _, f := range o.Findings {
		fmt.Fprintf(&b, "| %s | %.4f | %.4f to %.4f | %s |\n", f.Expect, f.Value, f.Between[0], f.Between[1], f.Verdict)
	}
	unit, new := "nats a token", o.Cells[0].Losses[0].New > 0
	if c.Pairs != nil {
		unit = "bits a byte"
	}
	fmt.Fprintf(&b, "\nIn %s", unit)
	if new {
		b.WriteString(" and, after the stroke, of new tokens")
	}
	fmt.Fprintf(&b, "; means of %d seeds.\n\n| start | rank (squares kept) | parameters | copied, mixed, drawn | rate | s a step |", c.Seeds)
	for _, n := range c.Steps {
		fmt.Fprintf(&b, " %d steps |", n)
	}
	b.WriteString("\n|---|---|---|---|---|---|" + strings.Repeat("---|", len(c.Steps)) + "\n")
	for _, arm := range c.Arms {
		all := o.of(arm.Name)
		r := all[0]
		rank := "one table"
		if r.Rank > 0 {
			rank = fmt.Sprintf("%d (%.1f%%)", r.Rank, 100*r.Kept)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d, %d, %d | %.3g | %.3f |", arm.Name, rank, r.Parameters, r.Copied, r.Similar, r.Fallen, r.Rate, r.StepTime)
		for i := range c.Steps {
			var mean, fresh float64
			for _, r := range all {
				if c.Pairs != nil {
					mean += r.Losses[i].Bits / float64(len(all))
				} else {
					mean += r.Losses[i].Nats / float64(len(all))
				}
				fresh += r.Losses[i].New / float64(len(all))
			}
			fmt.Fprintf(&b, " %.4f", mean)
			if new && fresh > 0 {
				fmt.Fprintf(&b, " / %.3f", fresh)
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\nRates were chosen with the first seed on texts that are not reported, after the last step:\n\n")
	for _, arm := range c.Arms {
		fmt.Fprintf(&b, "- %s:", arm.Name)
		for _, r := range o.Tried {
			if r.Arm == arm.Name {
				fmt.Fprintf(&b, " %.3g gives %.4f;", r.Rate, r.Losses[0].Nats)
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nCommit %.9s, %s.\n", o.Commit, o.Machine)
	return b.String()
}
