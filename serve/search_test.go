package serve

import (
	"context"
	"testing"

	"sparrow/task"
)

// TestSearch: requests reach the model's index with their defaults, and what is wrong with them is named.
func TestSearch(t *testing.T) {
	t.Parallel()
	var asked []any
	find := func(_ context.Context, query string, k, budget int, method string) (SearchResults, error) {
		asked = []any{query, k, budget, method}
		if method == "best" {
			return SearchResults{}, task.Refusef("method %q is unknown", method)
		}
		return SearchResults{Calls: 7, Results: []SearchedHit{{ID: "3", Text: "a dog", Score: 1.5}}}, nil
	}
	pairs := kept(t, "pairs")
	_, url := start(t, Options{}, Model{Name: "pairs", Model: pairs, Search: find}, Model{Name: "bare", Model: kept(t, "reviews")})
	got, _ := ask[SearchResults](t, url+"/v1/search", fields{"model": "pairs", "query": "the cat", "k": 3, "budget": 20, "method": "adacur"}, 200)
	if got.Model != "pairs" || got.Calls != 7 || len(got.Results) != 1 || got.Results[0] != (SearchedHit{"3", "a dog", 1.5}) {
		t.Errorf("results %+v", got)
	}
	if asked[0] != "the cat" || asked[1] != 3 || asked[2] != 20 || asked[3] != "adacur" {
		t.Errorf("asked %v", asked)
	}
	ask[SearchResults](t, url+"/v1/search", fields{"model": "pairs", "query": "x"}, 200)
	if asked[1] != 10 || asked[2] != 100 || asked[3] != "adacur" {
		t.Errorf("without settings it is asked for %v", asked)
	}
	for name, c := range map[string]struct {
		body  fields
		param string
	}{
		"no index":  {fields{"model": "bare", "query": "x"}, "model"},
		"no query":  {fields{"model": "pairs"}, "query"},
		"k of 0":    {fields{"model": "pairs", "query": "x", "k": 0}, "k"},
		"budget":    {fields{"model": "pairs", "query": "x", "budget": 1 << 20}, "budget"},
		"no method": {fields{"model": "pairs", "query": "x", "method": "best"}, "method"},
	} {
		out, _ := ask[struct{ Error struct{ Param string } }](t, url+"/v1/search", c.body, 400)
		if out.Error.Param != c.param {
			t.Errorf("%s: about %q, want %q", name, out.Error.Param, c.param)
		}
	}
}
