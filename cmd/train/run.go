package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/group"
	"sparrow/internal/cli"
	"sparrow/internal/machine"
	"sparrow/internal/shell"
	"sparrow/metrics"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/train"
)

func runCommand() *cobra.Command {
	var file, dir, accounting string
	var set []string
	var force, dry, asJSON bool
	c := &cobra.Command{
		Use:   "run -c FILE [--set KEY=VALUE]... [-o DIR]",
		Short: "Train a model",
		Example: "  train run -c configs/quickstart.toml\n" +
			"  train run -c configs/tiny.toml --set train.steps=500 -o runs/longer",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, like, err := train.Load(file, set)
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join("runs", cfg.Name)
			}
			if dry {
				return dryRun(c.Context(), like, cfg, accounting)
			}
			if accounting != "" {
				return cli.Usagef("--accounting is for --dry-run: a run has the memory that it has")
			}
			return together(dir, func(g *group.Group, out io.Writer) (*train.Trainer, bool, error) {
				t, err := train.NewAmong(context.Background(), g, like, cfg, dir, force, out)
				return t, false, err
			}, asJSON)
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "TOML file that describes the run")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the config, as in train.steps=100 (repeatable)")
	c.Flags().StringVarP(&dir, "output", "o", "", "folder of the run (default runs/<name>)")
	c.Flags().BoolVar(&force, "force", false, "replace an earlier run in the folder")
	c.Flags().BoolVar(&dry, "dry-run", false, "print the resolved config and the memory plan, and train nothing")
	c.Flags().StringVar(&accounting, "accounting", "", "with --dry-run, count memory as `NAME` does as well: paper")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as one JSON object")
	c.MarkFlagRequired("config")
	cli.Threads(c)
	return c
}

func resumeCommand() *cobra.Command {
	var set []string
	var base string
	var asJSON bool
	c := &cobra.Command{
		Use:     "resume DIR [--set KEY=VALUE]...",
		Short:   "Continue a run from its newest checkpoint",
		Example: "  train resume runs/quickstart\n  train resume runs/quickstart --set train.steps=2000",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return together(args[0], func(g *group.Group, out io.Writer) (*train.Trainer, bool, error) {
				return train.ResumeAmong(context.Background(), g, args[0], base, set, out)
			}, asJSON)
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the saved config (repeatable)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as one JSON object")
	c.Flags().StringVar(&base, "base", "", "of an adapter: the run or checkpoint it was trained on, if that has moved")
	cli.Threads(c)
	return c
}

// finish trains to the end and prints what came out.
func finish(t *train.Trainer, g *group.Group, dir string, asJSON bool) error {
	resume := shell.Command("train", "resume", dir)
	tell := t.Message
	if g.Size() > 1 { // a launcher tells the others so when one has died, and they cannot end the step
		tell = func(string, ...any) {
			fmt.Fprintf(os.Stderr, "rank %d of %d: told to stop after step %d: stopping when all processes have ended the step; if one of them is gone, continue from the newest checkpoint by: %s\n",
				g.Rank(), g.Size(), t.Step(), resume)
		}
	}
	interrupt := train.NotifyInterrupt(tell, func(code int) {
		t.CloseProgress()
		fmt.Fprintf(os.Stderr, "stopped at once; continue from the newest checkpoint by: %s\n", resume)
		os.Exit(code)
	})
	defer interrupt.Stop()
	r, err := t.Run(context.Background(), interrupt.Interrupted)
	if errors.Is(err, shell.ErrInterrupted) {
		return fmt.Errorf("%w; the state is saved, continue it by: %s", shell.ErrInterrupted, resume)
	}
	if err != nil {
		return err
	}
	if g.Rank() > 0 {
		return nil
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(resultOf(r, dir))
	}
	printResult(os.Stdout, r, dir)
	return nil
}

// result is what --json prints of a run.
type result struct {
	Run        string             `json:"run"`
	Scores     map[string]float64 `json:"scores"` // on the validation subset, after the last step
	Metric     string             `json:"metric"` // that the best checkpoint is best by
	Best       float64            `json:"best"`
	BestLoss   float64            `json:"best_loss"`
	Checkpoint string             `json:"checkpoint"` // the best one
	Parameters int                `json:"parameters"`
	Trained    int                `json:"trained"` // of unit
	Unit       string             `json:"unit"`
	Seconds    float64            `json:"seconds"`
	Early      bool               `json:"stopped_early"`
	Sample     string             `json:"sample,omitempty"`
	Report     string             `json:"report"`
}

func resultOf(r train.Result, dir string) result {
	scores := map[string]float64{}
	for _, v := range r.Score.Values {
		scores[v.Name] = v.X
	}
	return result{dir, scores, r.Metric, r.BestMetric, r.BestLoss, r.Best, r.Parameters, r.Tokens, r.Score.Unit, r.Duration.Seconds(), r.Stopped, r.Sample, filepath.Join(dir, "report.html")}
}

func printResult(w io.Writer, r train.Result, dir string) {
	unit := r.Score.Unit
	fmt.Fprintf(w, "validation loss  %s (%d %s)\n", r.Summary, r.Score.Count, unit)
	fmt.Fprintf(w, "trained          %s parameters on %s %s; this took %s\n", metrics.Count(r.Parameters), metrics.Count(r.Tokens), unit, r.Duration.Round(100*time.Millisecond))
	best := fmt.Sprintf("%.4f", r.BestMetric)
	if r.Metric != "loss" {
		best = strings.ReplaceAll(r.Metric, "_", " ") + " " + best
	}
	fmt.Fprintf(w, "best checkpoint  %s (%s)\n", r.Best, best)
	fmt.Fprintf(w, "loss plot        %s\n", r.Plot)
	fmt.Fprintf(w, "report           %s\n", filepath.Join(dir, "report.html"))
	if r.Changed != nil {
		fmt.Fprintf(w, "atoms changed    in each tenth of the run %s\n", r.Changed)
	}
	if r.Sample != "" {
		fmt.Fprintf(w, "\na sample:\n%s\n", r.Sample)
	}
	fmt.Fprintln(w, "\nnext:")
	next := func(verb string, args ...string) {
		fmt.Fprintln(w, " ", shell.Command("model", append([]string{verb, dir}, args...)...))
	}
	if r.Command != "" {
		line := shell.Command("model", append([]string{r.Command, dir}, r.Args...)...)
		if r.From != "" {
			line += " < " + shell.Quote(r.From)
		}
		fmt.Fprintln(w, " ", line)
	}
	next("eval")
	next("inspect")
}

// dryRun prints what a run would be, as a config file with the rest in comments.
func dryRun(ctx context.Context, like *saved.Model, cfg recipe.Config, accounting string) (err error) {
	var p train.Preview
	if like != nil {
		p, err = train.LookFrom(ctx, like, cfg)
	} else {
		p, err = train.Look(ctx, cfg)
	}
	if err != nil {
		return err
	}
	text, err := configs.EncodeBut(cfg, cfg.Idle())
	if err != nil {
		return err
	}
	extra := ""
	if accounting != "" {
		if extra, err = p.Accounting(cfg, accounting, "# "); err != nil {
			return err
		}
	}
	fmt.Printf("%s\n# data: %s\n# memory plan:\n%s", text, p.Data, p.Plan.Table("# "))
	if p.Fits != nil {
		fmt.Printf("# this machine refuses the run: it has %s\n", machine.Text())
	}
	fmt.Print(extra)
	return nil
}
