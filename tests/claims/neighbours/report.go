package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/metrics/chart"
	"sparrow/tests/claims/interval"
	"sparrow/tests/claims/provenance"
)

// outcome is the claim's measurements, as they are written for machines.
type outcome struct {
	Title     string              `json:"title"`
	Statement string              `json:"statement"`
	Paper     string              `json:"paper"`
	Findings  []finding           `json:"findings"`
	Subjects  map[string]measures `json:"subjects"`
	Skipped   []string            `json:"skipped,omitempty"`
	Commit    string              `json:"commit"`
	Machine   provenance.Machine  `json:"machine"`
}

// finding is an expectation with what was measured: the mean over seeds and its 95% interval by Student's t.
type finding struct {
	Expect  string     `json:"expect"`
	Value   float64    `json:"value"`
	Between [2]float64 `json:"interval"`
	Verdict string     `json:"verdict"`
}

// judge measures all expectations about subjects that were measured.
func (o *outcome) judge(c *Claim) error {
	for _, e := range c.Expect {
		m, measured := o.Subjects[e.Subject]
		if !measured {
			continue
		}
		x := slices.Clone(m[e.Of])
		than := m[e.Than]
		if !c.quick && (len(x) == 0 || e.Than != "" && len(than) != len(x)) {
			return fmt.Errorf("%s: nothing was measured", e)
		}
		if len(x) == 0 || e.Than != "" && len(than) != len(x) {
			continue // another budget with --quick
		}
		for i := range x {
			if e.Than != "" {
				x[i] -= than[i]
			}
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
	return nil
}

// text is the outcome as Markdown.
func (o *outcome) text(c *Claim) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", c.Title)
	if c.quick {
		b.WriteString("A short form of tiny models, which shows that the machinery works and nothing else.\n\n")
	}
	fmt.Fprintf(&b, "> %s\n\n%s.\n\n| expected | measured, 95%% | verdict |\n|---|---|---|\n", o.Statement, o.Paper)
	for _, f := range o.Findings {
		fmt.Fprintf(&b, "| %s | %.3f (%.3f to %.3f) | %s |\n", f.Expect, f.Value, f.Between[0], f.Between[1], f.Verdict)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Subjects)) {
		o.subject(&b, c, name)
	}
	for _, s := range o.Skipped {
		fmt.Fprintf(&b, "\nLeft out: %s.\n", s)
	}
	fmt.Fprintf(&b, "\n%s, commit %.12s.\n", o.Machine, o.Commit)
	return b.String()
}

// subject writes the tables of a subject: recall of all methods by budget, for each k.
func (o *outcome) subject(b *strings.Builder, c *Claim, name string) {
	m := o.Subjects[name]
	fmt.Fprintf(b, "\n## %s\n\n", name)
	for _, head := range []string{"cls", "emb"} {
		share := mean(m["k_0.9 share "+head])
		fmt.Fprintf(b, "- k_0.9 of `[%s]`: %.2f of the queries.", strings.ToUpper(head), share)
		if share > 0.5 {
			b.WriteString(" More than half: CUR cannot work here.")
		}
		b.WriteString("\n")
	}
	for _, of := range []string{"gold@1 cross", "gold@1 random", "gold@1 bi", "spearman cross", "spearman bi", "spearman imported"} {
		if x := m[of]; len(x) > 0 {
			fmt.Fprintf(b, "- %s: %.3f.\n", of, mean(x))
		}
	}
	fmt.Fprintf(b, "- An index takes %.0f pairs, and distillation none beyond them but its training.\n", mean(m["pairs of the index"]))
	for _, k := range c.K {
		fmt.Fprintf(b, "\nRecall of the %d best, whose last stands %.2f standard deviations above the mean", k, mean(m[fmt.Sprintf("stands@%d", k)]))
		if mean(m[fmt.Sprintf("stands@%d", k)]) < 1 {
			b.WriteString(": undecided")
		}
		b.WriteString(". Behind it the share of queries whose own item is found, where one is known:\n\n| method |")
		for _, budget := range c.Budgets {
			fmt.Fprintf(b, " %d |", budget)
		}
		b.WriteString("\n|---|" + strings.Repeat("---:|", len(c.Budgets)) + "\n")
		for _, method := range o.methods(name) {
			fmt.Fprintf(b, "| %s |", method)
			for _, budget := range c.Budgets {
				x := m[fmt.Sprintf("recall@%d %s %d", k, method, budget)]
				if len(x) == 0 {
					b.WriteString(" |")
					continue
				}
				fmt.Fprintf(b, " %.3f", mean(x))
				if g := m[fmt.Sprintf("gold@%d %s %d", k, method, budget)]; len(g) > 0 {
					fmt.Fprintf(b, " / %.2f", mean(g))
				}
				b.WriteString(" |")
			}
			b.WriteString("\n")
		}
	}
}

// methods are those that a subject was searched by.
func (o *outcome) methods(subject string) (all []string) {
	for key := range o.Subjects[subject] {
		if fields := strings.Fields(key); fields[0] == "ms" && !slices.Contains(all, fields[1]) {
			all = append(all, fields[1])
		}
	}
	slices.Sort(all)
	return all
}

// draw draws recall over budgets, of the k next to the last, where methods differ most.
func (o *outcome) draw(c *Claim, path string) error {
	k := c.K[max(0, len(c.K)-2)]
	for _, name := range slices.Sorted(maps.Keys(o.Subjects)) {
		picture := chart.Chart{Title: fmt.Sprintf("%s: how many of the %d best are found", name, k), XLabel: "pairs scored", YLabel: "recall"}
		for i, method := range o.methods(name) {
			line := chart.Line{Name: method, Look: i, Dash: i / 8}
			for _, budget := range c.Budgets {
				if x := o.Subjects[name][fmt.Sprintf("recall@%d %s %d", k, method, budget)]; len(x) > 0 {
					line.X, line.Y = append(line.X, float64(budget)), append(line.Y, mean(x))
				}
			}
			picture.Lines = append(picture.Lines, line)
		}
		var out bytes.Buffer
		if err := picture.Write(&out); err != nil {
			return err
		}
		if err := checkpoints.WriteFileAtomic(strings.TrimSuffix(path, ".svg")+"-"+name+".svg", out.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v / float64(len(x))
	}
	return sum
}
