package sentence

import (
	"cmp"
	"context"
	"math"
	"slices"

	"sparrow/data/labelled"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/task"
)

// How many of the documents that are nearest to a query count.
const (
	nearNDCG   = 10
	nearRecall = 100
)

// Search implements task.Searcher. A query's documents are ranked by the cosine of their vectors to its own; one that has the
// query's id is left out. Where the model has prompts of these names, queries come behind "query" and documents behind "document",
// "passage" or "corpus". Values are means over the queries that have a judgement.
func (t *Task) Search(ctx context.Context, s *model.Session, dir string, m task.Measure) (task.Score, error) {
	split := m.Split
	if split == task.Validation {
		split = task.Test // the one that every collection has
	}
	r, err := labelled.ReadRelevance(dir, split.String())
	if err != nil {
		return task.Score{}, task.Refuse(err)
	}
	p := t.prompts()
	texts := append(before(p.first("query"), textsOf(r.Queries)), before(p.first("document", "passage", "corpus"), textsOf(r.Documents))...)
	tokens, err := t.encoded(texts)
	if err != nil {
		return task.Score{}, err
	}
	vectors, err := t.embed(ctx, s, tokens, func(done, total int) {
		if m.After != nil {
			m.After(done, total, math.NaN())
		}
	})
	if err != nil {
		return task.Score{}, err
	}
	for _, v := range vectors {
		normalize(v)
	}
	ndcg, recall := make([]float64, len(r.Queries)), make([]float64, len(r.Queries))
	kernel.Parallel(len(r.Queries), func(i int) {
		q := r.Queries[i]
		found := nearest(q.ID, vectors[i], r.Documents, vectors[len(r.Queries):])
		ndcg[i], recall[i] = ndcgOf(r.Judged[q.ID], found), recallOf(r.Judged[q.ID], found)
	})
	return task.Score{Unit: "queries", Count: len(r.Queries), Values: []metrics.Value{{Name: "ndcg@10", X: mean(ndcg)}, {Name: "recall@100", X: mean(recall)}}}, nil
}

// Ranks implements task.Ranker.
func (t *Task) Ranks() bool { return true }

// Rank implements task.Ranker, by the cosine of the vectors, with the prompts of Search.
func (t *Task) Rank(ctx context.Context, s *model.Session, query string, documents []string) ([]float64, error) {
	p := t.prompts()
	q, err := t.encoded([]string{p.first("query") + query})
	if err != nil {
		return nil, err
	}
	tokens, err := t.encoded(before(p.first("document", "passage", "corpus"), documents))
	if err != nil {
		return nil, err
	}
	vectors, err := t.embed(ctx, s, append(tokens, q...), nil)
	if err != nil {
		return nil, err
	}
	scores := make([]float64, len(documents))
	for i := range scores {
		scores[i] = cosine(vectors[i], vectors[len(documents)])
	}
	return scores, nil
}

func textsOf(all []labelled.Document) []string {
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = d.Text
	}
	return out
}

// nearest are the ids of the documents nearest to a query, the nearest first; of equal ones the id that sorts last, as trec_eval
// ranks. Scores are compared in float32, as there.
func nearest(id string, query []float32, documents []labelled.Document, vectors [][]float32) []string {
	type scored struct {
		id    string
		score float32
	}
	order := func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.id, a.id)) }
	best := make([]scored, 0, 2*nearRecall)
	for i, d := range documents {
		if d.ID == id {
			continue
		}
		var sum float64
		for j, x := range vectors[i] {
			sum += float64(x) * float64(query[j])
		}
		best = append(best, scored{d.ID, float32(sum)})
		if len(best) == cap(best) {
			slices.SortFunc(best, order)
			best = best[:nearRecall]
		}
	}
	slices.SortFunc(best, order)
	var ids []string
	for _, x := range best[:min(len(best), nearRecall)] {
		ids = append(ids, x.id)
	}
	return ids
}

// ndcgOf is the normalized discounted cumulative gain at 10 (Järvelin and Kekäläinen 2002, as trec_eval's ndcg_cut): the sum of
// grade / log2(rank + 1) over that of the best order; 0 where nothing is relevant.
func ndcgOf(judged labelled.Grades, found []string) float64 {
	var gain, ideal float64
	for i, id := range found[:min(len(found), nearNDCG)] {
		gain += float64(max(judged[id], 0)) / math.Log2(float64(i+2))
	}
	best := judged.Positive()
	for i, grade := range best[:min(len(best), nearNDCG)] {
		ideal += float64(grade) / math.Log2(float64(i+2))
	}
	if ideal == 0 {
		return 0
	}
	return gain / ideal
}

// recallOf is the share of the relevant documents that are among the nearest 100; 0 where nothing is relevant.
func recallOf(judged labelled.Grades, found []string) float64 {
	n := 0
	for _, id := range found {
		if judged[id] > 0 {
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(n) / float64(len(judged.Positive()))
}

func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
