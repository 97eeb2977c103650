package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/configs"
	"sparrow/data"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/retrieval"
)

// Command has the commands that make and measure an index.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "index",
		Short: "Build an index of items for search by a model of pairs",
		Long: "Build an index of items, from which `model search` finds those that a model of pairs ranks first for a query without scoring\n" +
			"each. build makes one, add and remove change it, eval measures how much of what scoring everything finds is found. mine and teach make\n" +
			"the data that models for it learn from.",
	}
	c.AddCommand(buildCommand(), addCommand(), removeCommand(), evalCommand(), mineCommand(), teachCommand())
	return c
}

// scorerFlags say which scorer and which encoder are used, where they are not those of the index.
type scorerFlags struct{ scorer, dense, keyFile, compute string }

func (f *scorerFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.scorer, "scorer", "", "run, checkpoint or URL of the index's scorer, if that has moved")
	c.Flags().StringVar(&f.dense, "dense", "", "run or checkpoint of the index's sentence encoder, if that has moved")
	f.key(c)
}

func (f *scorerFlags) key(c *cobra.Command) {
	c.Flags().StringVar(&f.keyFile, "api-key-file", "", "file with the API key of a scorer that is a URL")
	c.Flags().StringVar(&f.compute, "compute", "", "of a scorer that is a checkpoint: float32, or int8, which is faster and another scorer (default: the index's, else float32)")
	cli.Choices(c, "compute", "float32", "int8")
}

// open opens a scorer: a re-ranker at a URL, whose model stands behind a #, or a checkpoint.
func (f *scorerFlags) open(where string) (retrieval.Scorer, error) {
	if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		if f.compute != "" && f.compute != "float32" && f.compute != "int8" {
			return nil, cli.Usagef("--compute %s; want float32 or int8", f.compute)
		}
		return retrieval.OpenCheckpoint(where, f.compute == "int8")
	}
	h := retrieval.HTTP{}
	h.URL, h.Model, _ = strings.Cut(where, "#")
	if f.keyFile != "" {
		text, err := data.ReadFile(f.keyFile)
		if err != nil {
			return nil, cli.Usagef("--api-key-file: %w", err)
		}
		h.Key = strings.TrimSpace(string(text))
	}
	return h, nil
}

// tools opens what an index was built with.
func (f *scorerFlags) tools(x *retrieval.Index, encodes bool) (s retrieval.Scorer, e retrieval.Encoder, err error) {
	where := f.scorer
	if f.compute == "" && strings.HasPrefix(x.Info.Scorer.Hash, "int8 ") {
		f.compute = "int8"
	}
	if where == "" {
		where = x.Info.Scorer.Name
	}
	if s, err = f.open(where); err != nil {
		return nil, nil, fmt.Errorf("the index's scorer: %w; if it has moved, say where by --scorer", err)
	}
	if err := x.Fits(s); err != nil {
		return nil, nil, err
	}
	if !encodes || x.Info.Dense == nil {
		return s, nil, nil
	}
	if where = f.dense; where == "" {
		where = x.Info.Dense.Name
	}
	b, err := retrieval.OpenBiEncoder(where)
	if err != nil {
		return nil, nil, fmt.Errorf("the index's sentence encoder: %w; if it has moved, say where by --dense", err)
	}
	return s, b, x.FitsDense(b)
}

// run calls f with a context that an interrupt ends. again says what an interrupted command leaves.
func run(f func(ctx context.Context) error, again string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := f(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w; %s", shell.ErrInterrupted, again)
	}
	return err
}

const goesOn = "the pairs that were scored are kept: the same command goes on from there"

func buildCommand() *cobra.Command {
	var items, queries, file, out string
	var set []string
	var f scorerFlags
	c := &cobra.Command{
		Use:   "build CHECKPOINT|URL -o INDEX",
		Short: "Score anchor queries with every item",
		Long: "Score anchor queries with every item, choose the anchor items that tell most of the others, and write what follows into a folder.\n" +
			"The scorer is a model of pairs, a sentence encoder, or a re-ranker at a URL that answers as /v1/rerank of `model serve` (the name\n" +
			"of its model behind a #). Pairs are kept as they are scored: after an interrupt or a kill the same command goes on.\n\n" +
			"A file of items has a text a line, or in a .jsonl file objects with id, title and text. Queries likewise; those of --queries\n" +
			"should be such as will be asked, and are no longer needed after.",
		Example: "  model index build runs/cross --items items.txt --queries questions.txt -c configs/search/index.toml -o runs/index\n" +
			"  model index build http://127.0.0.1:8080/v1/rerank#minilm --items items.jsonl --queries questions.txt -o runs/index",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p := retrieval.Plan{Config: retrieval.DefaultConfig()}
			var err error
			if file == "" {
				err = configs.Decode("flags", nil, &p.Config, configs.Options{Set: set})
			} else {
				err = configs.Load(file, &p.Config, configs.Options{Set: set})
			}
			if err != nil {
				return err
			}
			if p.Items, err = retrieval.ReadItems(items); err != nil {
				return err
			}
			if p.Queries, err = retrieval.ReadQueries(queries); err != nil {
				return err
			}
			if p.Scorer, err = f.open(args[0]); err != nil {
				return err
			}
			if p.Config.Dense != "" {
				b, err := retrieval.OpenBiEncoder(p.Config.Dense)
				if err != nil {
					return err
				}
				p.Dense = b
			}
			shown := &pairsProgress{unit: "pairs"}
			p.Progress = shown.step
			return run(func(ctx context.Context) error {
				x, err := retrieval.Build(ctx, out, p)
				shown.close()
				if err != nil {
					return err
				}
				printBuilt(x, out)
				return nil
			}, goesOn)
		},
	}
	c.Flags().StringVar(&items, "items", "", "file of the items to find")
	c.Flags().StringVar(&queries, "queries", "", "file of queries, of which anchors are drawn")
	c.Flags().StringVarP(&file, "config", "c", "", "TOML file with the index's keys (default: 300 anchor queries, 200 anchors by strong RRQR)")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the config, as in anchors=100 (repeatable)")
	c.Flags().StringVarP(&out, "output", "o", "", "folder to write")
	f.key(c)
	for _, name := range []string{"items", "queries", "output"} {
		c.MarkFlagRequired(name)
	}
	cli.Threads(c)
	return c
}

// printBuilt tells what an index is, and whether it can work.
func printBuilt(x *retrieval.Index, dir string) {
	i, d := x.Info, x.Info.Spectrum
	fmt.Printf("index       %s\nitems       %d\nqueries     %d\nanchors     %d, %s\npairs       %d, %.1f s\n", dir, i.Items, len(x.Queries), len(i.Anchors), i.Config.Choose, i.Calls, i.Seconds)
	if i.Dense != nil {
		fmt.Printf("vectors     %s\n", i.Dense.Name)
	}
	fmt.Printf("k_0.9       %d of %d singular values have nine tenths of the energy, %d with the items' means\n", d.K90, d.Queries, d.K90Full)
	fmt.Printf("condition   %.3g of the anchors\n", d.Cond)
	if d.Hopeless() {
		fmt.Fprintf(os.Stderr, "warning: the scores have no few directions: k_0.9 is more than half of the anchor queries, so anchors tell little of other items.\n"+
			"Compare the methods by `model index eval`; score more anchor queries, or search by axn or rerank-dense.\n")
	}
	k := min(10, i.Items)
	fmt.Printf("next:\n  %s\n", shell.Command("model", "search", dir, "TEXT", "--budget", fmt.Sprint(max(k, i.Items/10)), "--k", fmt.Sprint(k)))
}

func addCommand() *cobra.Command {
	var items string
	var f scorerFlags
	c := &cobra.Command{
		Use:     "add INDEX",
		Short:   "Put more items into an index",
		Long:    "Put more items into an index: each is scored with the anchor queries. Anchors stay. After an interrupt the same command goes on.",
		Example: "  model index add runs/index --items more.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			more, err := retrieval.ReadItems(items)
			if err != nil {
				return err
			}
			x, err := retrieval.Open(args[0])
			if err != nil {
				return err
			}
			p := retrieval.Plan{Config: retrieval.DefaultConfig()}
			if p.Scorer, p.Dense, err = f.tools(x, true); err != nil {
				return err
			}
			shown := &pairsProgress{unit: "pairs"}
			p.Progress = shown.step
			return run(func(ctx context.Context) error {
				x, err := retrieval.Add(ctx, args[0], more, p)
				shown.close()
				if err == nil {
					fmt.Printf("items       %d, %d new\n", len(x.Items), len(more))
				}
				return err
			}, goesOn)
		},
	}
	c.Flags().StringVar(&items, "items", "", "file of the items to add")
	c.MarkFlagRequired("items")
	f.flags(c)
	cli.Threads(c)
	return c
}

func removeCommand() *cobra.Command {
	var items string
	c := &cobra.Command{
		Use:   "remove INDEX",
		Short: "Take items out of an index",
		Long: "Take items out of an index: those of a file, by their id, or by their text where they have none. After items were added, removing\n" +
			"them gives the same bytes as before.",
		Example: "  model index remove runs/index --items gone.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			gone, err := retrieval.ReadItems(items)
			if err != nil {
				return err
			}
			before, err := retrieval.Open(args[0])
			if err != nil {
				return err
			}
			x, err := retrieval.Remove(args[0], gone)
			if err != nil {
				return err
			}
			fmt.Printf("items       %d, %d fewer\n", len(x.Items), len(gone))
			if lost := len(before.Info.Anchors) - len(x.Info.Anchors); lost > 0 {
				fmt.Printf("anchors     %d, %d fewer\n", len(x.Info.Anchors), lost)
				if 2*len(x.Info.Anchors) < x.Info.Config.Anchors {
					fmt.Fprintln(os.Stderr, "warning: fewer than half of the anchors are left: build the index anew by `model index build` if searches find less")
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&items, "items", "", "file of the items to remove")
	c.MarkFlagRequired("items")
	cli.Threads(c)
	return c
}
