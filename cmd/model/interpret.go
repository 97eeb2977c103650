package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/interpret"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/saved"
)

// interpretCommand has the commands that look inside a model.
func interpretCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "interpret",
		Short: "Find out what the parts of a model stand for",
		Long: "Find out what the parts of a model stand for: features are groups of neurons whose sums make up what its MLPs hold. fit finds\n" +
			"them, the others look at what was found.",
	}
	c.AddCommand(interpretFitCommand(), interpretShowCommand(), interpretEncodeCommand(), interpretHierarchyCommand(), interpretCompareCommand(), interpretScoreCommand())
	return c
}

// interruptible is a context that ends at an interrupt.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt)
}

func interpretFitCommand() *cobra.Command {
	var file, out string
	var set []string
	c := &cobra.Command{
		Use:     "fit RUN|CHECKPOINT -o FOLDER",
		Short:   "Find features of a model's MLPs",
		Example: "  model interpret fit runs/quickstart -o runs/features --set interpret.layers=[2] --set interpret.baselines=true",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := interpret.Load(file, set)
			if err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			f, err := interpret.Fit(ctx, args[0], cfg, out, os.Stderr)
			if ctx.Err() != nil {
				return fmt.Errorf("%w; nothing is written", shell.ErrInterrupted)
			}
			if err != nil {
				return err
			}
			fmt.Printf("features    %s\nnext:\n  %s\n", f.Dir, shell.Command("model", "interpret", "show", f.Dir, "-o", "features.html"))
			return nil
		},
	}
	c.Flags().StringVarP(&file, "config", "c", "", "TOML file with a table [interpret] (default: 100 features of the middle layer)")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the config, as in interpret.features=50 (repeatable)")
	c.Flags().StringVarP(&out, "output", "o", "", "folder to write")
	c.MarkFlagRequired("output")
	cli.Threads(c)
	return c
}

func interpretScoreCommand() *cobra.Command {
	var model, base string
	var asJSON bool
	o := interpret.ScoreOptions{Seed: 1}
	c := &cobra.Command{
		Use:   "score FEATURES",
		Short: "Measure whether features steer a decoder to what they stand for",
		Long: "Measure whether features steer a decoder to what they stand for. Each is added so that the next token changes by --kl nats on\n" +
			"32 contexts; the score is by how many nats that raises the probability of the tokens which follow its strongest tokens, on\n" +
			"200 other contexts. Features of all methods in the folder are scored; random ones say what chance does.",
		Example: "  model interpret score runs/features --features 24",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Features < 0 || o.Texts < 0 {
				return cli.Usagef("--features %d, --texts %d; want 0 or more", o.Features, o.Texts)
			}
			f, l, err := openFeatures(args[0], model, base)
			if err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			var shown *progress.Progress
			scores, err := f.Score(ctx, l, o, func(done, total int) {
				if shown == nil {
					shown = progress.New(os.Stderr, total, 0)
					shown.Plain()
				}
				shown.Step(done, 0, 0)
			})
			if shown != nil {
				shown.Close()
			}
			switch {
			case ctx.Err() != nil:
				return shell.ErrInterrupted
			case err != nil:
				return err
			case asJSON:
				return json.NewEncoder(os.Stdout).Encode(scores)
			}
			return interpret.WriteScores(os.Stdout, scores, o.KL)
		},
	}
	c.Flags().IntVar(&o.Features, "features", 24, "of each method, drawn by how many tokens use them (0: all)")
	c.Flags().Float64Var(&o.KL, "kl", 0.25, "divergence of the next token, nats")
	c.Flags().IntVar(&o.Texts, "texts", 0, "features of each method of the middle layer by which texts are written and measured too")
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "of the draw of features")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	featureFlags(c, &model, &base)
	return c
}

// featureFlags are those of commands that run the model of a features folder.
func featureFlags(c *cobra.Command, model, base *string) {
	c.Flags().StringVar(model, "model", "", "the run or checkpoint that the features are of, if that has moved")
	baseFlag(c, base)
	cli.Threads(c)
}

// openFeatures opens a features folder and its model.
func openFeatures(dir, path, base string) (*interpret.Folder, *saved.Model, error) {
	f, err := interpret.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	if path == "" {
		path = f.Parent.Path
	}
	l, err := saved.OpenOn(path, base, false, model.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("the model of %s (elsewhere? name it by --model): %w", dir, err)
	}
	return f, l, f.Check(l)
}

func interpretShowCommand() *cobra.Command {
	var out string
	var methods []string
	var judge interpret.Judge
	c := &cobra.Command{
		Use:     "show FEATURES -o FILE",
		Short:   "Draw features as an HTML page that needs nothing else",
		Example: "  model interpret show runs/features -o features.html --method snmf",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := interpret.Open(args[0])
			if err != nil {
				return err
			}
			for _, m := range methods {
				if !slices.Contains(interpret.Methods(), m) {
					return cli.Usagef("--method %s; want one of %s", m, strings.Join(interpret.Methods(), ", "))
				}
			}
			if c.Flags().Changed("judge") {
				ctx, stop := interruptible()
				defer stop()
				if err := describe(ctx, f, judge); err != nil {
					return err
				}
			}
			var b bytes.Buffer
			if err := f.WritePage(&b, methods); err != nil {
				return err
			}
			if err := checkpoints.WriteFileAtomic(out, b.Bytes()); err != nil {
				return err
			}
			fmt.Printf("page        %s, %d bytes: open it in a browser\n", out, b.Len())
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "HTML file to write")
	c.Flags().StringVar(&judge.URL, "judge", "", "let a language model say what features stand for, first: `URL` of an endpoint of OpenAI's kind, up to /v1")
	c.Flags().StringVar(&judge.Model, "judge-model", "", "with --judge: its name there")
	c.Flags().StringArrayVar(&methods, "method", nil, "features by this `METHOD` alone (repeatable)")
	c.MarkFlagRequired("output")
	return c
}

// describe lets a judge say what features stand for.
func describe(ctx context.Context, f *interpret.Folder, judge interpret.Judge) error {
	var shown *progress.Progress
	err := f.Describe(ctx, judge, func(done, total int) {
		if shown == nil {
			shown = progress.New(os.Stderr, total, 0)
			shown.Plain()
		}
		shown.Step(done, 0, 0)
	})
	if shown != nil {
		shown.Close()
	}
	return err
}

func interpretHierarchyCommand() *cobra.Command {
	var sizes []int
	c := &cobra.Command{
		Use:     "hierarchy FEATURES --sizes N,N",
		Short:   "Factorize the features themselves, by fewer and fewer",
		Example: "  model interpret hierarchy runs/features --sizes 50,25,10",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := interpret.Open(args[0])
			if err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			if err := f.Hierarchy(ctx, sizes); err != nil {
				return err
			}
			for _, s := range f.Sets {
				for _, l := range s.Tree {
					fmt.Printf("layer %d  %d features above, relative error %.4f, %d edges\n", s.Layer, l.Features, l.Error, len(l.Edges))
				}
			}
			fmt.Printf("next:\n  %s\n", shell.Command("model", "interpret", "show", f.Dir, "-o", "features.html"))
			return nil
		},
	}
	c.Flags().IntSliceVar(&sizes, "sizes", nil, "features of each level, falling")
	c.MarkFlagRequired("sizes")
	cli.Threads(c)
	return c
}

func interpretEncodeCommand() *cobra.Command {
	var path, base, text, method string
	var layer, top int
	var asJSON bool
	c := &cobra.Command{
		Use:     "encode FEATURES --text TEXT",
		Short:   "Say which features the tokens of a text have",
		Example: "  model interpret encode runs/features --layer 2 --text \"func main() {\"",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if top < 1 {
				return cli.Usagef("--top %d; want 1 or more", top)
			}
			f, l, err := openFeatures(args[0], path, base)
			if err != nil {
				return err
			}
			if !c.Flags().Changed("layer") {
				layer = f.Sets[0].Layer
			}
			s, err := f.Find(layer, method)
			if err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			tokens, err := f.Encode(ctx, l, s, text, top)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(os.Stdout).Encode(tokens)
			}
			for _, t := range tokens {
				fmt.Printf("%-16q", t.Token)
				for _, a := range t.Features {
					fmt.Printf("  %d %.3g", a.Feature, a.Coefficient)
				}
				fmt.Printf("  (%.0f%% left)\n", 100*t.Error)
			}
			return nil
		},
	}
	c.Flags().StringVar(&text, "text", "", "what to encode")
	c.Flags().IntVar(&layer, "layer", 0, "of the features (default: the first that was fitted)")
	c.Flags().StringVar(&method, "method", interpret.SNMF, "by which they were found")
	c.Flags().IntVar(&top, "top", 5, "features of each token, the strongest first")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	c.MarkFlagRequired("text")
	featureFlags(c, &path, &base)
	return c
}

func interpretCompareCommand() *cobra.Command {
	var asJSON bool
	var alike float64
	c := &cobra.Command{
		Use:     "compare FEATURES FEATURES",
		Short:   "Say how alike the features of two fits are",
		Example: "  model interpret compare runs/features runs/features-seed2",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := interpret.Open(args[0])
			if err != nil {
				return err
			}
			b, err := interpret.Open(args[1])
			if err != nil {
				return err
			}
			all, err := interpret.Compare(a, b, alike)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(os.Stdout).Encode(all)
			}
			for _, x := range all {
				fmt.Printf("layer %d  %-10s  mean cosine %.3f, %.0f%% of %d features with at least %g\n", x.Layer, x.Method, x.Mean, 100*x.Above, len(x.Pairs), alike)
			}
			return nil
		},
	}
	c.Flags().Float64Var(&alike, "alike", 0.7, "cosine from which two features count as one")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array, with the pairs")
	return c
}
