package retrieval

import (
	"context"
	"slices"

	"sparrow/data/labelled"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/task"
)

// Miner is what finds negatives.
type Miner string

// The miners.
const (
	MineBM25    Miner = "bm25"
	MineVectors Miner = "vectors" // the nearest by a sentence encoder
	MineRandom  Miner = "random"  // by chance: what mining is compared with
)

// Miners are all of them.
var Miners = []Miner{MineBM25, MineVectors, MineRandom}

// Mine finds for each query that has a gold item n others that look as if they answered it, by which a cross-encoder learns to tell them
// apart. Items with the text of the gold one are left out. dense may be nil where no vectors are asked for.
func Mine(ctx context.Context, queries []Query, items []Item, how Miner, dense Encoder, n int, seed uint64, progress func(done, total int)) ([]labelled.Group, error) {
	if n < 1 || n >= len(items) {
		return nil, task.Refusef("%d negatives of %d items; want 1 to %d", n, len(items), len(items)-1)
	}
	x := &Index{Items: items}
	gold, err := x.gold(queries)
	if err != nil {
		return nil, err
	}
	rank, err := ranker(ctx, items, how, dense, seed)
	if err != nil {
		return nil, err
	}
	var groups []labelled.Group
	for q, query := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(q+1, len(queries))
		}
		if gold[q] < 0 {
			continue
		}
		scores, err := rank(q, query.Text)
		if err != nil {
			return nil, err
		}
		g := labelled.Group{Query: query.Text, Positive: items[gold[q]].Text}
		for _, at := range descending(scores) {
			if text := items[at].Text; len(g.Negatives) < n && text != g.Positive && text != query.Text {
				g.Negatives = append(g.Negatives, text)
			}
		}
		groups = append(groups, g)
	}
	if len(groups) == 0 {
		return nil, task.Refusef("no query has a gold item; want a .jsonl file of queries with gold, the id or the text of the item that answers")
	}
	return groups, nil
}

// ranker scores all items for a query.
func ranker(ctx context.Context, items []Item, how Miner, dense Encoder, seed uint64) (func(q int, query string) ([]float64, error), error) {
	switch how {
	case MineBM25:
		words := NewBM25(textsOf(items))
		return func(_ int, query string) ([]float64, error) { return words.Scores(query), nil }, nil
	case MineRandom:
		return func(q int, _ string) ([]float64, error) {
			r, out := rng.New(seed, "retrieval/mine", uint64(q)<<32), make([]float64, len(items))
			for i := range out {
				out[i] = r.Float64()
			}
			return out, nil
		}, nil
	case MineVectors:
		if dense == nil {
			return nil, task.Refusef("negatives by vectors want a sentence encoder")
		}
		vectors, err := dense.Items(ctx, textsOf(items))
		if err != nil {
			return nil, err
		}
		return func(_ int, query string) ([]float64, error) {
			v, err := dense.Query(ctx, query)
			if err != nil {
				return nil, err
			}
			out := make([]float64, len(items))
			for i, w := range vectors {
				out[i] = float64(kernel.Dot(v, w))
			}
			return out, nil
		}, nil
	}
	return nil, task.Refusef("negatives by %q; want %s", how, names(Miners))
}

// Lesson is a pair with the scorer's score, brought to 0 to 1.
type Lesson struct {
	Query, Item string
	Score       float64
}

// Lessons are pairs that the index knows the scores of, by which a sentence encoder learns to rank as the scorer does without a call more:
// of each anchor query the best half of each, and as many others by chance. Scores run from 0, the least of all, to 1.
func (x *Index) Lessons(each int, seed uint64) ([]Lesson, error) {
	n := len(x.Items)
	if each < 2 || each > n {
		return nil, task.Refusef("%d pairs of each query; want 2 to %d, the items that there are", each, n)
	}
	low, high := slices.Min(x.scores.Data), slices.Max(x.scores.Data)
	if low == high {
		return nil, task.Refusef("all scores of the index are %v: nothing is to be learned of them", low)
	}
	var all []Lesson
	for q, query := range x.Queries {
		order, r := descending(x.scores.Row(q)), rng.New(seed, "retrieval/lessons", uint64(q)<<32)
		best := each / 2
		for i := best; i < each; i++ {
			j := i + r.Intn(n-i)
			order[i], order[j] = order[j], order[i]
		}
		for _, at := range order[:each] {
			all = append(all, Lesson{query, x.Items[at].Text, (x.scores.Row(q)[at] - low) / (high - low)})
		}
	}
	return all, nil
}
