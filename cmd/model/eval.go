package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/metrics/progress"
	"sparrow/saved"
	"sparrow/task"
)

func evalCommand() *cobra.Command {
	var full, last, asJSON, corruptions bool
	var base, part, file, compute string
	var set []string
	var stride int
	c := &cobra.Command{
		Use:   "eval RUN|CHECKPOINT",
		Short: "Measure a model on data that it was not trained on",
		Example: "  model eval runs/quickstart\n  model eval runs/quickstart --full --json\n  model eval runs/imdb-lama --split test\n" +
			"  model eval runs/mnist-favit --corruptions\n  model eval models/smollm2 --file wiki.txt --stride 512\n  model eval models/minilm --file scifact",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			split, err := task.ParseSplit(part)
			if err != nil {
				return cli.Usagef("--%w", err)
			}
			o, err := computing(compute)
			if err != nil {
				return err
			}
			l, err := saved.OpenOn(args[0], base, last, o)
			if err != nil {
				return err
			}
			if info, err := os.Stat(file); err == nil && info.IsDir() {
				return search(l, file, split, full || stride != 0 || corruptions || len(set) > 0, asJSON)
			}
			if _, writes := l.Task.(task.Generator); c.Flags().Changed("stride") && (!writes || file == "" || stride < 1) {
				return cli.Usagef("--stride = %d: want 1 or more, with --file, of a language model", stride)
			}
			goal, err := l.Elsewhere(saved.Elsewhere{File: file, Full: full, Set: set})
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			m := task.Measure{Split: split, File: file, Stride: stride}
			if corruptions {
				return evaluateCorruptions(ctx, l, goal, m, asJSON)
			}
			score, err := evaluate(ctx, l, goal, m)
			if ctx.Err() != nil {
				return shell.ErrInterrupted
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, score, l.Dir)
			}
			printScore(os.Stdout, goal, score, l.Dir)
			return nil
		},
	}
	c.Flags().StringVar(&part, "split", "validation", "part of the data to measure on: validation, or of labelled data and images test")
	c.Flags().StringVar(&file, "file", "", "measure on another file, not on a split: one with the columns of [data], of a language model a text, or of a sentence encoder a folder in BEIR's layout")
	c.Flags().IntVar(&stride, "stride", 0, "of a text: windows of seq_len tokens begin `N` tokens apart, and each scores only its new tokens (0: they do not overlap)")
	c.Flags().BoolVar(&corruptions, "corruptions", false, "of a model of images: measure on images that are spoilt in eight ways and five severities")
	c.Flags().BoolVar(&full, "full", false, "use the whole split, not the fixed subset of [eval] tokens or examples")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	computeFlag(c, &compute)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the saved config, as in data.paths=[\"my.txt\"] (repeatable)")
	cli.Threads(c)
	cli.Choices(c, "split", "validation", "test")
	return c
}

// search measures a sentence encoder on a folder of documents, queries and judgements.
func search(l *saved.Model, dir string, split task.Split, more, asJSON bool) error {
	t, ok := l.Task.(task.Searcher)
	if !ok {
		return cli.Usagef("--file %s is a folder: only a sentence encoder is measured on one, which holds corpus.jsonl, queries.jsonl and qrels/test.tsv", dir)
	}
	if more {
		return cli.Usagef("--file %s is a folder of documents and queries: of the flags that say what to measure only --split goes with it", dir)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := newEvalProgress(l.Task)
	score, err := t.Search(ctx, l.Session, dir, task.Measure{Split: split, After: p.after})
	p.close()
	switch {
	case ctx.Err() != nil:
		return shell.ErrInterrupted
	case err != nil:
		return err
	case asJSON:
		return printJSON(os.Stdout, score, l.Dir)
	}
	for _, v := range score.Values {
		fmt.Printf("%-10s  %.4f\n", v.Name, v.X)
	}
	fmt.Printf("%-10s  %d\ncheckpoint  %s\n", score.Unit, score.Count, l.Dir)
	return nil
}

// patience is how long a command may take before it shows its progress.
const patience = 2 * time.Second

// evaluate measures the model, with progress on standard error if it takes long.
func evaluate(ctx context.Context, l *saved.Model, goal task.Task, m task.Measure) (task.Score, error) {
	p := newEvalProgress(goal)
	defer p.close()
	m.After = p.after
	return goal.Evaluate(ctx, l.Session, m)
}

// evalProgress shows how an evaluation goes once it has taken long enough.
type evalProgress struct {
	began    time.Time
	unit     string
	perBatch int
	shown    *progress.Progress
}

func newEvalProgress(goal task.Task) *evalProgress {
	facts := goal.Facts()
	return &evalProgress{began: time.Now(), unit: facts.Unit, perBatch: facts.PerBatch}
}

func (p *evalProgress) after(done, total int, loss float64) {
	if p.shown == nil && time.Since(p.began) < patience {
		return
	}
	if p.shown == nil {
		p.shown = progress.New(os.Stderr, total, done-1)
		p.shown.Counts(p.unit)
		if math.IsNaN(loss) {
			p.shown.Plain()
		}
	}
	p.shown.Step(done, loss, float64(done*p.perBatch)/time.Since(p.began).Seconds())
}

func (p *evalProgress) close() {
	if p.shown != nil {
		p.shown.Close()
	}
}

// printScore prints a score of a task for a person.
func printScore(w io.Writer, goal task.Task, s task.Score, checkpoint string) {
	for i, m := range goal.Metrics() {
		x := s.Values[i].X
		switch {
		case m.Means != "":
			fmt.Fprintf(w, "%-10s  %.6f, %s\n", m.Name, x, m.Means)
		case m.Unit != "":
			fmt.Fprintf(w, "%-10s  %.6f %s\n", m.Name, x, m.Unit)
		default:
			fmt.Fprintf(w, "%-10s  %.4f\n", strings.ReplaceAll(m.Name, "_", " "), x)
		}
	}
	fmt.Fprintf(w, "%-10s  %d\ncheckpoint  %s\n", s.Unit, s.Count, checkpoint)
	if s.Classes != nil {
		fmt.Fprintln(w)
		_ = s.Classes.Write(w) // as what is printed above
	}
}

// printJSON prints a score as one JSON object, its values in their order.
func printJSON(w io.Writer, s task.Score, checkpoint string) error {
	var b bytes.Buffer
	field := func(name string, value any) error {
		text, err := json.Marshal(value)
		fmt.Fprintf(&b, "%q:%s,", name, text)
		return err
	}
	for _, v := range s.Values {
		if err := field(v.Name, v.X); err != nil {
			return err
		}
	}
	if err := errors.Join(field(s.Unit, s.Count), field("checkpoint", checkpoint)); err != nil {
		return err
	}
	if s.Classes != nil {
		if err := errors.Join(field("classes", s.Classes.Each()), field("confusion", s.Classes.Counts)); err != nil {
			return err
		}
		if s.Classes.Positive != "" {
			if err := field("f1_of", s.Classes.Positive); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "{%s}\n", bytes.TrimSuffix(b.Bytes(), []byte(",")))
	return err
}

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
