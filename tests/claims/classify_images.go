package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"sparrow/data/images"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// seesImages tells whether the arms are classifiers of images, which are compared
// on spoilt images too.
func (c *Claim) seesImages() bool { return seesImages(c.Run) }

func seesImages(cfg recipe.Config) bool {
	_, ok := cfg.Data.Images()
	return ok
}

// missing sets the folder of the images, to root unless that is empty, and says why
// the claim cannot be tested here; "": it can.
func (c *Claim) missing(root string) string {
	if c.RootFrom == "" {
		return ""
	}
	folder, _ := c.Run.Data.Of.(images.Folder)
	if root != "" {
		folder.Root = root
		c.Run.Data = recipe.From(folder)
	}
	info, err := os.Stat(folder.Root)
	if err == nil && info.IsDir() {
		return ""
	}
	return fmt.Sprintf("there is no folder %s; set %s to a folder with train/CLASS/*.png and test/CLASS/*.png, or JPEG files", folder.Root, c.RootFrom)
}

// classifyImages measures a classifier of images, whose task on all of its data is all, on [run.eval] examples of the test split
// that are spoilt in each way and severity.
func (r *Result) classifyImages(cfg recipe.Config, l *saved.Model, all task.Task) error {
	r.EpochSeconds = r.StepSeconds * float64(all.Facts().Rows) / float64(cfg.Train.BatchSize*cfg.Train.GradAccum)
	spoilt, err := all.(task.Spoiler).Robustness(context.Background(), l.Session, task.Measure{Split: task.Test, Limit: cfg.Eval.Examples})
	if err != nil {
		return err
	}
	r.CorruptionAccuracy = spoilt.Mean
	for _, c := range spoilt.Corruptions {
		r.Corruptions = append(r.Corruptions, c.Mean)
	}
	return nil
}

// imagesTables have each arm's cost, and its accuracy in each way of spoiling.
func (o *outcome) imagesTables(b *strings.Builder) {
	share := func(a armRuns, of func(Result) float64) string {
		var mean float64
		for _, r := range a.Runs {
			if r.Diverged != "" {
				return "-"
			}
			mean += of(r) / float64(len(a.Runs))
		}
		return fmt.Sprintf("%.1f%%", 100*mean)
	}
	fmt.Fprintf(b, "Accuracy on spoilt test images, means over seeds and over severities 1 to %d:\n\n| network | milliseconds a step | all |", images.Severities)
	for _, name := range images.Corruptions {
		fmt.Fprintf(b, " %s |", name)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(images.Corruptions)) + "\n")
	for _, a := range o.arms {
		step := "-"
		if seconds, _, ok := a.mean("step_seconds"); ok {
			step = fmt.Sprintf("%.1f", 1e3*seconds)
		}
		fmt.Fprintf(b, "| %s | %s | %s |", a.Label, step, share(a, metrics["corruption_accuracy"].value))
		for i := range images.Corruptions {
			fmt.Fprintf(b, " %s |", share(a, func(r Result) float64 { return r.Corruptions[i] }))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}
