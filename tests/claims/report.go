package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/tests/claims/provenance"
)

// outcome is a claim with its measurements.
type outcome struct {
	claim    *Claim
	commit   string
	machine  provenance.Machine
	arms     []armRuns
	points   []Point // of a sweep, by batch, then by size
	findings []Finding
	verdict  Verdict
	vetting  *vetting // of its runs; nil: none is older than the code
	stored   bool     // judged again, with no run made
}

// armRuns are the runs of one arm.
type armRuns struct {
	Arm          string   `json:"arm"`
	Label        string   `json:"label"`
	Ratio        float64  `json:"ratio,omitempty"` // of a compression: share of bytes to remove; 0: the parent
	LearningRate float64  `json:"learning_rate"`
	Tuning       []tried  `json:"tuning,omitempty"`
	Runs         []Result `json:"runs"` // one a seed, from seed 1
}

// tried is a learning rate and what half the steps gave.
type tried struct {
	LearningRate float64  `json:"learning_rate"`
	Loss         *float64 `json:"loss"`               // nil: diverged
	Accuracy     *float64 `json:"accuracy,omitempty"` // of a classifier on the validation split, which decides
}

// document is NAME.json.
type document struct {
	Claim        string             `json:"claim"`
	Title        string             `json:"title"`
	Statement    string             `json:"statement"`
	Paper        string             `json:"paper"`
	Expected     []string           `json:"expected"`
	Measured     []Finding          `json:"measured"`
	PerSeed      []armRuns          `json:"per_seed"`
	Seeds        []int              `json:"seeds"`
	Points       []Point            `json:"points,omitempty"` // of a sweep, which has no seeds
	Verdict      Verdict            `json:"verdict"`
	Commit       string             `json:"commit"`
	ConfigSHA256 string             `json:"config_sha256"`
	Machine      provenance.Machine `json:"machine"`
	Repeated     []repeat           `json:"repeated,omitempty"` // runs made again because the code had changed
}

// tune takes what was tried and returns each arm's learning rate: the one with the
// lowest loss, of classifiers the highest validation accuracy, or the lowest if all
// diverged.
func (o *outcome) tune(grids []grid) []float64 {
	var chosen []float64
	for i, a := range o.claim.Arms {
		runs := armRuns{Arm: a.Name, Label: a.title()}
		runs.LearningRate, runs.Tuning = o.claim.choose(grids[i])
		o.arms = append(o.arms, runs)
		chosen = append(chosen, runs.LearningRate)
	}
	return chosen
}

// conclude takes the results of the runs that count and computes the verdict.
func (o *outcome) conclude(results []Result) {
	byArm := map[string][]Result{}
	for i, a := range o.claim.Arms {
		if len(o.arms) == i { // not tuned
			cfg, _ := o.claim.Config(i) // it was validated
			o.arms = append(o.arms, armRuns{Arm: a.Name, Label: a.title(), LearningRate: cfg.Train.LearningRate})
		}
		o.arms[i].Runs = results[:o.claim.Seeds]
		byArm[a.Name] = o.arms[i].Runs
		results = results[o.claim.Seeds:]
	}
	for _, e := range o.claim.Expect {
		o.findings = append(o.findings, e.Evaluate(byArm))
	}
	o.verdict = overall(o.findings)
}

// report is the outcome for machines.
func (o *outcome) report() document {
	d := document{
		Claim: o.claim.Name, Title: o.claim.Title, Statement: o.claim.Statement, Paper: o.claim.Paper, Measured: o.findings,
		PerSeed: o.arms, Verdict: o.verdict, Commit: o.commit, ConfigSHA256: o.claim.SHA256, Machine: o.machine,
	}
	if o.vetting != nil {
		d.Repeated = o.vetting.repeated
	}
	if s := o.claim.Sweep; s != nil {
		for _, e := range s.Expect {
			d.Expected = append(d.Expected, e.String())
		}
		d.PerSeed, d.Seeds, d.Points = []armRuns{}, []int{}, o.points
		return d
	}
	for _, e := range o.claim.Expect {
		d.Expected = append(d.Expected, e.String())
	}
	if s := o.claim.Compress; s != nil {
		for _, e := range s.Expect {
			d.Expected = append(d.Expected, e.String())
		}
	}
	for i := range o.claim.Seeds {
		d.Seeds = append(d.Seeds, i+1)
	}
	return d
}

// mean is a metric's mean over seeds and its standard error; ok is false if a run diverged.
func (a armRuns) mean(metric string) (mean, spread float64, ok bool) {
	var values []float64
	for _, r := range a.Runs {
		if r.Diverged != "" {
			return 0, 0, false
		}
		values = append(values, metrics[metric].value(r))
	}
	mean, spread = jackknife(map[string][]float64{a.Arm: values}, false, func(m map[string]float64) float64 { return m[a.Arm] })
	return mean, spread, true
}

// parameters is the arm's number of trained values, of any run that ended.
func (a armRuns) parameters() int {
	n := 0
	for _, r := range a.Runs {
		n = max(n, r.Parameters)
	}
	return n
}

// peakMemory is the largest of the arm's runs, bytes.
func (a armRuns) peakMemory() int {
	n := 0
	for _, r := range a.Runs {
		n = max(n, r.PeakMemory)
	}
	return n
}

// number writes a value that may not be known.
func number(x *float64, format string) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf(format, *x)
}

// text is the outcome as Markdown, without the figure.
func (o *outcome) text(quick bool) string {
	var b strings.Builder
	c := o.claim
	fmt.Fprintf(&b, "# %s\n\n", c.Title)
	if quick {
		what := "A few steps of a small network"
		if c.Sweep != nil {
			what = "A few moments of small networks"
		}
		b.WriteString(what + ", to check the machinery: the numbers and the verdict mean nothing.\n\n")
	}
	fmt.Fprintf(&b, "%s\n\nPaper: %s\n\n**Verdict: %s.**\n\n", c.Statement, c.Paper, o.verdict)
	findingsTable(&b, o.findings, false)
	if slices.ContainsFunc(o.findings, func(f Finding) bool { return f.Arithmetic }) {
		b.WriteString("True or false by arithmetic, whatever trains, and so no part of the verdict unless false:\n\n")
		findingsTable(&b, o.findings, true)
	}
	if c.Sweep != nil {
		o.sweepTables(&b)
		return b.String()
	}
	if c.Compress != nil {
		o.compressionTables(&b)
		return b.String()
	}
	switch {
	case c.ranks():
		o.rankingTable(&b)
	case c.classifies():
		o.classifiersTable(&b)
		if c.seesImages() {
			o.imagesTables(&b)
		}
	default:
		o.runsTable(&b)
	}
	o.tuningTable(&b)
	return b.String()
}

// findingsTable has a line for each finding that is arithmetic, or for each that is not.
func findingsTable(b *strings.Builder, findings []Finding, arithmetic bool) {
	b.WriteString("| expected | measured | standard error | 95% interval | verdict |\n|---|---|---|---|---|\n")
	for _, f := range findings {
		if f.Arithmetic != arithmetic {
			continue
		}
		verdict := string(f.Verdict)
		if f.Reason != "" {
			verdict += ": " + f.Reason
		}
		if f.Wants != "" {
			verdict += "; " + f.Wants
		}
		between := "-"
		if f.Interval != nil {
			between = fmt.Sprintf("%.4g to %.4g", f.Interval[0], f.Interval[1])
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", f.Expect, number(f.Value, "%.4g"), number(f.Error, "%.2g"), between, verdict)
	}
	b.WriteString("\n")
}

// runsTable has a line for each arm.
func (o *outcome) runsTable(b *strings.Builder) {
	cache := o.cachesDiffer()
	b.WriteString("| network | parameters |")
	if cache {
		b.WriteString(" of attention | cache, bytes a token |")
	}
	b.WriteString(" peak memory, MB | learning rate |")
	for i := range o.claim.Seeds {
		fmt.Fprintf(b, " seed %d |", i+1)
	}
	b.WriteString(" loss, nats | standard error | perplexity | minutes a run |\n|---|---|---|---|" + strings.Repeat("---|", o.claim.Seeds) + "---|---|---|---|")
	if cache {
		b.WriteString("---|---|")
	}
	b.WriteString("\n")
	for _, a := range o.arms {
		fmt.Fprintf(b, "| %s | %d |", a.Label, a.parameters())
		if cache {
			fmt.Fprintf(b, " %d | %d |", a.Runs[0].AttentionParameters, a.Runs[0].CacheBytes)
		}
		fmt.Fprintf(b, " %s | %g |", megabytes(a.peakMemory()), a.LearningRate)
		var seconds float64
		for _, r := range a.Runs {
			seconds += r.Seconds / float64(len(a.Runs))
			if r.Diverged != "" {
				b.WriteString(" diverged |")
				continue
			}
			fmt.Fprintf(b, " %.4f |", r.Loss)
		}
		mean, spread, ok := a.mean("loss")
		if !ok {
			b.WriteString(" - | - | - |")
		} else {
			fmt.Fprintf(b, " %.4f | %s | %.3f |", mean, number(finite(spread), "%.4f"), math.Exp(mean))
		}
		fmt.Fprintf(b, " %.1f |\n", seconds/60)
	}
	b.WriteString("\n")
}

// cachesDiffer says whether the arms are attentions that decode from caches of
// different sizes.
func (o *outcome) cachesDiffer() bool {
	return slices.ContainsFunc(o.arms, func(a armRuns) bool { return a.Runs[0].CacheBytes != o.arms[0].Runs[0].CacheBytes })
}

func megabytes(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f", float64(n)/1e6)
}

// method says how the numbers came about.
func (o *outcome) method() string {
	c := o.claim
	if c.Sweep != nil {
		return o.sweepMethod()
	}
	if c.Compress != nil {
		return o.compressionMethod()
	}
	if c.classifies() {
		return o.classifiersMethod()
	}
	if c.ranks() {
		return o.rankingMethod()
	}
	last := c.Run.Train
	tokens := last.Steps * last.BatchSize * last.GradAccum * c.Run.Data.SeqLen()
	return fmt.Sprintf("%d steps of %d tokens (%d in all) a run, validation on %d tokens of held-out text, %s; each run is a process, "+
		"and its peak memory is the largest resident memory of that process. A verdict needs the 95%% interval of Student's t, from leaving out one seed at a time, on one side of the bound.\n\n"+
		"Machine: %s. %s Config: tests/claims/%s.toml, SHA-256 %.12s.\n\n    go run ./tests/claims %s\n",
		last.Steps, tokens/last.Steps, tokens, c.Run.Eval.Tokens, threadsText(c), o.machine, o.origin(), c.Name, c.SHA256, c.Name)
}

// analysis is the heading below which a person writes; what stands there is kept.
const analysis = "\n## Analysis\n"

// write makes NAME.json, NAME.svg and NAME.md in dir.
func (o *outcome) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, o.claim.Name)
	text, err := json.MarshalIndent(o.report(), "", "  ")
	if err != nil {
		return err
	}
	if err := checkpoints.WriteFileAtomic(path+".json", append(text, '\n')); err != nil {
		return err
	}
	svg, err := o.figure()
	if err != nil {
		return err
	}
	if err := checkpoints.WriteFileAtomic(path+".svg", svg); err != nil {
		return err
	}
	md := fmt.Sprintf("%s![%s](%s.svg)\n\n%s", o.text(false), o.claim.Title, o.claim.Name, o.method())
	if old, err := os.ReadFile(path + ".md"); err == nil {
		if _, written, ok := strings.Cut(string(old), analysis); ok {
			md += analysis + written
		}
	}
	return checkpoints.WriteFileAtomic(path+".md", []byte(md))
}
