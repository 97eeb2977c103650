package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sparrow/configs"
	"sparrow/data/images"
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
	tsv, ok := cfg.Data.Of.(labelled.TSV)
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
	if _, ok := c.Run.Data.Of.(images.Folder); c.RootFrom != "" && !ok {
		r.Errorf("root_from", "is for [run.data] source = \"image_folder\"")
	}
	without, kind := slices.Concat(classifierMetrics, imageMetrics), "a language model"
	switch {
	case c.seesImages():
		without, kind = languageMetrics, "a classifier of images"
	case c.classifies():
		without, kind = slices.Concat(languageMetrics, imageMetrics), "a classifier"
	}
	for i, e := range c.Expect {
		for _, of := range without {
			if e.Of == of {
				r.Errorf(fmt.Sprintf("expect.%d.of", i), "is not measured of %s", kind)
			}
		}
	}
}
