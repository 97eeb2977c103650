package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/internal/shell"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// taste writes interactions of 60 users, who like every third of 40 items, with ages of users and kinds of items.
func taste(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var ratings, users, items strings.Builder
	users.WriteString("user_id\tage\n")
	items.WriteString("item_id\ttitle\tkind\n")
	for u := range 60 {
		fmt.Fprintf(&users, "u%d\t%d\n", u, 20+10*(u%3))
		for k := range 6 + u%5 {
			fmt.Fprintf(&ratings, "u%d\ti%d\t5\t%d\n", u, (3*(u*7+k*(1+u%2))+u%3)%40, 100*u+k)
		}
		fmt.Fprintf(&ratings, "u%d\ti%d\t5\t%d\n", u, (u*11)%40, 100*u+50)
	}
	for i := range 40 {
		fmt.Fprintf(&items, "i%d\tItem %d (19%d0)\tk%d\n", i, i, i%10, i%3)
	}
	for name, text := range map[string]string{"ratings.tsv": ratings.String(), "users.tsv": users.String(), "items.tsv": items.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// recommenderConfig is a run of a recommender on taste's files; more are further lines of its [model] table and tables after it.
func recommenderConfig(t *testing.T, dir, more string, set ...string) recipe.Config {
	t.Helper()
	file := filepath.Join(dir, "recommender.toml")
	text := fmt.Sprintf("name = \"recommender\"\n[data]\nsource = \"interactions\"\nratings = %q\nusers = %q\nitems = %q\nuser_fields = [\"age:10\"]\nitem_fields = [\"kind\", \"title:decade\"]\ncutoffs = [5]\n[model]\n%s\n",
		filepath.Join(dir, "ratings.tsv"), filepath.Join(dir, "users.tsv"), filepath.Join(dir, "items.tsv"), more)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := recipe.Load(file, set)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestSolvedRecommenders: every closed form is solved, stopped after each round and continued to the same bytes, by one thread as by
// several, is opened without its data and recommends, and measures the same twice.
func TestSolvedRecommenders(t *testing.T) {
	ctx, dir := context.Background(), taste(t)
	for _, more := range []string{
		`kind = "popularity"`, "kind = \"item_knn\"\nneighbours = 7\nparts = 3", "kind = \"pure_svd\"\ndim = 4\nsweeps = 3",
		"kind = \"ease\"\nlambda = 3\nparts = 4", "kind = \"ease\"\nlambda = 3\nparts = 4\nprecision = \"float64\"",
		"kind = \"wrmf\"\ndim = 6\nlambda = 2\nsweeps = 3", "kind = \"wrmf\"\ndim = 6\nlambda = 2\nsweeps = 2\nprecision = \"float64\"",
	} {
		cfg := recommenderConfig(t, dir, more)
		runs := t.TempDir()
		whole, run := filepath.Join(runs, "whole"), filepath.Join(runs, "run")
		trainer, err := train.New(ctx, cfg, whole, false, io.Discard)
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		result, err := trainer.Run(ctx, nil)
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		threads := kernel.Threads()
		kernel.SetThreads(3 - min(threads, 2))
		trainer, err = train.New(ctx, cfg, run, false, io.Discard)
		for err == nil {
			if _, err = trainer.Run(ctx, func() bool { return true }); !errors.Is(err, shell.ErrInterrupted) {
				break
			}
			trainer, _, err = train.Resume(ctx, run, "", nil, io.Discard)
		}
		kernel.SetThreads(threads)
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		last := fmt.Sprintf("step-%06d", len(trainLosses(t, whole)))
		sameHashes(t, filepath.Join(whole, "checkpoints", last), filepath.Join(run, "checkpoints", last))
		l, err := saved.Open(run, true, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		score, err := l.Task.Evaluate(ctx, l.Session, task.Measure{})
		if err != nil || !slices.Equal(score.Values, result.Score.Values) {
			t.Errorf("%s: evaluated %v (%v), want %v", more, score.Values, err, result.Score.Values)
		}
		if x, _ := score.Value("ndcg@5"); !(x > 0.1) {
			t.Errorf("%s: ndcg@5 = %v, no better than chance", more, x)
		}
	}
}

// TestRecommenderRefusals: what does not suit is named by its key.
func TestRecommenderRefusals(t *testing.T) {
	dir := taste(t)
	for _, c := range []struct{ set, want string }{
		{"data.validation_share=0", "[eval] every"},
		{"model.kind=decoder", "want popularity"},
		{"eval.metric=accuracy", "want one of loss, ndcg@5"},
	} {
		cfg := recommenderConfig(t, dir, `kind = "popularity"`, c.set)
		if _, err := train.New(context.Background(), cfg, t.TempDir(), false, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.set, err, c.want)
		}
	}
}

// TestRecommend: a checkpoint recommends when its data are gone: to a user what he has not, to somebody by items, ids or titles; what
// speaks for an item adds up to its score; mistakes are named.
func TestRecommend(t *testing.T) {
	ctx, dir := context.Background(), taste(t)
	for _, more := range []string{"kind = \"item_knn\"\nneighbours = 39", "kind = \"pure_svd\"\ndim = 4", "kind = \"ease\"\nlambda = 3", "kind = \"wrmf\"\ndim = 6\nlambda = 2\nprior = 0"} {
		cfg, run := recommenderConfig(t, dir, more), filepath.Join(t.TempDir(), "run")
		trainer, err := train.New(ctx, cfg, run, false, io.Discard)
		if err == nil {
			_, err = trainer.Run(ctx, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		gone := filepath.Join(dir, "ratings.tsv")
		text, _ := os.ReadFile(gone)
		os.Remove(gone)
		l, err := saved.Open(run, true, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := l.Task.(task.Recommender)
		all, err := r.Recommend(ctx, l.Session, task.Wish{User: "u3", N: 1000})
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if item, own := strings.CutPrefix(line, "u3\t"); own {
				has[item[:strings.Index(item, "\t")]] = true
			}
		}
		if len(all)+len(has) != 40 {
			t.Errorf("%s: %d items for a user who has %d of 40", more, len(all), len(has))
		}
		for _, x := range all {
			if has[x.ID] {
				t.Errorf("%s: recommends %s, which the user has", more, x.ID)
			}
		}
		all, err = r.Recommend(ctx, l.Session, task.Wish{Items: []string{"i3", "ITEM 6 (1960)", "Item 9 "}, N: 4, Why: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range all {
			var sum float64
			for _, y := range x.Why {
				sum += y.Weight
			}
			if !(sum-x.Score < 1e-5 && x.Score-sum < 1e-5) {
				t.Errorf("%s: %s: reasons %v add up to %v, want the score %v", more, x.Title, x.Why, sum, x.Score)
			}
		}
		for want, w := range map[string]task.Wish{
			`there is no user "u99"`:   {User: "u99", N: 1},
			`11 items have "Item 3"`:   {Items: []string{"Item 3"}, N: 1},
			`there is no item "other"`: {Items: []string{"other"}, N: 1},
			`no value "50"`:            {Fields: map[string]string{"age": "50"}, N: 1},
			`there is no field "zip"`:  {Fields: map[string]string{"zip": "1"}, N: 1},
			"0 items to recommend":     {User: "u1"},
		} {
			if _, err := r.Recommend(ctx, l.Session, w); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", more, err, want)
			}
		}
		if found := r.Find("item 3", 3); len(found) != 3 || found[0].ID != "i3" {
			t.Errorf("found %v, want three, item 3 first", found)
		}
		if err := os.WriteFile(gone, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
