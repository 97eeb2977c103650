package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"sparrow/data"
	"sparrow/internal/cli"
	"sparrow/model"
	"sparrow/train"
)

func generateCommand() *cobra.Command {
	var prompt, base, cache string
	var last, stats bool
	opts := model.GenerateOptions{}
	c := &cobra.Command{
		Use:     "generate RUN|CHECKPOINT --prompt TEXT",
		Short:   "Let a model continue a text",
		Example: "  model generate runs/quickstart --prompt \"func \" --tokens 300 --temperature 0.8",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkSampling(opts); err != nil {
				return err
			}
			if cache != "float32" && cache != "int8" {
				return cli.Usagef("--cache-dtype %s; want float32 or int8", cache)
			}
			l, err := train.OpenOn(args[0], base, last, model.Options{Int8Cache: cache == "int8"})
			if err != nil {
				return err
			}
			if l.Labels != nil {
				return cli.Usagef("%s holds a classifier, which writes no text; label texts by: %s predict %s", l.Dir, cli.Program("model"), train.Quote(args[0]))
			}
			if l.Config.Model.Kind != "decoder" {
				return cli.Usagef("%s holds a masked language model, which fills gaps and continues no text", l.Dir)
			}
			ids, err := l.Tokenizer.Encode(prompt)
			if err != nil {
				return cli.Usagef("--prompt: %w", err)
			}
			if len(ids) == 0 {
				return cli.Usagef("--prompt is empty: give the model at least one character to continue")
			}
			if err := l.Room(len(ids), opts.Tokens); err != nil {
				return cli.Usagef("--tokens = %d: %w", opts.Tokens, err)
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			return generate(ctx, l, prompt, ids, opts, stats)
		},
	}
	c.Flags().StringVar(&prompt, "prompt", "", "text to continue")
	c.Flags().IntVar(&opts.Tokens, "tokens", 200, "tokens to write")
	c.Flags().Float64Var(&opts.Temperature, "temperature", 0.8, "0: always the likeliest token")
	c.Flags().IntVar(&opts.TopK, "top-k", 0, "draw from the K likeliest tokens only (0: all)")
	c.Flags().Float64Var(&opts.TopP, "top-p", 1, "draw from the likeliest tokens that hold this share of probability")
	c.Flags().Uint64Var(&opts.Seed, "seed", 1, "of the draws: equal seeds write equal texts")
	c.Flags().StringVar(&cache, "cache-dtype", "float32", "of keys and values: float32 or int8, with a scale for each vector")
	c.Flags().BoolVar(&stats, "stats", false, "print tokens/s and what attention costs to standard error")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	c.MarkFlagRequired("prompt")
	cli.Threads(c)
	return c
}

func checkSampling(o model.GenerateOptions) error {
	switch {
	case o.Tokens < 1:
		return cli.Usagef("--tokens = %d; want at least 1", o.Tokens)
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 1):
		return cli.Usagef("--temperature = %g; want 0 or more, and finite", o.Temperature)
	case o.TopK < 0:
		return cli.Usagef("--top-k = %d; want 0 (all) or more", o.TopK)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return cli.Usagef("--top-p = %g; want 0 to 1", o.TopP)
	}
	return nil
}

// generate streams the text to standard output.
func generate(ctx context.Context, l *train.Loaded, prompt string, ids []int, opts model.GenerateOptions, stats bool) error {
	if end := l.Tokenizer.Separator(); end != data.NoSeparator {
		opts.Stop = func(token int) bool { return token == end }
	}
	stream := data.NewStream(l.Tokenizer)
	fmt.Print(prompt)
	began := time.Now()
	var first time.Time
	n := 0
	err := l.Session.Generate(ctx, [][]int{ids}, opts, func(_, token int) error {
		if n++; n == 1 {
			first = time.Now()
		}
		_, err := fmt.Print(stream.Push(token))
		return err
	})
	end := time.Now()
	fmt.Println(stream.Flush())
	if ctx.Err() != nil {
		return fmt.Errorf("%w: stopped after %d tokens", train.ErrInterrupted, n)
	}
	if err != nil {
		return err
	}
	if stats {
		fmt.Fprintf(os.Stderr, "prompt      %d tokens, %.1f ms to the first new one\n", len(ids), float64(first.Sub(began).Microseconds())/1e3)
		if n > 1 {
			fmt.Fprintf(os.Stderr, "decoding    %d tokens, %.1f tokens/s\n", n-1, float64(n-1)/end.Sub(first).Seconds())
		}
		fmt.Fprintf(os.Stderr, "%s, %d bytes for %d tokens\n", l.Session.AttentionCost(), l.Session.CacheBytesPerToken()*(len(ids)+n), len(ids)+n)
		fmt.Fprintf(os.Stderr, "weights     %d bytes\n", l.Session.Store().Bytes())
	}
	return nil
}
