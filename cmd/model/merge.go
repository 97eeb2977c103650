package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/saved"
)

func mergeCommand() *cobra.Command {
	var out, base string
	var last bool
	c := &cobra.Command{
		Use:     "merge RUN|CHECKPOINT -o CHECKPOINT",
		Short:   "Fold factored layers into dense ones",
		Long:    "Fold factored layers into dense ones, W = scale B A + S or W0 + scale B A, in a new checkpoint. Layers stored in\n8 or 4 bits become the float32 weights that they stand for.",
		Example: "  model merge runs/sltrain-small -o merged",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Lstat(out); err == nil {
				return cli.Usagef("-o %s exists already: choose a new folder", out)
			} else if !errors.Is(err, os.ErrNotExist) {
				return cli.Usagef("-o: %w", err)
			}
			l, err := saved.OpenOn(args[0], base, last, model.Options{})
			if err != nil {
				return err
			}
			dense, err := l.Merge(out)
			if err != nil {
				return err
			}
			before := l.Session.Store()
			fmt.Printf("merged      %s\nparameters  %d before, %d after\ncheckpoint  %s\n\nnext:\n  %s\n",
				l.Dir, before.Parameters()+before.BaseParameters(), dense.Parameters(), out, shell.Command("model", "eval", out))
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "folder of the new checkpoint")
	c.Flags().BoolVar(&last, "last", false, "of a run, use the newest checkpoint, not the best")
	baseFlag(c, &base)
	c.MarkFlagRequired("output")
	cli.Threads(c)
	return c
}
