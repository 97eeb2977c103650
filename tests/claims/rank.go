package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sparrow/data/interactions"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// ranks tells whether the arms are recommenders, which are compared by full ranking on the test split, each seed on a split of its own,
// and tuned by that on the validation split.
func (c *Claim) ranks() bool { return ranks(c.Run) }

func ranks(cfg recipe.Config) bool {
	_, ok := cfg.Data.Of.(interactions.Source)
	return ok
}

// tuningSplit is the seed of the split that learning rates are tuned on, apart from those of the seeds.
const tuningSplit = 1000

// splitBy makes a run of a recommender one on the split of a seed.
func splitBy(cfg *recipe.Config, seed uint64) {
	if s, ok := cfg.Data.Of.(interactions.Source); ok {
		s.SplitSeed = seed
		cfg.Data = recipe.From(s)
	}
}

// rank measures the recommender that a run has made, its best checkpoint, on the test split of its data.
func (r *Result) rank(run train.Result) error {
	l, err := saved.Open(run.Best, false, model.Options{})
	if err != nil {
		return err
	}
	score, err := l.Task.Evaluate(context.Background(), l.Session, task.Measure{Split: task.Test})
	r.Ranking = map[string]float64{}
	for _, v := range score.Values {
		r.Ranking[v.Name] = v.X
	}
	return err
}

// rankMetrics are what a recommender is compared by.
var rankMetrics = []string{"ndcg@10", "ndcg@20", "recall@10", "mrr", "f1@2", "f1@5", "f1@10", "f1@20", "f1@50", "f1@100"}

// ranked is such a metric.
func ranked(name string) struct {
	value   func(Result) float64
	exact   bool
	counted bool
} {
	return struct {
		value   func(Result) float64
		exact   bool
		counted bool
	}{func(r Result) float64 { return r.Ranking[name] }, false, false}
}

// missingRatings says what keeps a claim about recommenders from running: its files are those of a folder, root or [run.data]'s.
func (c *Claim) missingRatings(s interactions.Source, root string) string {
	if root != "" {
		for _, file := range []*string{&s.Ratings, &s.Users, &s.Items} {
			if *file != "" {
				*file = filepath.Join(root, filepath.Base(*file))
			}
		}
		c.Run.Data = recipe.From(s)
	}
	if _, err := os.Stat(s.Ratings); err == nil {
		return ""
	}
	return fmt.Sprintf("there is no file %s; set %s to a folder that has it", s.Ratings, c.RootFrom)
}

// rankingTable has the means of each arm over its splits.
func (o *outcome) rankingTable(b *strings.Builder) {
	b.WriteString("Means over splits of the test:\n\n| network | parameters | learning rate |")
	for _, name := range rankMetrics {
		fmt.Fprintf(b, " %s |", name)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(rankMetrics)) + "\n")
	for _, a := range o.arms {
		if len(a.Runs) == 0 {
			continue
		}
		fmt.Fprintf(b, "| %s | %d | %g |", cmp.Or(a.Label, a.Arm), a.Runs[0].Parameters, a.LearningRate)
		for _, name := range rankMetrics {
			sum, measured := 0.0, true
			for _, r := range a.Runs {
				x, ok := r.Ranking[name]
				sum, measured = sum+x, measured && ok
			}
			if measured {
				fmt.Fprintf(b, " %.4f |", sum/float64(len(a.Runs)))
			} else {
				b.WriteString(" - |")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}

// rankingMethod says how it was measured.
func (o *outcome) rankingMethod() string {
	c := o.claim
	return fmt.Sprintf("Up to %d steps of %d rows a run, the best checkpoint by %s of the validation split, %s; the test by full ranking, each seed on a split of its own, "+
		"the same for all networks, and rates tuned on one apart. A verdict needs the 95%% interval of Student's t over paired splits on one side of the bound.\n\n"+
		"Machine: %s. %s Config: tests/claims/%s.toml, SHA-256 %.12s.\n\n    go run ./tests/claims %s\n",
		c.Run.Train.Steps, c.Run.Train.BatchSize, c.Run.Eval.Metric, threadsText(c), o.machine, o.origin(), c.Name, c.SHA256, c.Name)
}
