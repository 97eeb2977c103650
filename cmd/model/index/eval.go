package index

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/internal/cli"
	"sparrow/metrics/chart"
	"sparrow/retrieval"
)

func evalCommand() *cobra.Command {
	var queries, out, truthFile string
	var budgets, ks []int
	var methods []string
	var asJSON bool
	var f scorerFlags
	var m methodFlags
	c := &cobra.Command{
		Use:   "eval INDEX",
		Short: "Measure how much of what scoring everything finds is found",
		Long: "Score queries with every item, once, and measure how much of the k best each method finds at each budget. Pairs are kept in the\n" +
			"folder of the index, so that an interrupted command goes on and a later one with the same queries scores nothing.\n\n" +
			"Queries of a .jsonl file may have gold, the id or the text of the item that answers them: then the share of queries whose gold\n" +
			"item is among those found stands beside. A k whose last item stands out by less than a standard deviation is undecided: many items\n" +
			"are about as good.",
		Example: "  model index eval runs/index --queries test.txt --budgets 50,100,200 --k 1,10,50 -o runs/index-eval",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			asked, err := retrieval.ReadQueries(queries)
			if err != nil {
				return err
			}
			x, err := retrieval.Open(args[0])
			if err != nil {
				return err
			}
			trials, err := trialsOf(x, methods, m)
			if err != nil {
				return err
			}
			if ks, budgets, err = checked(x, ks, budgets, c.Flags().Changed("k")); err != nil {
				return err
			}
			s, e, err := f.tools(x, true)
			if err != nil {
				return err
			}
			if truthFile == "" {
				truthFile = filepath.Join(args[0], "truth.pairs")
			}
			pairs, err := retrieval.OpenPairs(truthFile, s)
			if err != nil {
				return err
			}
			defer pairs.Close()
			a := retrieval.NewAsker(s, pairs)
			shown, done := &pairsProgress{unit: "pairs"}, 0
			a.After = func(n int) { done += n; shown.step(done, len(asked)*len(x.Items)) }
			return run(func(ctx context.Context) error {
				truth, pair, err := x.Truth(ctx, a, asked)
				shown.close()
				if err != nil {
					return err
				}
				shown = &pairsProgress{unit: "searches"}
				r, err := x.Evaluate(ctx, e, asked, truth, trials, budgets, ks, shown.step)
				shown.close()
				if err != nil {
					return err
				}
				r.Pair = pair
				if out != "" {
					if err := writeReport(out, r, ks); err != nil {
						return err
					}
				}
				if asJSON {
					return json.NewEncoder(os.Stdout).Encode(r)
				}
				printReport(r, x)
				return nil
			}, goesOn)
		},
	}
	c.Flags().StringVar(&queries, "queries", "", "file of queries that were no anchors")
	c.Flags().IntSliceVar(&budgets, "budgets", []int{50, 100, 200, 400}, "pairs that may be scored")
	c.Flags().IntSliceVar(&ks, "k", []int{1, 10, 50, 100}, "numbers of items to find")
	c.Flags().StringSliceVar(&methods, "methods", nil, "methods of model search (default: all that the index can)")
	c.Flags().StringVarP(&out, "output", "o", "", "folder for report.json and a chart for each k (empty: none)")
	c.Flags().StringVar(&truthFile, "truth", "", "file of scored pairs (empty: truth.pairs in the folder of the index)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.MarkFlagRequired("queries")
	m.flags(c)
	f.flags(c)
	cli.Threads(c)
	return c
}

// trialsOf are the methods to compare, each as the flags say.
func trialsOf(x *retrieval.Index, methods []string, m methodFlags) (trials []retrieval.Trial, err error) {
	all := methods
	if len(all) == 0 {
		all = words(retrieval.Methods)
	}
	for _, name := range all {
		r := m.request(name)
		r.K, r.Budget = 1, 1
		if err := x.Check(r); err == nil {
			trials = append(trials, retrieval.Trial{Name: name, Request: r})
		} else if len(methods) > 0 {
			return nil, err
		}
	}
	return trials, nil
}

// checked are the numbers that fit the index; numbers that nobody asked for are dropped where it is too small.
func checked(x *retrieval.Index, ks, budgets []int, asked bool) ([]int, []int, error) {
	n := len(x.Items)
	if !asked {
		ks = slices.DeleteFunc(slices.Clone(ks), func(k int) bool { return k > n })
	}
	for _, k := range ks {
		if k < 1 || k > n {
			return nil, nil, cli.Usagef("--k has %d; want 1 to %d, the items that there are", k, n)
		}
	}
	for _, b := range budgets {
		if b < 1 {
			return nil, nil, cli.Usagef("--budgets has %d; want 1 or more", b)
		}
	}
	return ks, budgets, nil
}

func printReport(r *retrieval.Report, x *retrieval.Index) {
	fmt.Printf("queries     %d\nitems       %d\n", r.Queries, r.Items)
	if r.Pair > 0 {
		fmt.Printf("pair        %.2g ms\n", 1000*r.Pair)
	}
	fmt.Printf("building    %d pairs, %.1f s\n", x.Info.Calls, x.Info.Seconds)
	golden := false
	for _, k := range r.Ranks {
		note := ""
		if k.Undecided() {
			note = ", undecided: many items are about as good"
		}
		fmt.Printf("k = %-6d  the last stands %.2f standard deviations above the mean%s\n", k.K, k.Stands, note)
		golden = golden || k.Gold >= 0
	}
	fmt.Printf("\n%-14s %8s %6s %8s", "method", "budget", "k", "recall")
	if golden {
		fmt.Printf(" %8s", "gold")
	}
	fmt.Printf(" %8s %10s\n", "calls", "ms beside")
	for _, v := range r.Recalls {
		fmt.Printf("%-14s %8d %6d %8.3f", v.Name, v.Budget, v.K, v.Recall)
		if golden {
			fmt.Printf(" %8.3f", v.Gold)
		}
		fmt.Printf(" %8.0f %10.1f\n", v.Calls, 1000*v.Seconds)
	}
}

// writeReport writes report.json and for each k a chart of recall over budgets.
func writeReport(dir string, r *retrieval.Report, ks []int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := checkpoints.WriteFileAtomic(filepath.Join(dir, "report.json"), append(text, '\n')); err != nil {
		return err
	}
	for _, k := range ks {
		c := chart.Chart{Title: fmt.Sprintf("How many of the %d best are found", k), XLabel: "pairs scored", YLabel: "recall"}
		for _, v := range r.Recalls {
			if v.K != k || v.Name == string(retrieval.Exact) {
				continue
			}
			if n := len(c.Lines); n == 0 || c.Lines[n-1].Name != v.Name {
				c.Lines = append(c.Lines, chart.Line{Name: v.Name, Look: n})
			}
			at := &c.Lines[len(c.Lines)-1]
			at.X, at.Y = append(at.X, float64(v.Budget)), append(at.Y, v.Recall)
		}
		var svg bytes.Buffer
		if err := c.Write(&svg); err != nil {
			return err
		}
		if err := checkpoints.WriteFileAtomic(filepath.Join(dir, fmt.Sprintf("recall-%d.svg", k)), svg.Bytes()); err != nil {
			return err
		}
	}
	return nil
}
