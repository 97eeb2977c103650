package retrieval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sparrow/factor"
	"sparrow/task"
)

// Trial is one way to search, by a name for tables; Evaluate fills in queries, k and budgets.
type Trial struct {
	Name    string
	Request Request
}

// Recall is what a way of searching finds at a budget: of the K items that scoring everything ranks first.
type Recall struct {
	Name    string  `json:"name"`
	Budget  int     `json:"budget"`
	K       int     `json:"k"`
	Recall  float64 `json:"recall"`
	Gold    float64 `json:"gold"`    // queries whose gold item is among the K found; -1: no query has one
	Calls   float64 `json:"calls"`   // of the scorer, a query
	Seconds float64 `json:"seconds"` // a query, beside scoring and embedding
}

// Rank tells how far the K-th best score stands out, in standard deviations above the mean of all, and what the gold item's rank by
// brute force gives at best. Below 1 what is found says little: that many items are about as good.
type Rank struct {
	K      int     `json:"k"`
	Stands float64 `json:"stands"`
	Gold   float64 `json:"gold"` // -1: no query has one
}

// Undecided tells whether recall at K says little.
func (r Rank) Undecided() bool { return r.Stands < 1 }

// Report is an evaluation.
type Report struct {
	Queries int      `json:"queries"`
	Items   int      `json:"items"`
	Pair    float64  `json:"seconds_a_pair"` // of brute force; 0: all was known
	Ranks   []Rank   `json:"ranks"`
	Recalls []Recall `json:"recalls"`
}

// Truth scores queries with every item, which evaluations compare with. Pairs that the asker remembers are not scored again.
func (x *Index) Truth(ctx context.Context, a *Asker, queries []Query) (truth *factor.Matrix, secondsAPair float64, err error) {
	truth = factor.NewMatrix(len(queries), len(x.Items))
	texts, fresh, began := textsOf(x.Items), 0, time.Now()
	for q, query := range queries {
		before := a.Asked
		row, err := a.Ask(ctx, query.Text, texts)
		if err != nil {
			return nil, 0, err
		}
		fresh += a.Asked - before
		copy(truth.Row(q), row)
	}
	if fresh > 0 {
		secondsAPair = time.Since(began).Seconds() / float64(fresh)
	}
	return truth, secondsAPair, nil
}

// Evaluate searches for every query in every way, at every budget, drawing scores from the truth. A k above a budget is left out.
// progress may be nil.
func (x *Index) Evaluate(ctx context.Context, dense Encoder, queries []Query, truth *factor.Matrix, trials []Trial, budgets, ks []int, progress func(done, total int)) (*Report, error) {
	if len(queries) == 0 || len(trials) == 0 || len(budgets) == 0 || len(ks) == 0 {
		return nil, task.Refusef("want queries, methods, budgets and numbers k to evaluate, one of each at least")
	}
	gold, err := x.gold(queries)
	if err != nil {
		return nil, err
	}
	best := make([][]int, len(queries))
	for q := range queries {
		best[q] = descending(truth.Row(q))
	}
	r := &Report{Queries: len(queries), Items: len(x.Items)}
	for _, k := range ks {
		if k > len(x.Items) || k < 1 {
			return nil, task.Refusef("k is %d; want 1 to %d, the items that there are", k, len(x.Items))
		}
		rank := Rank{K: k}
		for q := range queries {
			if mean, deviation := moments(truth.Row(q)); deviation > 0 {
				rank.Stands += (truth.Row(q)[best[q][k-1]] - mean) / deviation / float64(len(queries))
			}
		}
		rank.Gold = share(gold, func(q int) []int { return best[q][:k] })
		r.Ranks = append(r.Ranks, rank)
	}
	tools := Tools{Asker: known(x.Items, queries, truth), Dense: keeping(dense)}
	done := 0
	for _, trial := range trials {
		for _, budget := range budgets {
			most := 0
			for _, k := range ks {
				if k <= budget || trial.Request.Method == Exact {
					most = max(most, k)
				}
			}
			found := make([][]int, len(queries))
			var calls, seconds float64
			for q, query := range queries {
				if done++; progress != nil {
					progress(done, len(trials)*len(budgets)*len(queries))
				}
				if most == 0 {
					continue
				}
				request := trial.Request
				request.Query, request.K, request.Budget, request.Seed = query.Text, most, budget, request.Seed+uint64(q)
				f, err := x.Search(ctx, tools, request)
				if err != nil {
					return nil, err
				}
				calls, seconds = calls+float64(f.Calls)/float64(len(queries)), seconds+f.Own.Seconds()/float64(len(queries))
				for _, hit := range f.Hits {
					found[q] = append(found[q], hit.Place)
				}
			}
			for _, k := range ks {
				if k > most {
					continue
				}
				row := Recall{Name: trial.Name, Budget: budget, K: k, Calls: calls, Seconds: seconds}
				for q := range queries {
					row.Recall += overlap(found[q][:k], best[q][:k])
				}
				row.Recall /= float64(len(queries))
				row.Gold = share(gold, func(q int) []int { return found[q][:k] })
				r.Recalls = append(r.Recalls, row)
			}
		}
	}
	return r, nil
}

// gold are the places of the queries' gold items; -1: a query has none.
func (x *Index) gold(queries []Query) ([]int, error) {
	at := map[string]int{}
	for i, item := range x.Items {
		at["text "+item.Text] = i
	}
	for i, item := range x.Items {
		if item.ID != "" {
			at["id "+item.ID] = i
		}
	}
	out := make([]int, len(queries))
	for q, query := range queries {
		out[q] = -1
		if query.Gold == "" {
			continue
		}
		place, ok := at["id "+query.Gold]
		if !ok {
			place, ok = at["text "+query.Gold]
		}
		if !ok {
			return nil, task.Refusef("query %d, %q: its gold item %q is not in the index", q+1, clip(query.Text), clip(query.Gold))
		}
		out[q] = place
	}
	return out, nil
}

// share of the queries with a gold item that have it among some; -1 where none has one.
func share(gold []int, some func(q int) []int) float64 {
	n, hit := 0, 0
	for q, place := range gold {
		if place < 0 {
			continue
		}
		n++
		for _, at := range some(q) {
			if at == place {
				hit++
				break
			}
		}
	}
	if n == 0 {
		return -1
	}
	return float64(hit) / float64(n)
}

// overlap is the share of want that is in got.
func overlap(got, want []int) float64 {
	in := make(map[int]bool, len(got))
	for _, at := range got {
		in[at] = true
	}
	n := 0
	for _, at := range want {
		if in[at] {
			n++
		}
	}
	return float64(n) / float64(len(want))
}

// known asks a matrix.
func known(items []Item, queries []Query, truth *factor.Matrix) *Asker {
	row, column := map[string]int{}, map[string]int{}
	for q, query := range queries {
		row[query.Text] = q
	}
	for i, item := range items {
		column[item.Text] = i
	}
	return &Asker{Batch: len(items), Attempts: 1, Scorer: Func{Title: "scores that are known", Do: func(_ context.Context, query string, some []string) ([]float64, error) {
		out := make([]float64, len(some))
		q, ok := row[query]
		for i, item := range some {
			at, there := column[item]
			if !ok || !there {
				return nil, errors.New("a pair that is not known")
			}
			out[i] = truth.Row(q)[at]
		}
		return out, nil
	}}}
}

// keeping remembers the vectors of queries.
func keeping(e Encoder) Encoder {
	if e == nil {
		return nil
	}
	return &kept{Encoder: e, vectors: map[string][]float32{}}
}

type kept struct {
	Encoder
	vectors map[string][]float32
}

func (k *kept) Query(ctx context.Context, text string) (v []float32, err error) {
	v, known := k.vectors[text]
	if !known {
		if v, err = k.Encoder.Query(ctx, text); err != nil {
			return nil, fmt.Errorf("query %q: %w", clip(text), err)
		}
		k.vectors[text] = v
	}
	return v, nil
}
