package index

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sparrow/internal/cli"
	"sparrow/retrieval"
)

// methodFlags say how to search.
type methodFlags struct {
	share  float64
	rounds int
	start  string
	sample bool
	seed   uint64
}

func (m *methodFlags) flags(c *cobra.Command) {
	c.Flags().Float64Var(&m.share, "share", 0, "of the budget, for anchors (0: a quarter; of adacur and axn a half)")
	c.Flags().IntVar(&m.rounds, "rounds", 0, "in which adacur and axn score anchors (0: 5)")
	c.Flags().StringVar(&m.start, "start", "", "what adacur and axn score first: chosen, random, vectors or bm25 (default: vectors if the index has them, else chosen)")
	c.Flags().BoolVar(&m.sample, "sample", false, "adacur and axn draw later anchors by what looks good, rather than take the best")
	c.Flags().Uint64Var(&m.seed, "seed", 1, "of what is drawn")
	cli.Choices(c, "start", words(retrieval.Starts)...)
}

func (m *methodFlags) request(method string) retrieval.Request {
	return retrieval.Request{Method: retrieval.Method(method), Share: m.share, Rounds: m.rounds, Start: retrieval.Start(m.start), Sample: m.sample, Seed: m.seed}
}

func words[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return out
}

// SearchCommand finds items.
func SearchCommand() *cobra.Command {
	var budget, k int
	var method string
	var asJSON bool
	var f scorerFlags
	var m methodFlags
	c := &cobra.Command{
		Use:   "search INDEX TEXT...",
		Short: "Find the items that a model of pairs ranks first",
		Long: "Find the items that a model of pairs ranks first for each text, at a budget of pairs. Prints a line for each item, the best first:\n" +
			"its score, its id if it has one, and its text, with tabs between them.\n\n" +
			"anncur scores anchors, predicts all others from them and scores the best; adacur chooses its anchors in rounds; axn fits a query\n" +
			"vector over those of the index's sentence encoder. rerank-dense and rerank-bm25 score what is nearest by vectors or by words,\n" +
			"rerank-mean what is liked whatever the query, fixed the nearest by the anchors' own scores, exact everything.",
		Example: "  model search runs/index 'sorts a slice in place' --budget 200 --k 10\n  model search runs/index 'opens a file' --method anncur --json",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			x, err := retrieval.Open(args[0])
			if err != nil {
				return err
			}
			r := m.request(method)
			r.Budget, r.K = budget, min(k, len(x.Items))
			if k < 1 {
				r.K = k // which the index refuses
			}
			if !c.Flags().Changed("budget") {
				r.Budget = max(r.Budget, r.K)
			}
			if err := x.Check(r); err != nil {
				return err
			}
			s, e, err := f.tools(x, true)
			if err != nil {
				return err
			}
			return run(func(ctx context.Context) error {
				for _, text := range args[1:] {
					r.Query = text
					began := time.Now()
					found, err := x.Search(ctx, retrieval.Tools{Asker: retrieval.NewAsker(s, nil), Dense: e}, r)
					if err != nil {
						return err
					}
					if err := printFound(x, text, found, asJSON); err != nil {
						return err
					}
					fmt.Fprintf(os.Stderr, "%d of %d pairs scored in %.2f s\n", found.Calls, len(x.Items), time.Since(began).Seconds())
				}
				return nil
			}, "run the command again")
		},
	}
	c.Flags().IntVar(&budget, "budget", 100, "pairs that the scorer may score")
	c.Flags().IntVar(&k, "k", 10, "items to find")
	c.Flags().StringVar(&method, "method", string(retrieval.ADACUR), "how: adacur, anncur, axn, rerank-dense, rerank-bm25, rerank-mean, fixed or exact")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a text")
	cli.Choices(c, "method", words(retrieval.Methods)...)
	m.flags(c)
	f.flags(c)
	cli.Threads(c)
	return c
}

// hit is an item as it is printed.
type hit struct {
	Score float64 `json:"score"`
	retrieval.Item
}

func printFound(x *retrieval.Index, text string, found retrieval.Found, asJSON bool) error {
	var hits []hit
	for _, h := range found.Hits {
		hits = append(hits, hit{h.Score, x.Items[h.Place]})
	}
	if asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetEscapeHTML(false)
		return out.Encode(struct {
			Query string `json:"query"`
			Calls int    `json:"calls"`
			Items []hit  `json:"items"`
		}{text, found.Calls, hits})
	}
	for _, h := range hits {
		id := ""
		if h.ID != "" {
			id = h.ID + "\t"
		}
		if _, err := fmt.Printf("%.4f\t%s%s\n", h.Score, id, h.Text); err != nil {
			return err
		}
	}
	return nil
}
