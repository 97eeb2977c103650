package retrieval

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sparrow/factor"
	"sparrow/factor/cur"
	"sparrow/internal/rng"
	"sparrow/task"
)

// Plan is what an index is built of.
type Plan struct {
	Items   []Item
	Queries []Query // those of the file
	Config  Config
	Scorer  Scorer
	Dense   Encoder // nil: none

	// Progress, if not nil, is told of pairs and, beside them, texts that get vectors.
	Progress func(done, total int)
}

// Build scores the anchor queries with every item and makes the index. Pairs are kept in a journal as they come: after a kill the same
// call goes on. The folder must not hold a finished index.
func Build(ctx context.Context, dir string, p Plan) (*Index, error) {
	x, err := p.plan()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, infoFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, task.Refusef("%s already holds an index; name another folder by -o, or change it by `model index add` and `model index remove`", dir)
	}
	pairs, err := OpenPairs(filepath.Join(dir, Journal), p.Scorer)
	if err != nil {
		return nil, err
	}
	defer pairs.Close()
	began := time.Now()
	w := p.work(pairs, len(x.Queries)*len(x.Items)+min(p.Config.Crossed, p.Config.Anchors)*len(x.Items))
	if x.scores, err = w.matrix(ctx, x.Queries, x.Items); err != nil {
		return nil, err
	}
	if err := x.choose(ctx, p.Config); err != nil {
		return nil, err
	}
	if x.Info.Crossed = min(p.Config.Crossed, len(x.Info.Anchors)); x.Info.Crossed > 0 {
		var anchors []string
		for _, at := range x.Info.Anchors[:x.Info.Crossed] {
			anchors = append(anchors, x.Items[at].Text)
		}
		if x.crossed, err = w.matrix(ctx, anchors, x.Items); err != nil {
			return nil, err
		}
	}
	x.Info.Seconds, x.Info.Calls = time.Since(began).Seconds(), (len(x.Queries)+x.Info.Crossed)*len(x.Items)
	if p.Dense != nil {
		if err := x.embed(ctx, p.Dense); err != nil {
			return nil, err
		}
	}
	if err := x.save(dir); err != nil {
		return nil, err
	}
	if err := errors.Join(pairs.Close(), os.Remove(filepath.Join(dir, Journal))); err != nil {
		return nil, err
	}
	return x, nil
}

// plan checks what is to be built and draws the anchor queries.
func (p Plan) plan() (*Index, error) {
	if len(p.Items) < 2 {
		return nil, task.Refusef("%d items to find; want 2 at least", len(p.Items))
	}
	seen := map[string]bool{}
	x := &Index{Items: p.Items, Info: Info{Config: p.Config, Scorer: Origin{p.Scorer.Name(), p.Scorer.Hash()}}}
	for i, item := range p.Items {
		if seen[item.key()] {
			return nil, task.Refusef("item %d, %q, comes twice; give items of the same text ids of their own, in a .jsonl file", i+1, clip(item.key()))
		}
		seen[item.key()] = true
	}
	seen = map[string]bool{}
	for _, q := range p.Queries {
		if !seen[q.Text] {
			seen[q.Text] = true
			x.Queries = append(x.Queries, q.Text)
		}
	}
	if len(x.Queries) < 3 {
		return nil, task.Refusef("%d different anchor queries; want 3 at least, and some hundreds for a good index", len(x.Queries))
	}
	if n := p.Config.Queries; n > 0 && n < len(x.Queries) {
		draws := rng.New(p.Config.Seed, "retrieval/queries", 0)
		for i := range n {
			j := i + draws.Intn(len(x.Queries)-i)
			x.Queries[i], x.Queries[j] = x.Queries[j], x.Queries[i]
		}
		x.Queries = x.Queries[:n]
	}
	return x, nil
}

// work asks the scorer and tells of it.
type work struct {
	asker       *Asker
	done, total int
}

func (p Plan) work(pairs *Pairs, total int) *work {
	w := &work{asker: p.Config.Asks(p.Scorer, pairs), total: total}
	w.asker.After = func(n int) {
		w.done += n
		if p.Progress != nil {
			p.Progress(w.done, w.total)
		}
	}
	return w
}

// matrix scores queries with items.
func (w *work) matrix(ctx context.Context, queries []string, items []Item) (*factor.Matrix, error) {
	texts := textsOf(items)
	m := factor.NewMatrix(len(queries), len(items))
	for q, query := range queries {
		row, err := w.asker.Ask(ctx, query, texts)
		if err != nil {
			return nil, err
		}
		for i, v := range row {
			m.Row(q)[i] = float64(float32(v)) // as the file has them
		}
	}
	return m, nil
}

func textsOf(items []Item) []string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.Text
	}
	return texts
}

// choose chooses anchors and ridges, and measures how fast singular values fall.
func (x *Index) choose(ctx context.Context, cfg Config) error {
	n := len(x.Items)
	rows := cur.NewRows(x.scores)
	var err error
	if x.Info.Anchors, err = cur.Choose(ctx, rows.R, min(cfg.Anchors, n), cur.Options{How: cfg.Choose, Seed: cfg.Seed}); err != nil {
		return err
	}
	drawn, err := cur.Choose(ctx, rows.R, min(max(cfg.Anchors, 2*len(x.Queries)), n), cur.Options{How: cur.Random, Seed: cfg.Seed + 1})
	if err != nil {
		return err
	}
	for k := min(5, len(x.Info.Anchors)); ; k *= 2 {
		r := Ridge{Anchors: min(k, len(drawn))}
		if r.Chosen, err = rows.Ridge(ctx, x.Info.Anchors[:min(k, len(x.Info.Anchors))]); err != nil {
			return err
		}
		if r.Drawn, err = rows.Ridge(ctx, drawn[:r.Anchors]); err != nil {
			return err
		}
		x.Info.Ridges = append(x.Info.Ridges, r)
		if k >= len(drawn) {
			break
		}
	}
	d := Decay{Queries: len(x.Queries)}
	if d.K90, err = rank90(ctx, rows.R); err != nil {
		return err
	}
	if d.K90Full, err = rank90(ctx, x.scores); err != nil {
		return err
	}
	few := x.Info.Anchors[:min(len(x.Info.Anchors), max(1, len(x.Queries)/4))]
	f, err := cur.Fit(ctx, rows.R, few, cur.Config{Method: cur.Pinv})
	if err != nil {
		return err
	}
	d.Cond = min(f.Cond, 1e300)
	x.Info.Spectrum = d
	return nil
}

// rank90 is how many singular values of m have nine tenths of the energy.
func rank90(ctx context.Context, m *factor.Matrix) (int, error) {
	squares, _, err := factor.SymmetricEigen(ctx, m.Mul(m.Transpose()), 1)
	if err != nil {
		return 0, err
	}
	return cur.Rank(roots(squares), 0.9), nil
}

// embed makes the vectors of items and the ridge of queries fitted over them.
func (x *Index) embed(ctx context.Context, e Encoder) error {
	vectors, err := e.Items(ctx, textsOf(x.Items))
	if err != nil {
		return err
	}
	x.vectors = factor.NewMatrix(len(vectors), len(vectors[0]))
	for i, v := range vectors {
		copy(x.vectors.Row(i), wide(v))
	}
	var queries [][]float32
	for _, q := range x.Queries {
		v, err := e.Query(ctx, q)
		if err != nil {
			return err
		}
		queries = append(queries, v)
	}
	x.Info.Dense = &Origin{e.Name(), e.Hash()}
	x.Info.Fold, err = chooseFold(ctx, queries, x.scores, x.vectors)
	return err
}

// Add scores items with the anchor queries and puts them behind those there are. Anchors and ridges stay.
func Add(ctx context.Context, dir string, items []Item, p Plan) (*Index, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	x, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if err := x.Fits(p.Scorer); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, item := range x.Items {
		known[item.key()] = true
	}
	for i, item := range items {
		if known[item.key()] {
			return nil, task.Refusef("item %d, %q, is in the index already; remove it first, by `model index remove`", i+1, clip(item.key()))
		}
		known[item.key()] = true
	}
	pairs, err := OpenPairs(filepath.Join(dir, Journal), p.Scorer)
	if err != nil {
		return nil, err
	}
	defer pairs.Close()
	w := p.work(pairs, (len(x.Queries)+x.Info.Crossed)*len(items))
	more, err := w.matrix(ctx, x.Queries, items)
	if err != nil {
		return nil, err
	}
	x.scores = beside(x.scores, more)
	if x.crossed != nil {
		var anchors []string
		for _, at := range x.Info.Anchors[:x.Info.Crossed] {
			anchors = append(anchors, x.Items[at].Text)
		}
		if more, err = w.matrix(ctx, anchors, items); err != nil {
			return nil, err
		}
		x.crossed = beside(x.crossed, more)
	}
	if x.vectors != nil {
		if p.Dense == nil {
			return nil, task.Refusef("retrieval: the index has vectors of %s, which new items need too", x.Info.Dense.Name)
		}
		if err := x.FitsDense(p.Dense); err != nil {
			return nil, err
		}
		vectors, err := p.Dense.Items(ctx, textsOf(items))
		if err != nil {
			return nil, err
		}
		for _, v := range vectors {
			x.vectors.Data = append(x.vectors.Data, wide(v)...)
		}
		x.vectors.Rows += len(vectors)
	}
	x.Items = append(x.Items, items...)
	if err := x.save(dir); err != nil {
		return nil, err
	}
	return x, errors.Join(pairs.Close(), os.Remove(filepath.Join(dir, Journal)))
}

// Remove takes items out. One that was an anchor is one no more.
func Remove(dir string, items []Item) (*Index, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	x, err := Open(dir)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, item := range items {
		out[item.key()] = true
	}
	place := make([]int, len(x.Items)) // in what is left; -1: nowhere
	var left []int
	for i, item := range x.Items {
		place[i] = -1
		if out[item.key()] {
			delete(out, item.key())
			continue
		}
		place[i] = len(left)
		left = append(left, i)
	}
	for i, item := range items {
		if out[item.key()] {
			return nil, task.Refusef("item %d, %q, is not in the index", i+1, clip(item.key()))
		}
	}
	var anchors []int
	crossed := []int(nil)
	for i, at := range x.Info.Anchors {
		if place[at] >= 0 {
			anchors = append(anchors, place[at])
			if i < x.Info.Crossed {
				crossed = append(crossed, i)
			}
		}
	}
	if len(left) < 2 || len(anchors) == 0 {
		return nil, task.Refusef("%d items and %d anchors would be left; build an index anew", len(left), len(anchors))
	}
	x.Info.Anchors = anchors
	x.scores = x.scores.Columns(left)
	if x.crossed != nil {
		x.crossed = x.crossed.Columns(left).Transpose().Columns(crossed).Transpose()
		if x.Info.Crossed = len(crossed); len(crossed) == 0 {
			x.crossed = nil
		}
	}
	if x.vectors != nil {
		x.vectors = x.vectors.Transpose().Columns(left).Transpose()
	}
	items = x.Items
	x.Items = nil
	for _, at := range left {
		x.Items = append(x.Items, items[at])
	}
	return x, x.save(dir)
}

// beside are the columns of a, then those of b.
func beside(a, b *factor.Matrix) *factor.Matrix {
	m := factor.NewMatrix(a.Rows, a.Cols+b.Cols)
	for i := range a.Rows {
		copy(m.Row(i), slices.Concat(a.Row(i), b.Row(i)))
	}
	return m
}
