package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/metrics"
	"sparrow/sweep"
	"sparrow/train"
)

func sweepCommand() *cobra.Command {
	var file, dir string
	var set, grid []string
	seeds := 1
	c := &cobra.Command{
		Use:   "sweep -c FILE --grid KEY=VALUE,VALUE... [--seeds N] [-o DIR]",
		Short: "Train all combinations of settings and compare them",
		Long: "Trains a run for each combination of the values of keys, with several seeds if you like, and prints a table with means and\n" +
			"standard errors of the best [eval] metric. What is finished is kept: the same command goes on after an interruption, and a\n" +
			"longer list of values trains only what is new.",
		Example: "  train sweep -c configs/tiny.toml --grid train.learning_rate=1e-3,3e-3 --seeds 3\n" +
			"  train sweep -c my.toml --grid train.learning_rate=1e-3,3e-3 --grid model.dropout=0,0.1",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			axes, err := sweep.ParseAxes(grid)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join("runs", "sweep-"+strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
			}
			resume := shell.Command("train", os.Args[1:]...)
			interrupt := train.NotifyInterrupt(func(format string, args ...any) { fmt.Fprintf(os.Stderr, "\n"+format+"\n", args...) }, func(code int) {
				fmt.Fprintf(os.Stderr, "stopped at once; continue from the newest checkpoint by: %s\n", resume)
				os.Exit(code)
			})
			defer interrupt.Stop()
			o := sweep.Training{File: file, Set: set, Axes: axes, Seeds: seeds, Dir: dir, Interrupted: interrupt.Interrupted}
			r, err := sweep.Train(context.Background(), o, os.Stderr)
			if err != nil {
				return err
			}
			var table strings.Builder
			if err := r.WriteTable(&table); err != nil {
				return err
			}
			path := filepath.Join(dir, "sweep.md")
			if err := metrics.WriteFile(path, []byte(table.String())); err != nil {
				return err
			}
			fmt.Printf("%s\ntable  %s\n", table.String(), path)
			if command, best := o.Next(r); command != "" {
				fmt.Printf("\nnext:\n  %s\n  %s\n", shell.Command("model", "eval", best), command)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "TOML file that describes a run")
	c.Flags().StringArrayVar(&grid, "grid", nil, "a key with the values that it takes, as in train.learning_rate=1e-3,3e-3 (repeatable)")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of all runs (repeatable)")
	c.Flags().IntVar(&seeds, "seeds", 1, "train each combination with `N` seeds, which count up from the config's")
	c.Flags().StringVarP(&dir, "output", "o", "", "folder of the runs and the table (default runs/sweep-<config>)")
	c.MarkFlagRequired("config")
	c.MarkFlagRequired("grid")
	cli.Threads(c)
	return c
}
