package main

import (
	"fmt"
	"strings"

	"sparrow/data/images"
)

// countOrAll says how many of something count, where 0 is all.
func countOrAll(n int) string {
	if n == 0 {
		return "all"
	}
	return fmt.Sprintf("at most %d", n)
}

// classifiersTable has a line for each arm.
func (o *outcome) classifiersTable(b *strings.Builder) {
	b.WriteString("| network | parameters | of attention | peak memory, MB | learning rate |")
	for i := range o.claim.Seeds {
		fmt.Fprintf(b, " seed %d |", i+1)
	}
	b.WriteString(" test accuracy | standard error | validation loss | seconds an epoch | minutes a run |\n|" +
		strings.Repeat("---|", o.claim.Seeds+10) + "\n")
	for _, a := range o.arms {
		fmt.Fprintf(b, "| %s | %d | %d | %s | %g |", a.Label, a.parameters(), a.Runs[0].AttentionParameters, megabytes(a.peakMemory()), a.LearningRate)
		var seconds float64
		for _, r := range a.Runs {
			seconds += r.Seconds / float64(len(a.Runs))
			if r.Diverged != "" {
				b.WriteString(" diverged |")
				continue
			}
			fmt.Fprintf(b, " %.2f%% |", 100*r.Accuracy)
		}
		if mean, spread, ok := a.mean("accuracy"); !ok {
			b.WriteString(" - | - | - | - |")
		} else {
			loss, _, _ := a.mean("loss")
			epoch, _, _ := a.mean("epoch_seconds")
			share := "-"
			if x := finite(100 * spread); x != nil {
				share = fmt.Sprintf("%.2f%%", *x)
			}
			fmt.Fprintf(b, " %.2f%% | %s | %.4f | %.1f |", 100*mean, share, loss, epoch)
		}
		fmt.Fprintf(b, " %.1f |\n", seconds/60)
	}
	b.WriteString("\n")
}

// classifiersMethod says how the numbers came about.
func (o *outcome) classifiersMethod() string {
	c, t := o.claim, o.claim.Run.Train
	spoilt := ""
	if c.seesImages() {
		spoilt = fmt.Sprintf(" Spoilt are %s of the test split, in %d ways of %d severities each, drawn from the run's seed, so that all networks of a seed see the same.",
			countOrAll(c.Run.Eval.Examples), len(images.Corruptions), images.Severities)
	}
	return fmt.Sprintf("%d steps of %d examples a run, %s; each run is a process, and its peak memory is the largest resident memory of that "+
		"process while it trained. Learning rates are chosen on the validation split, which is held out of the training data; the test split is "+
		"looked at once, by the runs in the table of networks, after their last step. Seconds an epoch are those of the steps alone, "+
		"under the load of the runs beside: they compare arms with each other, not machines. A verdict needs the 95%% interval of Student's t, from leaving out one "+
		"seed at a time, on one side of the bound; all seeds share one test split, whose own error they do not show.%s\n\n"+
		"Machine: %s. Commit %s. Config: tests/claims/%s.toml, SHA-256 %.12s.\n\n    go run ./tests/claims %s\n",
		t.Steps, t.BatchSize*t.GradAccum, threadsText(c), spoilt, o.machine, o.commit, c.Name, c.SHA256, c.Name)
}
