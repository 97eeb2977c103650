package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/internal/cli"
	"sparrow/model"
	"sparrow/train"
)

func evalCommand() *cobra.Command {
	var full, last, asJSON, corruptions bool
	var part train.Part
	var base string
	var set []string
	c := &cobra.Command{
		Use:   "eval RUN|CHECKPOINT",
		Short: "Measure a model on data that it was not trained on",
		Example: "  model eval runs/quickstart\n  model eval runs/quickstart --full --json\n  model eval runs/imdb-lama --split test\n" +
			"  model eval runs/mnist-favit --corruptions",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := train.OpenOn(args[0], base, last, model.Options{Packed: true})
			if err != nil {
				return err
			}
			cfg, err := override(l, part.File, set)
			if err != nil {
				return err
			}
			if full {
				cfg.Eval.Tokens, cfg.Eval.Examples = 0, 0
			}
			if full && part.File != "" {
				cfg.Data.MaxExamples = 0 // a cap of the data that the model was trained on
			}
			if corruptions && l.Images == nil {
				return cli.Usagef("--corruptions spoils images, and %s holds a model of text", l.Dir)
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			if corruptions {
				return evaluateCorruptions(ctx, l, cfg, part, asJSON)
			}
			score, err := evaluate(ctx, l, cfg, part)
			if ctx.Err() != nil {
				return train.ErrInterrupted
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(os.Stdout, score, l.Dir)
			}
			printScore(os.Stdout, score, l.Dir)
			return nil
		},
	}
	c.Flags().StringVar(&part.Split, "split", "validation", "part of the data to measure on: validation, or of labelled data and images test")
	c.Flags().StringVar(&part.File, "file", "", "measure on another file with the columns of [data], not on a split")
	c.Flags().BoolVar(&corruptions, "corruptions", false, "of a model of images: measure on images that are spoilt in eight ways and five severities")
	c.Flags().BoolVar(&full, "full", false, "use the whole split, not the fixed subset of [eval] tokens or examples")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the saved config, as in data.paths=[\"my.txt\"] (repeatable)")
	cli.Threads(c)
	return c
}

// override applies --set to a checkpoint's config, as far as an evaluation
// depends on it; a key without an effect is a mistake. With a file, [data] is that
// of the file, whatever the model was trained on.
func override(l *train.Loaded, file string, set []string) (train.Config, error) {
	cfg := l.Config
	if file != "" && l.Labels != nil && l.Images == nil {
		cfg.Data.Source, cfg.Data.Train, cfg.Data.Validation, cfg.Data.Test, cfg.Data.Root = "tsv", file, "", "", ""
	}
	text, err := configs.Encode(cfg)
	if err != nil {
		return cfg, err
	}
	err = configs.Decode(filepath.Join(l.Dir, "config.toml"), text, &cfg, configs.Options{Set: set})
	if cfg.Data.Source == "tsv" && (len(cfg.Data.TextColumns) == 0 || cfg.Data.LabelColumn == "") {
		return cfg, cli.Usagef("the model was trained on [data] source = %q, which has no columns; name those of texts and labels: --set 'data.text_columns=[\"text\"]' --set data.label_column=label", l.Config.Data.Source)
	}
	if err != nil {
		return cfg, err
	}
	used := cfg
	used.Name, used.Seed, used.Model, used.Checkpoint, used.Sample = l.Config.Name, l.Config.Seed, l.Config.Model, l.Config.Checkpoint, l.Config.Sample
	used.Data.Tokenizer, used.Data.VocabSize, used.Data.Regression = l.Config.Data.Tokenizer, l.Config.Data.VocabSize, l.Config.Data.Regression
	used.Train, used.Eval.Every, used.Eval.Metric = l.Config.Train, l.Config.Eval.Every, l.Config.Eval.Metric
	used.Train.BatchSize = cfg.Train.BatchSize
	used.Data.Mean, used.Data.Std, used.Data.Augment = l.Config.Data.Mean, l.Config.Data.Std, l.Config.Data.Augment
	if !reflect.DeepEqual(used, cfg) {
		return cfg, cli.Usagef("--set %s: an evaluation depends only on [data] (but for its tokenizer, regression and normalisation, which are the checkpoint's), eval.tokens, eval.examples and train.batch_size", strings.Join(set, " --set "))
	}
	key, length := "seq_len", cfg.Data.SeqLen
	switch {
	case l.Images != nil:
		key, length = "image_size", l.Session.Dims().Context
	case l.Labels != nil:
		key, length = "max_len", cfg.Data.MaxLen
	}
	if n := l.Session.Dims().Context; length > n {
		return cfg, cli.Usagef("[data] %s = %d is longer than the network's context of %d tokens", key, length, n)
	}
	if err := l.RoomToScore(cfg.Train.BatchSize, length); err != nil {
		return cfg, cli.Usagef("[train] batch_size = %d: %w", cfg.Train.BatchSize, err)
	}
	return cfg, nil
}

// patience is how long a command may take before it shows its progress.
const patience = 2 * time.Second

// evaluate measures the model, with progress on standard error if it takes long.
func evaluate(ctx context.Context, l *train.Loaded, cfg train.Config, part train.Part) (train.Score, error) {
	unit, perBatch := "tokens", cfg.Data.SeqLen*cfg.Train.BatchSize
	if l.Labels != nil {
		unit, perBatch = "examples", cfg.Train.BatchSize
	}
	p := newEvalProgress(unit, perBatch)
	defer p.close()
	return l.Evaluate(ctx, cfg, part, p.after)
}

// evalProgress shows how an evaluation goes once it has taken long enough.
type evalProgress struct {
	began    time.Time
	unit     string
	perBatch int
	shown    *train.Progress
}

func newEvalProgress(unit string, perBatch int) *evalProgress {
	return &evalProgress{began: time.Now(), unit: unit, perBatch: perBatch}
}

func (p *evalProgress) after(done, total int, loss float64) {
	if p.shown == nil && time.Since(p.began) < patience {
		return
	}
	if p.shown == nil {
		p.shown = train.NewProgress(os.Stderr, total, done-1)
		p.shown.Counts(p.unit)
	}
	p.shown.Step(done, loss, float64(done*p.perBatch)/time.Since(p.began).Seconds())
}

func (p *evalProgress) close() {
	if p.shown != nil {
		p.shown.Close()
	}
}

// printScore prints a score for a person.
func printScore(w io.Writer, s train.Score, checkpoint string) {
	unit, n := s.Count()
	for _, v := range s.Values() {
		switch {
		case v.Name == "loss" && unit == "tokens":
			fmt.Fprintf(w, "loss        %.6f nats a token\n", v.X)
		case v.Name == "loss" && s.Classes == 0:
			fmt.Fprintf(w, "loss        %.6f, squared error\n", v.X)
		case v.Name == "loss":
			fmt.Fprintf(w, "loss        %.6f nats an example\n", v.X)
		default:
			fmt.Fprintf(w, "%-10s  %.4f\n", strings.ReplaceAll(v.Name, "_", " "), v.X)
		}
	}
	fmt.Fprintf(w, "%-10s  %d\ncheckpoint  %s\n", unit, n, checkpoint)
}

// printJSON prints a score as one JSON object, its values in their order.
func printJSON(w io.Writer, s train.Score, checkpoint string) error {
	var b bytes.Buffer
	field := func(name string, value any) error {
		text, err := json.Marshal(value)
		fmt.Fprintf(&b, "%q:%s,", name, text)
		return err
	}
	for _, v := range s.Values() {
		if err := field(v.Name, v.X); err != nil {
			return err
		}
	}
	unit, n := s.Count()
	if err := errors.Join(field(unit, n), field("checkpoint", checkpoint)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "{%s}\n", bytes.TrimSuffix(b.Bytes(), []byte(",")))
	return err
}
