package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sparrow/factor"
	"sparrow/factor/cur"
	"sparrow/retrieval"
)

// measures are those of a subject, a value for each seed.
type measures map[string][]float64

func (m measures) add(name string, x float64) { m[name] = append(m[name], x) }

// trials are the ways that are compared at every budget.
func trials() (all []retrieval.Trial) {
	add := func(name string, r retrieval.Request) { all = append(all, retrieval.Trial{Name: name, Request: r}) }
	for _, share := range []float64{0.25, 0.5} {
		half := ""
		if share == 0.5 {
			half = "-half"
		}
		add("anncur"+half, retrieval.Request{Method: retrieval.ANNCUR, Share: share})
	}
	for _, start := range []retrieval.Start{retrieval.StartRandom, retrieval.StartVectors, retrieval.StartBM25} {
		add("adacur-"+string(start), retrieval.Request{Method: retrieval.ADACUR, Start: start})
	}
	add("adacur", retrieval.Request{Method: retrieval.ADACUR, Start: retrieval.StartVectors})
	add("adacur-1-round", retrieval.Request{Method: retrieval.ADACUR, Start: retrieval.StartVectors, Rounds: 1})
	add("adacur-quarter", retrieval.Request{Method: retrieval.ADACUR, Start: retrieval.StartVectors, Share: 0.25})
	add("adacur-drawn", retrieval.Request{Method: retrieval.ADACUR, Start: retrieval.StartVectors, Sample: true})
	add("axn", retrieval.Request{Method: retrieval.AXN})
	add("rerank-bm25", retrieval.Request{Method: retrieval.RerankBM25})
	add("rerank-mean", retrieval.Request{Method: retrieval.RerankMean})
	return all
}

// measure scores a subject once and compares all ways by each seed's anchors.
func (w *workshop) measure(ctx context.Context, say func(format string, args ...any)) (measures, error) {
	m := measures{}
	cross, err := retrieval.OpenCheckpoint(filepath.Join(w.dir, "cross"), false)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.score(ctx, cross, "cross.pairs", append(append([]retrieval.Query{}, w.data.anchors...), w.data.tests...), say); err != nil {
		return nil, err
	}
	say("scored with cross in %v", time.Since(began).Round(time.Second))
	encoders := map[string]string{"bi": filepath.Join(w.dir, "bi")}
	if w.base != "" {
		encoders["imported"] = w.base
	}
	for seed := range w.claim.Seeds {
		x, dir, err := w.index(ctx, cross, "cross.pairs", encoders["bi"], seed+1)
		if err != nil {
			return nil, err
		}
		m.add("k_0.9 share cls", float64(x.Info.Spectrum.K90)/float64(x.Info.Spectrum.Queries))
		m.add("pairs of the index", float64(x.Info.Calls))
		if seed == 0 {
			if err := w.distil(ctx, dir); err != nil {
				return nil, err
			}
			encoders["distilled"] = filepath.Join(w.dir, "distilled")
		}
		truth, err := w.matrix(ctx, cross, "cross.pairs")
		if err != nil {
			return nil, err
		}
		for name, path := range encoders {
			all := []retrieval.Trial{{Name: "rerank-dense-" + name, Request: retrieval.Request{Method: retrieval.RerankDense}}}
			y := x
			if name == "bi" {
				all = append(all, trials()...)
			} else if y, _, err = w.index(ctx, cross, "cross.pairs", path, seed+1); err != nil {
				return nil, err
			}
			e, err := retrieval.OpenBiEncoder(path)
			if err != nil {
				return nil, err
			}
			r, err := y.Evaluate(ctx, e, w.data.tests, truth, all, w.claim.Budgets, w.claim.K, nil)
			if err != nil {
				return nil, err
			}
			w.note(m, r, name == "bi")
		}
		say("seed %d of %d compared", seed+1, w.claim.Seeds)
	}
	return m, w.once(ctx, m, say)
}

// note takes the values of a report.
func (w *workshop) note(m measures, r *retrieval.Report, ranks bool) {
	for _, v := range r.Recalls {
		m.add(fmt.Sprintf("recall@%d %s %d", v.K, v.Name, v.Budget), v.Recall)
		m.add(fmt.Sprintf("ms %s %d", v.Name, v.Budget), 1000*v.Seconds)
		if v.Gold >= 0 {
			m.add(fmt.Sprintf("gold@%d %s %d", v.K, v.Name, v.Budget), v.Gold)
		}
	}
	for _, k := range r.Ranks {
		if ranks {
			m.add(fmt.Sprintf("stands@%d", k.K), k.Stands)
			if k.Gold >= 0 {
				m.add(fmt.Sprintf("gold@%d cross", k.K), k.Gold)
			}
		}
	}
}

// once measures what has no seeds: it is the same for each.
func (w *workshop) once(ctx context.Context, m measures, say func(format string, args ...any)) error {
	all := func(name string, x float64) {
		for range w.claim.Seeds {
			m.add(name, x)
		}
	}
	emb, err := retrieval.OpenCheckpoint(filepath.Join(w.dir, "emb"), false)
	if err != nil {
		return err
	}
	if err := w.score(ctx, emb, "emb.pairs", w.data.tests, say); err != nil {
		return err
	}
	scores, err := w.matrix(ctx, emb, "emb.pairs")
	if err != nil {
		return err
	}
	centred, _ := cur.Centred(scores)
	d, err := factor.ThinSVD(ctx, centred, nil)
	if err != nil {
		return err
	}
	all("k_0.9 share emb", float64(cur.Rank(d.S, 0.9))/float64(scores.Rows))
	if w.data.scored != nil {
		for name, model := range map[string]string{"cross": "cross", "bi": "bi", "imported": w.base} {
			if model == "" {
				continue
			}
			rho, err := w.spearman(ctx, model)
			if err != nil {
				return err
			}
			all("spearman "+name, rho)
		}
		return nil
	}
	random, err := retrieval.OpenCheckpoint(filepath.Join(w.dir, "random"), false)
	if err != nil {
		return err
	}
	if err := w.score(ctx, random, "random.pairs", w.data.tests, say); err != nil {
		return err
	}
	if scores, err = w.matrix(ctx, random, "random.pairs"); err != nil {
		return err
	}
	all("gold@1 random", w.first(scores))
	bi, err := retrieval.OpenBiEncoder(filepath.Join(w.dir, "bi"))
	if err != nil {
		return err
	}
	if scores, err = w.cosines(ctx, bi); err != nil {
		return err
	}
	all("gold@1 bi", w.first(scores))
	return nil
}

// first is the share of tests whose gold item scores above all others.
func (w *workshop) first(scores *factor.Matrix) float64 {
	hits := 0
	for q, query := range w.data.tests {
		best := 0
		for i, v := range scores.Row(q) {
			if v > scores.Row(q)[best] {
				best = i
			}
		}
		if w.data.items[best].Text == query.Gold {
			hits++
		}
	}
	return float64(hits) / float64(len(w.data.tests))
}

// cosines are those of all tests and items.
func (w *workshop) cosines(ctx context.Context, e retrieval.Encoder) (*factor.Matrix, error) {
	texts := make([]string, len(w.data.items))
	for i, item := range w.data.items {
		texts[i] = item.Text
	}
	vectors, err := e.Items(ctx, texts)
	if err != nil {
		return nil, err
	}
	m := factor.NewMatrix(len(w.data.tests), len(texts))
	for q, query := range w.data.tests {
		v, err := e.Query(ctx, query.Text)
		if err != nil {
			return nil, err
		}
		for i, x := range vectors {
			for j, a := range x {
				m.Row(q)[i] += float64(a) * float64(v[j])
			}
		}
	}
	return m, nil
}

// score scores queries with every item, once.
func (w *workshop) score(ctx context.Context, s retrieval.Scorer, file string, queries []retrieval.Query, say func(format string, args ...any)) error {
	pairs, err := retrieval.OpenPairs(filepath.Join(w.dir, file), s)
	if err != nil {
		return err
	}
	defer pairs.Close()
	x, a, began := retrieval.Index{Items: w.data.items}, retrieval.NewAsker(s, pairs), time.Now()
	for i := range queries {
		if _, _, err := x.Truth(ctx, a, queries[i:i+1]); err != nil {
			return err
		}
		if (i+1)%20 == 0 {
			say("%s: %d of %d queries, %v", file, i+1, len(queries), time.Since(began).Round(time.Second))
		}
	}
	return pairs.Close()
}

// matrix are the scores of the tests that a file has.
func (w *workshop) matrix(ctx context.Context, s retrieval.Scorer, file string) (*factor.Matrix, error) {
	pairs, err := retrieval.OpenPairs(filepath.Join(w.dir, file), s)
	if err != nil {
		return nil, err
	}
	defer pairs.Close()
	x := retrieval.Index{Items: w.data.items}
	m, _, err := x.Truth(ctx, retrieval.NewAsker(s, pairs), w.data.tests)
	return m, err
}

// index builds that of a seed from pairs that are known.
func (w *workshop) index(ctx context.Context, s retrieval.Scorer, file, dense string, seed int) (*retrieval.Index, string, error) {
	dir, err := os.MkdirTemp(w.dir, "index-")
	if err != nil {
		return nil, "", err
	}
	known, err := os.ReadFile(filepath.Join(w.dir, file))
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(dir, retrieval.Journal), known, 0o644); err != nil {
		return nil, "", err
	}
	e, err := retrieval.OpenBiEncoder(dense)
	if err != nil {
		return nil, "", err
	}
	cfg := retrieval.DefaultConfig()
	cfg.Seed, cfg.Queries, cfg.Anchors, cfg.Dense = uint64(seed), w.claim.Draw, min(w.claim.Budgets[len(w.claim.Budgets)-1]/2, w.claim.Items), dense
	x, err := retrieval.Build(ctx, dir, retrieval.Plan{Items: w.data.items, Queries: w.data.anchors, Config: cfg, Scorer: s, Dense: e})
	return x, dir, err
}
