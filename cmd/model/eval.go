package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
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
	var split, base string
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
			l, err := train.OpenOn(args[0], base, last, model.Options{})
			if err != nil {
				return err
			}
			cfg, err := override(l, set)
			if err != nil {
				return err
			}
			if full {
				cfg.Eval.Tokens = 0
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			d, err := data.OpenWith(ctx, cfg.Data, l.Tokenizer)
			if err != nil {
				return cli.Usagef("%w", err)
			}
			score, err := evaluate(ctx, l, cfg, d)
			if ctx.Err() != nil {
				return train.ErrInterrupted
			}
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
	baseFlag(c, &base)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the saved config, as in data.paths=[\"my.txt\"] (repeatable)")
	cli.Threads(c)
	return c
}

// override applies --set to a checkpoint's config, as far as an evaluation
// depends on it; a key without an effect is a mistake.
func override(l *train.Loaded, set []string) (train.Config, error) {
	cfg := l.Config
	text, err := configs.Encode(cfg)
	if err != nil {
		return cfg, err
	}
	if err := configs.Decode(filepath.Join(l.Dir, "config.toml"), text, set, &cfg); err != nil {
		return cfg, err
	}
	used := cfg
	used.Name, used.Seed, used.Model, used.Checkpoint, used.Sample = l.Config.Name, l.Config.Seed, l.Config.Model, l.Config.Checkpoint, l.Config.Sample
	used.Data.Tokenizer, used.Data.VocabSize = l.Config.Data.Tokenizer, l.Config.Data.VocabSize
	used.Train, used.Eval.Every = l.Config.Train, l.Config.Eval.Every
	used.Train.BatchSize = cfg.Train.BatchSize
	if !reflect.DeepEqual(used, cfg) {
		return cfg, cli.Usagef("--set %s: an evaluation depends only on [data] (but for its tokenizer, which is the checkpoint's), eval.tokens and train.batch_size", strings.Join(set, " --set "))
	}
	if n := l.Session.Dims().Context; cfg.Data.SeqLen > n {
		return cfg, cli.Usagef("[data] seq_len = %d is longer than the network's context of %d tokens", cfg.Data.SeqLen, n)
	}
	if err := l.RoomToScore(cfg.Train.BatchSize, cfg.Data.SeqLen); err != nil {
		return cfg, cli.Usagef("[train] batch_size = %d: %w", cfg.Train.BatchSize, err)
	}
	return cfg, nil
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
