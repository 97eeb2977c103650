package retrieval

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/task"
)

// built is an index of a world of 500 items, whose first 60 queries are anchors; the others are new.
func built(t *testing.T, w *world, items []Item, dir string) *Index {
	t.Helper()
	x, err := Build(t.Context(), dir, Plan{Items: items, Queries: w.queryTexts()[:60], Config: testConfig(), Scorer: w, Dense: dense{w}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[filepath.Base(path)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSearch: every method keeps to its budget and returns the scorer's own scores; CUR finds more than words or averages do, rounds are no
// worse than one round, and everything scored finds everything.
func TestSearch(t *testing.T) {
	w := newWorld(500, 100, 1)
	x := built(t, w, w.itemTexts(), t.TempDir())
	if x.Info.Spectrum.Hopeless() || x.Info.Spectrum.K90 < 2 {
		t.Errorf("spectrum %+v of 12 latent numbers", x.Info.Spectrum)
	}
	queries := w.queryTexts()[60:]
	truth, _, err := x.Truth(t.Context(), NewAsker(w, nil), queries)
	if err != nil {
		t.Fatal(err)
	}
	for q, query := range queries {
		if truth.Row(q)[7] != w.score(number(query.Text), 7) {
			t.Fatalf("truth of %q and item 7 is %v", query.Text, truth.Row(q)[7])
		}
	}
	var trials []Trial
	for _, m := range Methods {
		trials = append(trials, Trial{string(m), Request{Method: m}})
	}
	for _, start := range Starts {
		trials = append(trials, Trial{"adacur " + string(start), Request{Method: ADACUR, Start: start}})
	}
	trials = append(trials, Trial{"one round", Request{Method: ADACUR, Rounds: 1, Start: StartRandom}},
		Trial{"five rounds", Request{Method: ADACUR, Rounds: 5, Start: StartRandom}},
		Trial{"drawn", Request{Method: ADACUR, Sample: true}}, Trial{"all on anchors", Request{Method: ADACUR, Share: 1}})
	report, err := x.Evaluate(t.Context(), dense{w}, queries, truth, trials, []int{50}, []int{1, 10, 50}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string, k int) float64 {
		for _, r := range report.Recalls {
			if r.Name == name && r.K == k {
				if r.Calls > 50 && name != "exact" {
					t.Errorf("%s took %v calls at a budget of 50", name, r.Calls)
				}
				return r.Recall
			}
		}
		t.Fatalf("no recall of %s at %d", name, k)
		return 0
	}
	for _, trial := range trials {
		t.Logf("%-16s recall@1 %.2f @10 %.2f @50 %.2f", trial.Name, at(trial.Name, 1), at(trial.Name, 10), at(trial.Name, 50))
	}
	if at("exact", 50) != 1 || at("exact", 1) != 1 {
		t.Error("scoring everything does not find everything")
	}
	if r := at("anncur", 10); r < 0.8 || r < at("rerank-mean", 10)+0.2 || r < at("rerank-bm25", 10)+0.2 {
		t.Errorf("anncur has recall@10 %.2f", r)
	}
	if at("five rounds", 50) < at("one round", 50) {
		t.Errorf("five rounds find %.3f of the 50 best, one round %.3f", at("five rounds", 50), at("one round", 50))
	}
	if at("axn", 10) < at("rerank-dense", 10) {
		t.Errorf("the fitted query vector finds %.3f, the encoder's %.3f", at("axn", 10), at("rerank-dense", 10))
	}
	a := NewAsker(w, nil)
	f, err := x.Search(t.Context(), Tools{a, dense{w}}, Request{Query: queries[3].Text, K: 5, Budget: 40, Method: ADACUR})
	if err != nil {
		t.Fatal(err)
	}
	for i, hit := range f.Hits {
		if hit.Score != w.score(63, hit.Place) || i > 0 && hit.Score > f.Hits[i-1].Score {
			t.Errorf("hit %d is %+v", i, hit)
		}
	}
	if f.Calls != 40 || a.Asked != 40 || len(f.Hits) != 5 {
		t.Errorf("%d calls, %d asked, %d hits; want 40, 40 and 5", f.Calls, a.Asked, len(f.Hits))
	}
}

// TestBuildGoesOn: a build whose scorer fails, or that is killed, is finished by the same call without scoring a pair again, and has the
// bytes of one that was not disturbed.
func TestBuildGoesOn(t *testing.T) {
	w := newWorld(80, 30, 2)
	cfg := testConfig()
	cfg.Queries, cfg.Anchors, cfg.Crossed = 0, 20, 3
	cfg.Attempts = 1
	plan := func(w *world) Plan {
		return Plan{Items: w.itemTexts(), Queries: w.queryTexts(), Config: cfg, Scorer: w, Dense: dense{w}}
	}
	whole := t.TempDir()
	x, err := Build(t.Context(), whole, plan(w))
	if err != nil {
		t.Fatal(err)
	}
	dir, broken := t.TempDir(), newWorld(80, 30, 2)
	broken.fail = func(call int) error {
		if call > 20 {
			return errors.New("out of order")
		}
		return nil
	}
	_, err = Build(t.Context(), dir, plan(broken))
	if err == nil || !strings.Contains(err.Error(), "scorer world") || !strings.Contains(err.Error(), "query 6") || !strings.Contains(err.Error(), "out of order") {
		t.Fatalf("error %v; want one that names scorer, query and cause", err)
	}
	if broken.calls != 21 {
		t.Errorf("%d calls; want 20 and the one that failed", broken.calls)
	}
	if _, err := Open(dir); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "not finished") {
		t.Errorf("an index under way: %v", err)
	}
	// The kill cut the last record.
	journal := filepath.Join(dir, Journal)
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, text[:len(text)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	broken.fail, broken.calls = nil, 0
	told := 0
	p := plan(broken)
	p.Progress = func(done, total int) { told = done }
	y, err := Build(t.Context(), dir, p)
	if err != nil {
		t.Fatal(err)
	}
	if want := (30+3)*3 - 20; broken.calls != want { // batches of 32 for 80 items; the record that was cut joins the next
		t.Errorf("%d calls to finish; want %d", broken.calls, want)
	}
	if told != (30+3)*80 {
		t.Errorf("told of %d pairs of %d", told, (30+3)*80)
	}
	if !slices.Equal(x.scores.Data, y.scores.Data) || !slices.Equal(x.Info.Anchors, y.Info.Anchors) || !slices.Equal(x.crossed.Data, y.crossed.Data) {
		t.Error("the index that was disturbed differs")
	}
	for name, content := range folder(t, whole) {
		if got := folder(t, dir)[name]; got != content && name != infoFile { // which has the seconds
			t.Errorf("%s differs", name)
		}
	}
	if _, err := Build(t.Context(), dir, plan(w)); !errors.Is(err, task.ErrUsage) {
		t.Errorf("an index was built over another: %v", err)
	}
}

// TestAddRemove: items that are added are found as those that were there from the start, within 2 points of recall; taking them out gives
// the same bytes as before.
func TestAddRemove(t *testing.T) {
	w := newWorld(500, 160, 3)
	all := w.itemTexts()
	dir, full := t.TempDir(), t.TempDir()
	built(t, w, all[:400], dir)
	before := folder(t, dir)
	x, err := Add(t.Context(), dir, all[400:], Plan{Scorer: w, Dense: dense{w}, Config: testConfig()})
	if err != nil {
		t.Fatal(err)
	}
	whole := built(t, w, all, full)
	queries := w.queryTexts()[60:]
	recall := func(x *Index, from, to int) float64 {
		truth, _, err := x.Truth(t.Context(), NewAsker(w, nil), queries)
		if err != nil {
			t.Fatal(err)
		}
		found, want := 0, 0
		for q, query := range queries {
			f, err := x.Search(t.Context(), Tools{Asker: NewAsker(w, nil)}, Request{Query: query.Text, K: 10, Budget: 60, Method: ANNCUR})
			if err != nil {
				t.Fatal(err)
			}
			for _, place := range descending(truth.Row(q))[:10] {
				if place < from || place >= to {
					continue
				}
				want++
				if slices.ContainsFunc(f.Hits, func(h Hit) bool { return h.Place == place }) {
					found++
				}
			}
		}
		return float64(found) / float64(want)
	}
	old, added, from := recall(x, 0, 400), recall(x, 400, 500), recall(whole, 400, 500)
	t.Logf("recall@10: items there from the start %.3f, added %.3f, the same built %.3f", old, added, from)
	if added < from-0.02 || added < old-0.02 {
		t.Errorf("recall of added items %.3f, of those there before %.3f, of the same items built %.3f", added, old, from)
	}
	if _, err := Add(t.Context(), dir, all[450:451], Plan{Scorer: w, Dense: dense{w}, Config: testConfig()}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("an item was added twice: %v", err)
	}
	if _, err := Remove(dir, all[400:]); err != nil {
		t.Fatal(err)
	}
	after := folder(t, dir)
	for name, content := range before {
		if after[name] != content {
			t.Errorf("%s is not what it was before adding and removing", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, %d before", len(after), len(before))
	}
	// Anchors may go too.
	opened, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	gone := opened.Info.Anchors[0]
	y, err := Remove(dir, []Item{opened.Items[gone]})
	if err != nil {
		t.Fatal(err)
	}
	if len(y.Info.Anchors) != len(opened.Info.Anchors)-1 || y.Info.Crossed != 19 || y.crossed.Rows != 19 {
		t.Errorf("%d anchors and %d crossed after one went of %d and 20", len(y.Info.Anchors), y.Info.Crossed, len(opened.Info.Anchors))
	}
	for i, at := range y.Info.Anchors {
		if y.Items[at] != opened.Items[opened.Info.Anchors[i+1]] {
			t.Fatalf("anchor %d is item %q now", i, y.Items[at].Text)
		}
	}
	if z, err := Open(dir); err != nil || !slices.Equal(z.scores.Data, y.scores.Data) {
		t.Errorf("the index is read back with an error %v, or other scores", err)
	}
	if _, err := Remove(dir, []Item{{Text: "not there"}}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("an item that is not there was removed: %v", err)
	}
}

// other is a scorer with another hash.
type other struct{ *world }

func (other) Hash() string { return "another hash" }

// TestRefusals: an index refuses what it was not built with, and requests that make no sense; a damaged file is named.
func TestRefusals(t *testing.T) {
	w := newWorld(60, 20, 4)
	dir := t.TempDir()
	cfg := testConfig()
	cfg.Queries, cfg.Anchors, cfg.Crossed = 0, 10, 0
	x, err := Build(t.Context(), dir, Plan{Items: w.itemTexts(), Queries: w.queryTexts(), Config: cfg, Scorer: w})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Fits(other{w}); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "hash of the world") {
		t.Errorf("another scorer: %v", err)
	}
	if _, err := Add(t.Context(), dir, []Item{{Text: "item 60"}}, Plan{Scorer: other{w}, Config: testConfig()}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("another scorer adds: %v", err)
	}
	if err := x.FitsDense(dense{w}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("vectors of an index without any: %v", err)
	}
	for name, r := range map[string]Request{
		"no method":       {Query: "query 1", K: 1, Budget: 5, Method: "best"},
		"k of 0":          {Query: "query 1", Budget: 5, Method: ANNCUR},
		"k above items":   {Query: "query 1", K: 61, Budget: 70, Method: ANNCUR},
		"budget below k":  {Query: "query 1", K: 5, Budget: 4, Method: ANNCUR},
		"share above 1":   {Query: "query 1", K: 5, Budget: 9, Method: ANNCUR, Share: 2},
		"start":           {Query: "query 1", K: 5, Budget: 9, Method: ADACUR, Start: "here"},
		"no vectors":      {Query: "query 1", K: 5, Budget: 9, Method: RerankDense},
		"nothing crossed": {Query: "query 1", K: 5, Budget: 9, Method: Fixed},
		"negative rounds": {Query: "query 1", K: 5, Budget: 9, Method: ADACUR, Rounds: -1},
	} {
		if _, err := x.Search(t.Context(), Tools{Asker: NewAsker(w, nil)}, r); !errors.Is(err, task.ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, p := range map[string]Plan{
		"one item":       {Items: w.itemTexts()[:1], Queries: w.queryTexts()},
		"item twice":     {Items: append(w.itemTexts(), w.itemTexts()[0]), Queries: w.queryTexts()},
		"too few anchor": {Items: w.itemTexts(), Queries: []Query{{Text: "query 1"}, {Text: "query 1"}, {Text: "query 2"}}},
	} {
		p.Scorer, p.Config = w, cfg
		if _, err := Build(t.Context(), t.TempDir(), p); !errors.Is(err, task.ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, task.ErrUsage) {
		t.Errorf("an empty folder: %v", err)
	}
	path := filepath.Join(dir, storedName(scoresFile, x.Info.Files[scoresFile]))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[5] ^= 1
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestFold: the query vector is the solution of its ridge regression, written out.
func TestFold(t *testing.T) {
	w := newWorld(40, 2, 5)
	x := built60(t, w)
	q := wide(dense{w}.vector(w.queries[0]))
	const lambda = 0.3
	f := newFold(q, x.vectors, lambda)
	d := x.vectors.Cols
	n := d + 2
	features := func(i int) []float64 {
		cos := 0.0
		for j, v := range x.vectors.Row(i) {
			cos += v * q[j]
		}
		return append([]float64{free, free * cos}, x.vectors.Row(i)...)
	}
	a, b := make([][]float64, n), make([]float64, n)
	for i := range a {
		a[i] = make([]float64, n)
		a[i][i] = lambda
	}
	for _, item := range []int{3, 17, 8, 30, 21, 9, 1} {
		s := w.score(0, item)
		if err := f.See(item, s); err != nil {
			t.Fatal(err)
		}
		z := features(item)
		for i := range n {
			b[i] += s * z[i]
			for j := range n {
				a[i][j] += z[i] * z[j]
			}
		}
	}
	for i := range n { // Gauss and Jordan
		p := a[i][i]
		for j := range n {
			a[i][j] /= p
		}
		b[i] /= p
		for k := range n {
			if k == i {
				continue
			}
			m := a[k][i]
			for j := range n {
				a[k][j] -= m * a[i][j]
			}
			b[k] -= m * b[i]
		}
	}
	out := make([]float64, len(x.Items))
	f.Predict(out)
	for i := range out {
		want := 0.0
		for j, v := range features(i) {
			want += v * b[j]
		}
		if math.Abs(out[i]-want) > 1e-7 {
			t.Fatalf("item %d: %v, want %v", i, out[i], want)
		}
	}
}

// built60 is an index over few items.
func built60(t *testing.T, w *world) *Index {
	t.Helper()
	cfg := testConfig()
	cfg.Anchors = 5
	queries := []Query{{Text: "query 0"}, {Text: "query 1"}, {Text: "item 1"}}
	d := dense{w}
	x, err := Build(t.Context(), t.TempDir(), Plan{Items: w.itemTexts(), Queries: queries, Config: cfg, Scorer: w, Dense: itemsToo{d}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// itemsToo has vectors of items that are queries.
type itemsToo struct{ dense }

func (d itemsToo) Query(ctx context.Context, text string) ([]float32, error) {
	if strings.HasPrefix(text, "item") {
		return d.vector(d.items[number(text)]), nil
	}
	return d.dense.Query(ctx, text)
}

func TestRead(t *testing.T) {
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	items, err := ReadItems(write("items.txt", "one\n\n two \r\none\n"))
	if err != nil || !slices.Equal(items, []Item{{Text: "one"}, {Text: "two"}}) {
		t.Errorf("items %v, %v", items, err)
	}
	items, err = ReadItems(write("items.jsonl", `{"_id": "7", "title": "T", "text": "x"}`+"\n"+`{"id": "8", "text": "y"}`))
	if err != nil || !slices.Equal(items, []Item{{"7", "T x"}, {"8", "y"}}) {
		t.Errorf("items %v, %v", items, err)
	}
	queries, err := ReadQueries(write("q.jsonl", `{"text": "x", "gold": "7"}`))
	if err != nil || !slices.Equal(queries, []Query{{"x", "7"}}) {
		t.Errorf("queries %v, %v", queries, err)
	}
	for name, c := range map[string]struct{ file, text, want string }{
		"no JSON":    {"i.jsonl", "{\n", "i.jsonl:1: "},
		"no text":    {"i.jsonl", `{"id": "1"}`, "i.jsonl:1: the object has no text"},
		"nothing":    {"i.txt", "\n", "has no "},
		"not UTF-8":  {"i.txt", "a\n\xff\n", "i.txt:2: not valid UTF-8"},
		"no objects": {"i.jsonl", "\n\n[]", "i.jsonl:3: "},
	} {
		if _, err := ReadItems(write(c.file, c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: items: %v", name, err)
		}
		if _, err := ReadQueries(write(c.file, c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: queries: %v", name, err)
		}
	}
	if !bytes.Contains(lines([]Item{{Text: "a < b"}}), []byte("a < b")) {
		t.Error("texts are escaped")
	}
}
