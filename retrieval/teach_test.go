package retrieval

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sparrow/task"
)

// TestMine: negatives are the nearest by words or vectors, never the gold item or its text.
func TestMine(t *testing.T) {
	items := []Item{{"1", "sorts a slice"}, {"2", "sorts a list"}, {"3", "opens a file"}, {"4", "sorts a slice"}, {"5", "closes a file"}}
	queries := []Query{{"sort slice sorts", "1"}, {Text: "no gold"}, {"opens", "opens a file"}}
	groups, err := Mine(t.Context(), queries, items, MineBM25, nil, 2, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || groups[0].Positive != "sorts a slice" || groups[1].Positive != "opens a file" {
		t.Fatalf("groups %+v", groups)
	}
	if groups[0].Negatives[0] != "sorts a list" || slices.Contains(groups[0].Negatives, "sorts a slice") || len(groups[0].Negatives) != 2 {
		t.Errorf("negatives %q", groups[0].Negatives)
	}
	w := newWorld(30, 4, 6)
	asked := w.queryTexts()
	for i := range asked {
		asked[i].Gold = w.itemTexts()[i].Text
	}
	groups, err = Mine(t.Context(), asked, w.itemTexts(), MineVectors, dense{w}, 3, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for q, g := range groups {
		v, err := dense{w}.Query(t.Context(), asked[q].Text)
		if err != nil {
			t.Fatal(err)
		}
		vectors, err := dense{w}.Items(t.Context(), textsOf(w.itemTexts()))
		if err != nil {
			t.Fatal(err)
		}
		scores := make([]float64, 30)
		for i, x := range vectors {
			for j, a := range x {
				scores[i] += float64(a) * float64(v[j])
			}
		}
		var want []string
		for _, at := range descending(scores) {
			if at != q && len(want) < 3 {
				want = append(want, w.itemTexts()[at].Text)
			}
		}
		if !slices.Equal(g.Negatives, want) {
			t.Errorf("query %d: negatives %q, want %q", q, g.Negatives, want)
		}
	}
	one, err := Mine(t.Context(), asked, w.itemTexts(), MineRandom, nil, 3, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Mine(t.Context(), asked, w.itemTexts(), MineRandom, nil, 3, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(one[0].Negatives, two[0].Negatives) && slices.Equal(one[1].Negatives, two[1].Negatives) {
		t.Error("two seeds draw the same negatives")
	}
	for name, call := range map[string]func() error{
		"too many": func() error { _, err := Mine(t.Context(), asked, items, MineBM25, nil, 5, 1, nil); return err },
		"no gold":  func() error { _, err := Mine(t.Context(), queries[1:2], items, MineBM25, nil, 1, 1, nil); return err },
		"lost gold": func() error {
			_, err := Mine(t.Context(), []Query{{"x", "9"}}, items, MineBM25, nil, 1, 1, nil)
			return err
		},
		"no miner":   func() error { _, err := Mine(t.Context(), queries, items, "best", nil, 1, 1, nil); return err },
		"no encoder": func() error { _, err := Mine(t.Context(), queries, items, MineVectors, nil, 1, 1, nil); return err },
	} {
		if err := call(); !errors.Is(err, task.ErrUsage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLessons: of each anchor query the best are there, scores rank as the scorer's do, and no pair comes twice.
func TestLessons(t *testing.T) {
	w := newWorld(60, 20, 4)
	cfg := testConfig()
	cfg.Queries, cfg.Anchors, cfg.Crossed = 0, 10, 0
	x, err := Build(t.Context(), t.TempDir(), Plan{Items: w.itemTexts(), Queries: w.queryTexts(), Config: cfg, Scorer: w})
	if err != nil {
		t.Fatal(err)
	}
	all, err := x.Lessons(10, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 200 {
		t.Fatalf("%d lessons, want 200", len(all))
	}
	seen, most, least := map[string]bool{}, 0.0, 1.0
	for _, l := range all {
		if seen[l.Query+"\t"+l.Item] {
			t.Errorf("%s and %s come twice", l.Query, l.Item)
		}
		seen[l.Query+"\t"+l.Item] = true
		most, least = max(most, l.Score), min(least, l.Score)
	}
	if most != 1 || least < 0 {
		t.Errorf("scores from %v to %v", least, most)
	}
	for q := range x.Queries {
		for _, at := range descending(x.scores.Row(q))[:5] {
			if !seen[x.Queries[q]+"\t"+x.Items[at].Text] {
				t.Errorf("query %d lacks one of its five best", q)
			}
		}
	}
	if _, err := x.Lessons(1, 1); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "want 2 to 60") {
		t.Errorf("one pair of each query: %v", err)
	}
}
