package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/internal/cli"
	"sparrow/model"
	"sparrow/train"
)

func evalCommand() *cobra.Command {
	var full, last, asJSON bool
	var split string
	var set []string
	c := &cobra.Command{
		Use:     "eval RUN|CHECKPOINT",
		Short:   "Measure a model's loss on held-out text",
		Example: "  model eval runs/quickstart\n  model eval runs/quickstart --full --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if split != "validation" {
				return cli.Usagef("--split %s: a text corpus has the split validation only", split)
			}
			l, err := train.Open(args[0], last, model.Options{})
			if err != nil {
				return err
			}
			cfg := l.Config
			text, err := configs.Encode(cfg)
			if err != nil {
				return err
			}
			if err := configs.Decode(args[0], text, set, &cfg); err != nil {
				return err
			}
			if full {
				cfg.Eval.Tokens = 0
			}
			d, err := data.OpenWith(c.Context(), cfg.Data, l.Tokenizer)
			if err != nil {
				return err
			}
			score, err := evaluate(c.Context(), l, cfg, d)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(os.Stdout).Encode(struct {
					train.Score
					Checkpoint string `json:"checkpoint"`
				}{score, l.Dir})
			}
			fmt.Printf("loss        %.6f nats a token\nperplexity  %.4f\ntokens      %d\ncheckpoint  %s\n", score.Loss, score.Perplexity, score.Tokens, l.Dir)
			return nil
		},
	}
	c.Flags().StringVar(&split, "split", "validation", "part of the data to measure on")
	c.Flags().BoolVar(&full, "full", false, "use the whole split, not the fixed subset of [eval] tokens")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the saved config, as in data.paths=[\"my.txt\"] (repeatable)")
	cli.Threads(c)
	return c
}

// patience is how long a command may take before it shows its progress.
const patience = 2 * time.Second

// evaluate measures the loss, with progress on standard error if it takes long.
func evaluate(ctx context.Context, l *train.Loaded, cfg train.Config, d *data.Dataset) (train.Score, error) {
	var progress *train.Progress
	began := time.Now()
	score, err := train.Evaluate(ctx, l.Session, d.Validation, cfg.Data.SeqLen, cfg.Train.BatchSize, cfg.Eval.Tokens,
		func(done, total int, loss float64) {
			if progress == nil && time.Since(began) < patience {
				return
			}
			if progress == nil {
				progress = train.NewProgress(os.Stderr, total, done-1)
			}
			tokens := done * cfg.Data.SeqLen * cfg.Train.BatchSize
			progress.Step(done, loss, float64(tokens)/time.Since(began).Seconds())
		})
	if progress != nil {
		progress.Close()
	}
	return score, err
}
