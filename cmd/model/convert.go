package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/convert"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/saved"
)

func convertCommand() *cobra.Command {
	var out, base, attention string
	var last bool
	var set []string
	var sizes convert.Sizes
	c := &cobra.Command{
		Use:   "convert RUN|CHECKPOINT --attention mfa -o CHECKPOINT",
		Short: "Factorize a decoder's attention into that of another kind",
		Long: `Factorize the attention of a decoder (mha, gqa or mqa) into multi-matrix factorization attention, in a new checkpoint to
be fine-tuned, and measure the loss on its validation text before and after.

All heads share one key and one value of width --head-dim, found by singular value decomposition of the heads' query-key
and value-output products. With rotary positions this is approximate at any width, unless the heads share one key already.`,
		Example: "  model convert runs/quickstart --attention mfa --head-dim 64 -o converted\n" +
			"  train run -c converted/config.toml --set train.init_from=converted -o runs/converted",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(convert.Targets, attention) {
				return cli.Usagef("--attention %s is unknown; want %s", attention, strings.Join(convert.Targets, " or "))
			}
			for name, v := range map[string]int{"n-head": sizes.NHead, "head-dim": sizes.HeadDim, "q-rank": sizes.QRank} {
				if v < 1 && c.Flags().Changed(name) {
					return cli.Usagef("--%s = %d; want at least 1", name, v)
				}
			}
			if _, err := os.Lstat(out); err == nil {
				return cli.Usagef("-o %s exists already: choose a new folder", out)
			} else if !errors.Is(err, os.ErrNotExist) {
				return cli.Usagef("-o: %w", err)
			}
			l, err := saved.OpenOn(args[0], base, last, model.Options{})
			if err != nil {
				return err
			}
			goal, err := l.Elsewhere(saved.Elsewhere{Set: set})
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			defer stop()
			mfa, err := convert.ToMFA(ctx, l, goal, sizes)
			if ctx.Err() != nil {
				return shell.ErrInterrupted
			}
			if err != nil {
				return err
			}
			if err := mfa.Write(out); err != nil {
				return err
			}
			printConversion(os.Stdout, l, mfa, out)
			return nil
		},
	}
	c.Flags().StringVar(&attention, "attention", "", "kind to convert to: mfa")
	c.Flags().IntVar(&sizes.HeadDim, "head-dim", 0, "width C of the one key and value that all heads share (0: twice the width of a head)")
	c.Flags().IntVar(&sizes.NHead, "n-head", 0, "heads, at least as many as there are (0: as many)")
	c.Flags().IntVar(&sizes.QRank, "q-rank", 0, "width Cq between the two matrices of a query (0: head-dim, as in the paper)")
	c.Flags().StringVarP(&out, "output", "o", "", "folder of the new checkpoint")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the saved config, as in data.paths=[\"my.txt\"] (repeatable)")
	baseFlag(c, &base)
	c.MarkFlagRequired("attention")
	c.MarkFlagRequired("output")
	cli.Threads(c)
	return c
}

// printConversion prints what a conversion changed.
func printConversion(w io.Writer, l *saved.Model, mfa *convert.MFA, out string) {
	before, after := l.Config.Model.Of.(decoder.Config), mfa.Network.Of.(decoder.Config)
	from, to, d := before.Attention, after.Attention, after.DModel
	least := convert.Kept{Keys: 1, Queries: 1, Values: 1}
	for _, k := range mfa.Layers {
		least = convert.Kept{Keys: min(least.Keys, k.Keys), Queries: min(least.Queries, k.Queries), Values: min(least.Values, k.Values)}
	}
	fmt.Fprintf(w, "converted   %s\n", l.Dir)
	fmt.Fprintf(w, "attention   %s, %d heads of width %d -> mfa, %d heads of width %d, queries through %d\n",
		from.Name, from.NHead, from.Dim(d), to.NHead, to.HeadDim, to.Shape(d).QueryRank)
	fmt.Fprintf(w, "parameters  %d before, %d after\n", l.Session.Store().Dense().Parameters(), mfa.Session.Store().Parameters())
	fmt.Fprintf(w, "cache       %d bytes a token before, %d after\n",
		before.CacheBytes(false), after.CacheBytes(false))
	fmt.Fprintf(w, "kept        %.1f%% of the keys' energy, %.1f%% of the queries', %.1f%% of the values', in the layer with the least\n",
		100*least.Keys, 100*least.Queries, 100*least.Values)
	fmt.Fprintf(w, "loss        %.6f nats a token before, %.6f after (%d tokens)\n", mfa.Before.Loss(), mfa.After.Loss(), mfa.After.Count)
	fmt.Fprintf(w, "checkpoint  %s\n\nnext:\n  %s\n", out,
		shell.Command("train", "run", "-c", out+"/config.toml", "--set", "train.init_from="+out, "-o", "NEW"))
}
