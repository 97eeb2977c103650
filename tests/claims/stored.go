package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// storedDocument is the document of a claim that was written earlier, if it is of this very file; nil: there is none.
func (c *Claim) storedDocument(docs string) (*document, error) {
	path := filepath.Join(docs, c.Name+".json")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	d := &document{}
	if err == nil {
		err = json.Unmarshal(text, d)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errUsage, path, err)
	}
	if d.ConfigSHA256 != c.SHA256 {
		return nil, nil
	}
	for i := range d.PerSeed {
		for k := range d.PerSeed[i].Runs {
			if r := &d.PerSeed[i].Runs[k]; r.Commit == "" {
				r.Commit = d.Commit
			}
		}
	}
	return d, nil
}

// result is what a document keeps of a tuning run, as one that counts once one of its arm's runs was made again.
func (t tried) result(steps int, commit string) Result {
	r := Result{Steps: steps, Commit: commit}
	if t.Loss == nil {
		r.Diverged = "in an earlier run"
		return r
	}
	r.Loss = *t.Loss
	if t.Accuracy != nil {
		r.ValidationAccuracy = *t.Accuracy
	}
	return r
}

// adopt puts the results of an earlier document into the cache where it has none.
func (e *execution) adopt(ctx context.Context, docs string) error {
	d, err := e.claim.storedDocument(docs)
	if d == nil {
		return err
	}
	put := func(j job, r Result) error {
		key, err := e.key(ctx, j)
		if err != nil {
			return err
		}
		if _, ok := e.cache.load(key); ok {
			return nil
		}
		return e.cache.save(key, r)
	}
	for _, a := range d.PerSeed {
		arm := e.claim.arm(a.Arm)
		if arm < 0 {
			continue
		}
		for _, t := range a.Tuning {
			j, err := e.claim.tuningJob(arm, t.LearningRate)
			if err == nil {
				err = put(j, t.result(j.cfg.Train.Steps, d.Commit))
			}
			if err != nil {
				return err
			}
		}
		for i, r := range a.Runs {
			cfg, err := e.claim.Config(arm)
			if err != nil {
				return err
			}
			cfg.Seed, cfg.Train.LearningRate = uint64(i+1), a.LearningRate
			if err := put(job{arm, cfg, false}, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt is that of compressions, whose parents have been named.
func (e *compressions) adopt(docs string) error {
	d, err := e.claim.storedDocument(docs)
	if d == nil {
		return err
	}
	put := func(key string, r Result) error {
		if _, ok := e.cache.load(key); ok {
			return nil
		}
		return e.cache.save(key, r)
	}
	for _, a := range d.PerSeed {
		arm := e.claim.arm(a.Arm)
		for i, r := range a.Runs {
			if i >= len(e.parents) {
				break
			}
			key := e.parents[i].key
			if a.Arm != parentName {
				if arm < 0 {
					break
				}
				rate := 0.0
				if len(a.Tuning) > 0 {
					rate = a.LearningRate
				}
				if _, key, err = e.keyOf(compressJob{arm, i, a.Ratio, rate, false}); err != nil {
					return err
				}
			}
			if err := put(key, r); err != nil {
				return err
			}
		}
		if arm < 0 || a.Ratio != e.claim.compressTuningJob(arm, 0).ratio {
			continue
		}
		for _, t := range a.Tuning {
			_, key, err := e.keyOf(e.claim.compressTuningJob(arm, t.LearningRate))
			if err == nil {
				err = put(key, t.result(1, d.Commit))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeStored judges a claim again from the runs of its document: no run is made.
func (c *Claim) judgeStored(docs string) (*outcome, error) {
	d, err := c.storedDocument(docs)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fmt.Errorf("%w: %s has no result of this very claim; run it first", errUsage, filepath.Join(docs, c.Name+".json"))
	}
	o := &outcome{claim: c, commit: d.Commit, machine: d.Machine, arms: d.PerSeed, points: d.Points, stored: true, vetting: &vetting{repeated: d.Repeated}}
	c.Seeds = len(d.Seeds)
	for i := range o.points {
		o.points[i].measure, o.points[i].images = c.Sweep.Measure, c.seesImages()
	}
	switch {
	case c.Sweep != nil:
		o.arms = nil
		for _, e := range c.Sweep.Expect {
			o.findings = append(o.findings, e.Evaluate(o.points))
		}
	case c.Compress != nil:
		for _, e := range c.Compress.Expect {
			o.findings = append(o.findings, e.Evaluate(o.arms))
		}
	default:
		byArm := map[string][]Result{}
		for _, a := range o.arms {
			byArm[a.Arm] = a.Runs
		}
		for _, e := range c.Expect {
			o.findings = append(o.findings, e.Evaluate(byArm))
		}
	}
	o.verdict = overall(o.findings)
	return o, nil
}

// origin tells which commits made the results, which runs were made again to trust older ones, and whether any was.
func (o *outcome) origin() string {
	made := map[string]int{}
	older := 0
	note := func(commit, code string) {
		made[fmt.Sprintf("%.9s", commit)]++
		if o.vetting != nil && code != o.vetting.code {
			older++
		}
	}
	for _, a := range o.arms {
		for _, r := range a.Runs {
			note(r.Commit, r.Code)
		}
	}
	for _, p := range o.points {
		note(p.Commit, p.Code)
	}
	var commits []string
	for commit := range made {
		commits = append(commits, commit)
	}
	slices.Sort(commits)
	text := "Results by commit:"
	for i, commit := range commits {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(" %s (%d)", commit, made[commit])
	}
	text += "."
	if o.stored {
		text += " Judged again from these stored results; no run was made again for it."
	}
	if o.vetting != nil && len(o.vetting.repeated) > 0 {
		text += fmt.Sprintf(" Where the code has changed since, one run an arm was made again (loss then, loss now; results count within %g):", sameLoss)
		for i, r := range o.vetting.repeated {
			if i > 0 {
				text += ";"
			}
			text += fmt.Sprintf(" %s (%.7f, %.7f)", r.Run, r.Before, r.Now)
		}
		text += "."
	}
	return text
}

// claimsTable is docs/claims.md: a line for each claim in dir, also for those that have no result yet.
func claimsTable(dir, docs string) (string, error) {
	claims, err := loadClaims(dir, nil)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# What was promised, and what was found\n\n" +
		"Each claim of a paper is a file in `tests/claims`, with what is expected of it, committed before its first full run. A program trains or\n" +
		"times its networks, judges the result and writes its page. A verdict needs the 95% interval of Student's t, over paired seeds or over\n" +
		"rounds, on one side of the bound. `go run ./tests/claims lama-cost --dry-run` says what a claim runs and for how long;\n" +
		"`go run ./tests/claims --stored` judges all again from their stored results and writes this page.\n\n" +
		"| claim | the paper | ours, the line that decides | verdict | figure | command |\n|---|---|---|---|---|---|\n")
	for _, c := range claims {
		d, err := c.storedDocument(docs)
		if err != nil {
			return "", err
		}
		title := c.Name
		ours, verdict, figure := "not run yet", "-", "-"
		if d != nil {
			title = fmt.Sprintf("[%s](claims/%s.md)", c.Name, c.Name)
			ours, verdict = d.decides(), "**"+string(d.Verdict)+"**"
			figure = fmt.Sprintf("[svg](claims/%s.svg)", c.Name)
		}
		fmt.Fprintf(&b, "| %s: %s | %s | %s | %s | %s | `go run ./tests/claims %s` |\n", title, c.Statement, c.Paper, ours, verdict, figure, c.Name)
	}
	return b.String(), nil
}

// decides is the finding that the verdict comes from: the first with it that is more than arithmetic.
func (d *document) decides() string {
	for _, f := range d.Measured {
		if f.Verdict != d.Verdict || f.Arithmetic && f.Verdict != Fails {
			continue
		}
		text := fmt.Sprintf("%s; measured %s", f.Expect, number(f.Value, "%.4g"))
		if f.Interval != nil && f.Interval[0] != f.Interval[1] {
			text += fmt.Sprintf(" (%.4g to %.4g)", f.Interval[0], f.Interval[1])
		}
		if f.Wants != "" && f.Verdict == Inconclusive {
			text += "; " + f.Wants
		}
		return text
	}
	return "-"
}
