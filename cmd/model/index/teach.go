package index

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sparrow/checkpoints"
	"sparrow/internal/cli"
	"sparrow/internal/shell"
	"sparrow/retrieval"
)

func mineCommand() *cobra.Command {
	var items, queries, method, dense, out string
	var n int
	var seed uint64
	c := &cobra.Command{
		Use:   "mine -o FILE",
		Short: "Find hard negatives for a cross-encoder",
		Long: "Find for each query that has a gold item others that look as if they answered it, by the words that they share with it or by the\n" +
			"vectors of a sentence encoder. The file that is written is what a network with [model.ranking] learns from: source = \"groups\".",
		Example: "  model index mine --items items.txt --queries questions.jsonl --negatives 31 -o groups.jsonl\n" +
			"  model index mine --items items.txt --queries questions.jsonl --method vectors --dense models/minilm -o groups.jsonl",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := retrieval.ReadItems(items)
			if err != nil {
				return err
			}
			asked, err := retrieval.ReadQueries(queries)
			if err != nil {
				return err
			}
			var e retrieval.Encoder
			if dense != "" {
				b, err := retrieval.OpenBiEncoder(dense)
				if err != nil {
					return err
				}
				e = b
			}
			shown := &pairsProgress{unit: "queries"}
			return run(func(ctx context.Context) error {
				groups, err := retrieval.Mine(ctx, asked, all, retrieval.Miner(method), e, n, seed, shown.step)
				shown.close()
				if err != nil {
					return err
				}
				var text bytes.Buffer
				w := json.NewEncoder(&text)
				w.SetEscapeHTML(false)
				for _, g := range groups {
					if err := w.Encode(g); err != nil {
						return err
					}
				}
				if err := checkpoints.WriteFileAtomic(out, text.Bytes()); err != nil {
					return err
				}
				fmt.Printf("groups      %d, each with %d negatives\n", len(groups), n)
				return nil
			}, "run the command again")
		},
	}
	c.Flags().StringVar(&items, "items", "", "file of items")
	c.Flags().StringVar(&queries, "queries", "", ".jsonl file of queries with gold, the id or the text of the item that answers each")
	c.Flags().StringVar(&method, "method", string(retrieval.MineBM25), "what finds negatives: bm25, vectors or random")
	c.Flags().StringVar(&dense, "dense", "", "run or checkpoint of a sentence encoder, for vectors")
	c.Flags().IntVar(&n, "negatives", 31, "of each query")
	c.Flags().Uint64Var(&seed, "seed", 1, "of random")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write")
	for _, name := range []string{"items", "queries", "output"} {
		c.MarkFlagRequired(name)
	}
	cli.Choices(c, "method", words(retrieval.Miners)...)
	cli.Threads(c)
	return c
}

func teachCommand() *cobra.Command {
	var out string
	var each int
	var seed uint64
	c := &cobra.Command{
		Use:   "teach INDEX -o FILE",
		Short: "Write pairs with scores that an index knows",
		Long: "Write pairs with scores that an index knows, from which a sentence encoder learns to rank as the index's scorer does: of each anchor\n" +
			"query the best half of --each, and as many others by chance. Scores run from 0 to 1. Nothing is scored anew.",
		Example: "  model index teach runs/index -o lessons.tsv\n  train run -c configs/search-distilled.toml",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			x, err := retrieval.Open(args[0])
			if err != nil {
				return err
			}
			all, err := x.Lessons(min(each, len(x.Items)), seed)
			if err != nil {
				return err
			}
			var text bytes.Buffer
			text.WriteString("query\titem\tscore\n")
			plain := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")
			for _, l := range all {
				fmt.Fprintf(&text, "%s\t%s\t%.6f\n", plain.Replace(l.Query), plain.Replace(l.Item), l.Score)
			}
			if err := checkpoints.WriteFileAtomic(out, text.Bytes()); err != nil {
				return err
			}
			fmt.Printf("pairs       %d\nnext:\n  %s\n", len(all), shell.Command("train", "run", "-c", "configs/search-distilled.toml", "--set", "data.train="+out))
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "file to write: query, item and score with tabs between them")
	c.Flags().IntVar(&each, "each", 64, "pairs of each anchor query")
	c.Flags().Uint64Var(&seed, "seed", 1, "of those by chance")
	c.MarkFlagRequired("output")
	cli.Threads(c)
	return c
}
