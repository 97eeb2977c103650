package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sparrow/compress"
	"sparrow/compress/report"
	"sparrow/internal/cli"
)

func verifyCommand() *cobra.Command {
	var asJSON, noEval bool
	c := &cobra.Command{
		Use:   "verify DIR [--no-eval]",
		Short: "Check a compression against its promises",
		Long: "Check a compression against its promises: read everything again, count values and bytes against the plan, compute\n" +
			"errors again, evaluate and time both models on the same data. Exit code 3 if a promise is broken.",
		Example: "  compress verify runs/compress-fwsvd\n  compress verify runs/compress-fwsvd --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			v, err := compress.Verify(ctx, args[0], os.Stderr, compress.Options{Unmeasured: noEval})
			if err != nil {
				return stopped(ctx, err, "")
			}
			if _, err := report.Write(args[0], ""); err != nil { // which tells of it too
				return err
			}
			if asJSON {
				err = json.NewEncoder(os.Stdout).Encode(v)
			} else {
				err = printVerification(os.Stdout, v)
			}
			if err != nil {
				return err
			}
			return v.Err()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().BoolVar(&noEval, "no-eval", false, "evaluate and time neither model")
	cli.Threads(c)
	return c
}

func printVerification(w io.Writer, v *compress.Verification) error {
	for _, p := range v.Promises {
		state := "kept"
		if !p.Kept {
			state = "BROKEN"
		}
		fmt.Fprintf(w, "%-10s %-7s %s\n", p.Name, state, p.Detail)
	}
	if v.Before == nil || v.After == nil {
		return nil
	}
	unit := v.Before.Quality.Unit
	b, a := v.Before, v.After
	fmt.Fprintf(w, "\n%-22s %14s %14s %8s\n", "", "before", "after", "ratio")
	row := func(name, format string, x, y float64) {
		ratio := "-"
		if x != 0 { // else it was not measured, or is a score of nothing
			ratio = fmt.Sprintf("%.3f", y/x)
		}
		fmt.Fprintf(w, "%-22s %14s %14s %8s\n", name, fmt.Sprintf(format, x), fmt.Sprintf(format, y), ratio)
	}
	for i, m := range b.Quality.Values {
		row(m.Name, "%.4f", m.Value, a.Quality.Values[i].Value)
	}
	row(unit+" a second", "%.0f", b.PerSecond, a.PerSecond)
	row("ms per "+b.LatencyOf, "%.3f", b.Latency, a.Latency)
	row("weights, bytes", "%.0f", float64(b.Weights), float64(a.Weights))
	row("activations, bytes", "%.0f", float64(b.Activations), float64(a.Activations))
	row("model.npz, bytes", "%.0f", float64(b.Disk), float64(a.Disk))
	if l := v.Likeness; l != nil && l.Rows > 0 {
		fmt.Fprintf(w, "\nbeside the parent, over %d %s: mean KL divergence %.4g nats, the likeliest is the same in %.1f%%\n", l.Rows, unit, l.KL, 100*l.Agreement)
	}
	return nil
}
