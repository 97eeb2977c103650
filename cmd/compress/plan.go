package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sparrow/compress"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
)

// configFlags adds the flags that describe a compression.
func configFlags(c *cobra.Command, file *string, set *[]string) {
	c.Flags().StringVarP(file, "config", "c", "", "TOML file that describes the compression")
	c.Flags().StringArrayVar(set, "set", nil, "override a key of the config, as in compress.ratio=0.5 (repeatable)")
	c.MarkFlagRequired("config")
	cli.Threads(c)
}

// interruptible is a context that ends with the first SIGINT or SIGTERM.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// stopped turns what an interrupted call returns into the error of the exit code.
func stopped(ctx context.Context, err error, advice string) error {
	if ctx.Err() == nil || errors.Is(err, shell.ErrInterrupted) {
		return err
	}
	return fmt.Errorf("%w%s", shell.ErrInterrupted, advice)
}

func planCommand() *cobra.Command {
	var file string
	var set []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan -c FILE [--set KEY=VALUE]...",
		Short: "Show what a compression would do",
		Long: "Show what a compression would do: what each linear layer becomes, its size and the predicted increase of the loss.\n" +
			"Writes nothing but the cache of statistics of the calibration data.",
		Example: "  compress plan -c configs/compress-fwsvd.toml\n  compress plan -c configs/compress-auto.toml --set compress.ratio=0.64",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := compress.Load(file, set)
			if err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			p, err := compress.MakePlan(ctx, cfg, os.Stderr)
			if err != nil {
				return stopped(ctx, err, "")
			}
			if asJSON {
				return json.NewEncoder(os.Stdout).Encode(p)
			}
			return printPlan(os.Stdout, p)
		},
	}
	configFlags(c, &file, &set)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func printPlan(out io.Writer, p *compress.Plan) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "linear layer\tshape\tbecomes\tparameters\tbytes\tkept\tpredicted loss\tfloored")
	for _, l := range p.Layers {
		dense := l.Out * l.In
		fmt.Fprintf(w, "%s\t[%d, %d]\t%s\t%d\t%d\t%.1f%%\t%s\t%s\n", l.Name, l.Out, l.In, l.Option.Describe(), l.Option.Params, l.Option.Bytes,
			percent(l.Option.Bytes, 4*dense), loss(p, l.Option.Loss), flooredText(l))
	}
	fmt.Fprintf(w, "total\t\t\t%d\t%d\t%.1f%%\t%s\t\n", p.After.Params, p.After.Bytes, percent(p.After.Bytes, p.Before.Bytes), loss(p, p.Loss))
	if err := w.Flush(); err != nil {
		return err
	}
	unit := fmt.Sprintf("an increase of the loss in nats a target, by a second-order estimate; %.1f%% of the layers' weighted energy goes", 100*p.Removed)
	if p.Measure != "fisher" {
		unit = "squared relative errors, added up"
		if p.Allocation == "uniform" {
			unit += "; with allocation = \"loss\" nats are predicted"
		}
	} else if !p.Mild() {
		unit += "\n                beyond the estimate's range of about 10%: expect several times as much, before any fine-tuning"
	}
	_, err := fmt.Fprintf(out, "\nbudget          %d %s of %d (%d left, less than any step)\npredicted loss  %s: %s\nwhole model     %d parameters, %d bytes before; %d parameters, %d bytes after\n",
		p.Budget.Limit, p.Budget.Unit, p.Budget.Dense, p.Budget.Limit-used(p), loss(p, p.Loss), unit, p.Whole[0].Params, p.Whole[0].Bytes, p.Whole[1].Params, p.Whole[1].Bytes)
	return err
}

func used(p *compress.Plan) int {
	if p.Budget.Unit == "params" {
		return p.After.Params
	}
	return p.After.Bytes
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(of) }

func loss(p *compress.Plan, x float64) string {
	if p.Measure == "fisher" {
		return nats(x)
	}
	if x > 0 && x < 1e-3 {
		return fmt.Sprintf("%.2g", x)
	}
	return fmt.Sprintf("%.4f", x)
}

// nats is a change of the loss with four decimals, or two digits of a small one.
func nats(x float64) string {
	if x != 0 && math.Abs(x) < 1e-3 {
		return fmt.Sprintf("%+.2g", x)
	}
	return fmt.Sprintf("%+.4f", x)
}

func flooredText(l compress.LayerPlan) string {
	if l.FlooredRows+l.FlooredCols == 0 {
		return "-"
	}
	return fmt.Sprintf("%d outputs, %d inputs", l.FlooredRows, l.FlooredCols)
}
