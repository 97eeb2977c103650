package main

import (
	"fmt"
	"slices"
	"strings"

	"sparrow/metrics/chart"
	"sparrow/train/stf"
)

// point names an arm at a ratio.
func (a armRuns) point() string {
	if a.Arm == parentName {
		return parentName
	}
	return fmt.Sprintf("%s with %s fewer bytes", a.Arm, ratioText(a.Ratio))
}

// concludeCompression takes what was measured and computes the verdict. The parent comes first, then each arm at its ratios.
func (o *outcome) concludeCompression(parents []parent, rates []float64, tables [][]tried, results []Result) {
	c := o.claim
	whole := armRuns{Arm: parentName, Label: "not compressed", LearningRate: c.Run.Train.LearningRate}
	dense := 0 // the same in all points but those that diverged
	for _, r := range results {
		dense = max(dense, r.DenseBytes)
	}
	for _, p := range parents {
		r := p.result
		r.Bytes, r.DenseBytes = dense, dense
		whole.Runs = append(whole.Runs, r)
	}
	o.arms = []armRuns{whole}
	for i, a := range c.Arms {
		for _, ratio := range c.ratios(i) {
			o.arms = append(o.arms, armRuns{Arm: a.Name, Label: a.title(), Ratio: ratio, LearningRate: rates[i], Tuning: tables[i], Runs: results[:c.Seeds]})
			results = results[c.Seeds:]
		}
	}
	for _, e := range c.Compress.Expect {
		o.findings = append(o.findings, c.Compress.Gate.evaluate(e, o.arms))
	}
	o.verdict = overall(o.findings)
}

// armPoints are an arm's, by ratio.
func (o *outcome) armPoints(name string) []armRuns {
	var mine []armRuns
	for _, a := range o.arms {
		if a.Arm == name {
			mine = append(mine, a)
		}
	}
	return mine
}

// allRatios are those of any arm, ascending.
func (o *outcome) allRatios() []float64 {
	var all []float64
	for _, a := range o.arms[1:] {
		all = append(all, a.Ratio)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// compressionTables have a line for each arm and a column for each ratio.
func (o *outcome) compressionTables(b *strings.Builder) {
	ratios := o.allRatios()
	table := func(what string, cell func(armRuns) string) {
		fmt.Fprintf(b, "%s; columns are shares of the layers' bytes that are removed, indices counted:\n\n| network |", what)
		for _, ratio := range ratios {
			mark := ""
			if !o.claim.Compress.Gate.passes(o.arms, ratio) {
				mark = ", shut"
			}
			fmt.Fprintf(b, " %s%s |", ratioText(ratio), mark)
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(ratios)) + "\n")
		for _, a := range o.claim.Arms {
			fmt.Fprintf(b, "| %s |", a.title())
			mine := o.armPoints(a.Name)
			for _, ratio := range ratios {
				text := "-"
				if at := slices.IndexFunc(mine, func(p armRuns) bool { return p.Ratio == ratio }); at >= 0 {
					text = cell(mine[at])
				}
				fmt.Fprintf(b, " %s |", text)
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	withError := func(metric string, scale float64, digits int) func(armRuns) string {
		return func(a armRuns) string {
			mean, spread, ok := a.mean(metric)
			if !ok {
				return "diverged"
			}
			text := fmt.Sprintf("%.*f", digits, scale*mean)
			if x := finite(scale * spread); x != nil {
				text += fmt.Sprintf(" ± %.*f", digits, *x)
			}
			return text
		}
	}
	whole := o.arms[0]
	loss := withError("loss", 1, 4)
	table(fmt.Sprintf("Loss on held-out data, nats, with its standard error (not compressed: %s)", loss(whole)), loss)
	if o.claim.classifies() {
		accuracy := withError("accuracy", 100, 2)
		table(fmt.Sprintf("Accuracy on the test split, %%, with its standard error (not compressed: %s)", accuracy(whole)), accuracy)
	}
	table(fmt.Sprintf("Bytes of the layers, counted in the checkpoint (not compressed: %d)", whole.Runs[0].Bytes), func(a armRuns) string {
		mean, _, ok := a.mean("layer_bytes")
		if !ok {
			return "-"
		}
		return fmt.Sprintf("%.0f", mean)
	})
	if g := o.claim.Compress.Gate; g != nil {
		fmt.Fprintf(b, "No verdict uses a ratio that is shut: there %s, whose basis is drawn, loses less than %g of the %s.\n\n", g.Arm, g.Loses, g.Of)
	}
	o.changedTable(b)
	o.compressionRates(b)
}

// changedTable has the supports that STF changed in each tenth of fine-tuning, means over seeds, with a line for each fine-tuned arm
// and ratio. An arm that changes under 1% is called frozen, whatever its config says.
func (o *outcome) changedTable(b *strings.Builder) {
	var lines []string
	known := false
	for _, a := range o.arms[1:] {
		if !o.claim.tuned(o.claim.arm(a.Arm)) {
			continue
		}
		label := fmt.Sprintf("%s, %s", a.Label, ratioText(a.Ratio))
		mean := a.changed()
		if mean == nil {
			lines = append(lines, fmt.Sprintf("| %s |%s\n", label, strings.Repeat(" - |", stf.Tenths+1)))
			continue
		}
		known = true
		if mean.Frozen() {
			label += " (frozen: under 1% changed)"
		}
		line := fmt.Sprintf("| %s |", label)
		for _, x := range mean {
			line += fmt.Sprintf(" %.2f |", 100*x)
		}
		lines = append(lines, fmt.Sprintf("%s %.2f |\n", line, 100*mean.Total()))
	}
	if !known {
		return
	}
	b.WriteString("Share of supports that STF changed, %, in each tenth of fine-tuning and in all; - is an arm without STF:\n\n| network |")
	for i := range stf.Tenths {
		fmt.Fprintf(b, " %d |", i+1)
	}
	b.WriteString(" all |\n|---|" + strings.Repeat("---|", stf.Tenths+1) + "\n" + strings.Join(lines, "") + "\n")
}

// changed is the mean over seeds of what STF changed; nil: none of the runs had latent values, or one does not tell.
func (a armRuns) changed() stf.Changed {
	mean := make(stf.Changed, stf.Tenths)
	for _, r := range a.Runs {
		if r.Changed == nil {
			return nil
		}
		for i, x := range r.Changed {
			mean[i] += x / float64(len(a.Runs))
		}
	}
	return mean
}

// compressionRates has what the learning rates of fine-tuned arms gave.
func (o *outcome) compressionRates(b *strings.Builder) {
	var first []armRuns // of each fine-tuned arm
	for _, a := range o.claim.Arms {
		if mine := o.armPoints(a.Name); len(mine[0].Tuning) > 0 {
			first = append(first, mine[len(mine)/2])
		}
	}
	if len(first) > 0 {
		tuned := &outcome{claim: o.claim, arms: first}
		tuned.tuningTable(b)
	}
}

// compressionMethod says how the numbers came about.
func (o *outcome) compressionMethod() string {
	c := o.claim
	data := fmt.Sprintf("Losses are on %d tokens of held-out text", c.Run.Eval.Tokens)
	if c.classifies() {
		data = fmt.Sprintf("Losses and accuracies are on %s examples of the test split, learning rates are chosen by the validation split", countOrAll(c.Run.Eval.Examples))
	}
	return fmt.Sprintf("One network a seed is trained, %d steps, and compressed by all arms at all ratios, each time from the trained one, by what compress run does; %s. "+
		"%s. Bytes are those of the layers that are compressed, values and indices, counted in the checkpoints; they are never above the budget. "+
		"Equal loss is looked for between ratios by lines over log bytes. A verdict needs the 95%% interval of Student's t, from leaving out one seed at a time, on one side of the bound.\n\n"+
		"Machine: %s. %s Config: tests/claims/%s.toml, SHA-256 %.12s.\n\n    go run ./tests/claims %s\n",
		c.Run.Train.Steps, threadsText(c), data, o.machine, o.origin(), c.Name, c.SHA256, c.Name)
}

// drawFrontiers draws each arm's loss over its bytes, both by their logarithms; lines of fine-tuned arms have dashes.
func (o *outcome) drawFrontiers(c *chart.Chart) {
	c.LogX, c.LogY, c.XLabel, c.YLabel = true, true, "bytes of the layers", "loss on held-out data (nats)"
	drawn := [2]int{} // how many arms, one-shot and fine-tuned
	for i, a := range o.claim.Arms {
		kind := 0
		if o.claim.tuned(i) {
			kind = 1
		}
		line := chart.Line{Name: a.title(), Look: drawn[kind], Dash: kind}
		for _, at := range o.armPoints(a.Name) {
			y, _, ok := at.mean("loss")
			if !ok {
				continue // the table tells of it
			}
			x, _, _ := at.mean("layer_bytes")
			line.X, line.Y = append(line.X, x), append(line.Y, y)
		}
		if len(line.X) == 0 {
			continue
		}
		drawn[kind]++
		c.Lines = append(c.Lines, line)
	}
	dense, _, _ := o.arms[0].mean("layer_bytes")
	loss, _, _ := o.arms[0].mean("loss")
	c.Lines = append(c.Lines, chart.Line{Name: o.arms[0].Label, X: []float64{dense}, Y: []float64{loss}, Look: chart.Ink, Dash: chart.None})
}
