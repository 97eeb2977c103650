package index

import (
	"context"
	"fmt"

	"sparrow/retrieval"
	"sparrow/saved"
	"sparrow/serve"
)

// rememberedPairs is how many scored pairs a server keeps for queries that come again.
const rememberedPairs = 1 << 20

// Searcher searches an index by a model that is open, for a server. int8s says whether the model computes by products of
// 8-bit integers, dense where the index's sentence encoder is; "": where it was.
func Searcher(l *saved.Model, int8s bool, dir, dense string) (func(ctx context.Context, query string, k, budget int, method string) (serve.SearchResults, error), error) {
	x, err := retrieval.Open(dir)
	if err != nil {
		return nil, err
	}
	s, err := retrieval.NewCheckpoint(l, int8s)
	if err != nil {
		return nil, err
	}
	if err := x.Fits(s); err != nil {
		return nil, err
	}
	var e retrieval.Encoder
	if x.Info.Dense != nil {
		if dense == "" {
			dense = x.Info.Dense.Name
		}
		b, err := retrieval.OpenBiEncoder(dense)
		if err != nil {
			return nil, fmt.Errorf("the sentence encoder of index %s: %w; if it has moved, say where by dense in [[models]]", dir, err)
		}
		if err := x.FitsDense(b); err != nil {
			return nil, err
		}
		e = b
	}
	pairs := retrieval.NewPairs(rememberedPairs)
	return func(ctx context.Context, query string, k, budget int, method string) (out serve.SearchResults, err error) {
		r := retrieval.Request{Query: query, K: k, Budget: budget, Method: retrieval.Method(method), Seed: 1}
		found, err := x.Search(ctx, retrieval.Tools{Asker: retrieval.NewAsker(s, pairs), Dense: e}, r)
		if err != nil {
			return out, err
		}
		out.Calls, out.Results = found.Calls, []serve.SearchedHit{}
		for _, h := range found.Hits {
			item := x.Items[h.Place]
			out.Results = append(out.Results, serve.SearchedHit{ID: item.ID, Text: item.Text, Score: h.Score})
		}
		return out, nil
	}, nil
}
