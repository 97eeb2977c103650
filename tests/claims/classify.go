package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/data/images"
	"sparrow/data/interactions"
	"sparrow/data/labelled"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// classifies tells whether the arms are classifiers, which are compared by their
// accuracy on the test split and tuned by that on the validation split.
func (c *Claim) classifies() bool { return classifies(c.Run) }

func classifies(cfg recipe.Config) bool {
	s, labelled := cfg.Data.Labelled()
	return seesImages(cfg) || labelled && !s.Scores()
}

// lacksTest tells whether a classifier's data has no test split, as far as the config says.
func lacksTest(cfg recipe.Config) bool {
	tsv, ok := cfg.Data.Of.(labelled.Table)
	return classifies(cfg) && ok && tsv.Test == ""
}

// classify measures the classifier that a run has made on the test split of its
// data, once, with the tokenizer and labels of its checkpoint.
func (r *Result) classify(cfg recipe.Config, run train.Result) error {
	l, err := saved.Open(run.Best, false, model.Options{})
	if err != nil {
		return err
	}
	r.StepSeconds = run.Duration.Seconds() / float64(cfg.Train.Steps)
	r.AttentionParameters = attentionParameters(l.Session.Store())
	all := cfg
	all.Eval.Examples = 0
	goal, err := l.Open(all)
	if err != nil {
		return err
	}
	if r.Accuracy, err = accuracyOf(goal, l, task.Test); err != nil {
		return err
	}
	if _, ok := goal.(task.Spoiler); ok {
		return r.classifyImages(cfg, l, goal)
	}
	r.EpochSeconds = run.Duration.Seconds() * float64(goal.Facts().Rows) / float64(run.Tokens)
	return nil
}

// accuracyOf measures a classifier on a split.
func accuracyOf(goal task.Task, l *saved.Model, split task.Split) (float64, error) {
	score, err := goal.Evaluate(context.Background(), l.Session, task.Measure{Split: split})
	accuracy, _ := score.Value("accuracy")
	return accuracy, err
}

// attentionParameters counts what of a classifier's parameters is attention: of a
// lama the pooling, of an encoder the four projections of each layer, of a favit
// all that stands in the place of attention.
func attentionParameters(s *nn.Store) int {
	n := 0
	for _, name := range s.Names() {
		if strings.HasPrefix(name, "model.pooling.") || strings.Contains(name, ".attention.self.") || strings.Contains(name, ".attention.output.dense.") ||
			strings.Contains(name, ".attn.") {
			n += s.Shape(name).TotalSize()
		}
	}
	return n
}

// validateData reports arms that cannot be compared with each other, or by what
// is expected of them.
func (c *Claim) validateData(r *configs.Report) {
	for i := range c.Arms {
		cfg, err := c.Config(i)
		if err != nil {
			continue // reported already
		}
		if classifies(cfg) != c.classifies() || seesImages(cfg) != c.seesImages() {
			r.Errorf(fmt.Sprintf("arm.%d.set", i), "makes of a classifier something else, or the reverse; arms want one task")
		}
		if lacksTest(cfg) {
			r.Errorf(fmt.Sprintf("arm.%d.name", i), "has no test split; a claim about classifiers wants [run.data] test")
		}
	}
	_, folder := c.Run.Data.Of.(images.Folder)
	if _, table := c.Run.Data.Of.(labelled.Table); c.RootFrom != "" && !folder && !table && !c.ranks() {
		r.Errorf("root_from", "is for [run.data] source = \"image_folder\", \"tsv\" and \"interactions\"")
	}
	without, kind := slices.Concat(classifierMetrics, imageMetrics, rankMetrics), "a language model"
	switch {
	case c.ranks():
		without, kind = slices.Concat(languageMetrics, classifierMetrics, imageMetrics), "a recommender"
	case c.seesImages():
		without, kind = slices.Concat(languageMetrics, rankMetrics), "a classifier of images"
	case c.classifies():
		without, kind = slices.Concat(languageMetrics, imageMetrics, rankMetrics), "a classifier"
	}
	for i, e := range c.Expect {
		for _, of := range without {
			if e.Of == of {
				r.Errorf(fmt.Sprintf("expect.%d.of", i), "is not measured of %s", kind)
			}
		}
	}
}

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
		"Machine: %s. %s Config: tests/claims/%s.toml, SHA-256 %.12s.\n\n    go run ./tests/claims %s\n",
		t.Steps, t.BatchSize*t.GradAccum, threadsText(c), spoilt, o.machine, o.origin(), c.Name, c.SHA256, c.Name)
}

// seesImages tells whether the arms are classifiers of images, which are compared
// on spoilt images too.
func (c *Claim) seesImages() bool { return seesImages(c.Run) }

func seesImages(cfg recipe.Config) bool {
	_, ok := cfg.Data.Images()
	return ok
}

// brought says which file or checkpoint that the user has to bring is not there; "": none.
func (c *Claim) brought() string {
	there := func(path string) bool {
		_, err := os.Stat(path)
		return path == "" || err == nil
	}
	if from := c.Run.Train.InitFrom; !there(from) {
		return fmt.Sprintf("there is no checkpoint %s; the claim's file says what model import makes it of", from)
	}
	if table, ok := c.Run.Data.Of.(labelled.Table); ok && c.RootFrom == "" {
		for _, file := range []string{table.Train, table.Validation, table.Test} {
			if !there(file) {
				return fmt.Sprintf("there is no file %s; put the data of the task there", file)
			}
		}
	}
	return ""
}

// missing sets the folder of the images, to root unless that is empty, and says why
// the claim cannot be tested here; "": it can.
func (c *Claim) missing(root string) string {
	if why := c.brought(); why != "" || c.RootFrom == "" {
		return why
	}
	if s, ok := c.Run.Data.Of.(interactions.Source); ok {
		return c.missingRatings(s, root)
	}
	if !c.seesImages() {
		return c.placeTexts(root)
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
