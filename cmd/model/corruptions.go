package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/saved"
	"sparrow/task"
)

// evaluateCorruptions measures the model on spoilt images and prints the accuracies.
func evaluateCorruptions(ctx context.Context, l *saved.Model, goal task.Task, m task.Measure, asJSON bool) error {
	spoiler, ok := goal.(task.Spoiler)
	if !ok {
		return cli.Usagef("--corruptions spoils images, and %s holds a model of %ss", l.Dir, goal.Facts().Each)
	}
	p := newEvalProgress(goal)
	m.After = p.after
	r, err := spoiler.Robustness(ctx, l.Session, m)
	p.close()
	if ctx.Err() != nil {
		return shell.ErrInterrupted
	}
	if err != nil {
		return err
	}
	clean, _ := r.Clean.Value("accuracy")
	if asJSON {
		byName := map[string][]float64{} // encoding/json sorts the names
		for _, c := range r.Corruptions {
			byName[c.Name] = c.Severities
		}
		return json.NewEncoder(os.Stdout).Encode(struct {
			Accuracy    float64              `json:"accuracy"`
			Mean        float64              `json:"corruption_accuracy"`
			Corruptions map[string][]float64 `json:"corruptions"`
			Examples    int                  `json:"examples"`
			Checkpoint  string               `json:"checkpoint"`
		}{clean, r.Mean, byName, r.Clean.Count, l.Dir})
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "accuracy\tseverity 1\t2\t3\t4\t5\tmean")
	for _, c := range r.Corruptions {
		fmt.Fprintf(w, "%s", c.Name)
		for _, a := range c.Severities {
			fmt.Fprintf(w, "\t%.4f", a)
		}
		fmt.Fprintf(w, "\t%.4f\n", c.Mean)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("mean        %.4f, of the images as they are %.4f\nexamples    %d\ncheckpoint  %s\n", r.Mean, clean, r.Clean.Count, l.Dir)
	return nil
}
