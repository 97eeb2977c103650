package retrieval

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sparrow/task"
)

// TestAsker: batches go by length, failures are tried again and then named, and what was scored before is kept.
func TestAsker(t *testing.T) {
	items := []string{"cccc", "a", "bb", "ddddd", "ee"}
	var batches []string
	fails := 1
	s := Func{Title: "test", Key: "k", Do: func(_ context.Context, query string, items []string) ([]float64, error) {
		if fails > 0 {
			fails--
			return nil, errors.New("busy")
		}
		batches = append(batches, strings.Join(items, " "))
		out := make([]float64, len(items))
		for i, item := range items {
			if out[i] = float64(len(item)); item == "ddddd" {
				out[i] = math.NaN()
			}
		}
		return out, nil
	}}
	path := filepath.Join(t.TempDir(), "pairs")
	pairs, err := OpenPairs(path, s)
	if err != nil {
		t.Fatal(err)
	}
	a := &Asker{Scorer: s, Batch: 2, Attempts: 2, pairs: pairs}
	_, err = a.Ask(t.Context(), "q", items)
	if err == nil || !strings.Contains(err.Error(), `item "ddddd"`) || !strings.Contains(err.Error(), "NaN") || !strings.Contains(err.Error(), "scorer test") {
		t.Errorf("a score that is no number: %v", err)
	}
	if want := []string{"a bb", "ee cccc", "ddddd", "ddddd"}; !slices.Equal(batches, want) {
		t.Errorf("batches %q, want %q", batches, want)
	}
	if err := pairs.Close(); err != nil {
		t.Fatal(err)
	}
	if pairs, err = OpenPairs(path, s); err != nil {
		t.Fatal(err)
	}
	defer pairs.Close()
	if pairs.Len() != 4 {
		t.Errorf("%d pairs are kept, want 4", pairs.Len())
	}
	a, batches = &Asker{Scorer: s, Batch: 2, Attempts: 1, pairs: pairs}, nil
	got, err := a.Ask(t.Context(), "q", items[:3])
	if err != nil || !slices.Equal(got, []float64{4, 1, 2}) || len(batches) != 0 || a.Asked != 0 {
		t.Errorf("known pairs: %v, %v, asked %q", got, err, batches)
	}
	if _, err := OpenPairs(path, Func{Key: "other"}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("pairs of another scorer: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-30] ^= 1 // within the record before the last
	damaged := filepath.Join(t.TempDir(), "pairs")
	if err := os.WriteFile(damaged, text, 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := OpenPairs(damaged, s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Len() != 2 {
		t.Errorf("%d pairs before a damaged record, want 2", p.Len())
	}
	few := NewPairs(3)
	for i := range 5 {
		if err := few.put("q", []string{items[i]}, []float64{1}); err != nil {
			t.Fatal(err)
		}
	}
	if few.Len() > 3 {
		t.Errorf("%d pairs in memory for 3", few.Len())
	}
}

// TestAskerTimesOut: a scorer that hangs is left, and named with the time that it had; the caller's end is not an error of the scorer.
func TestAskerTimesOut(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	s := Func{Title: "slow", Do: func(context.Context, string, []string) ([]float64, error) {
		<-release
		return nil, nil
	}}
	a := &Asker{Scorer: s, Batch: 2, Attempts: 2, Timeout: time.Millisecond}
	if _, err := a.Ask(t.Context(), "q", []string{"x"}); err == nil || !strings.Contains(err.Error(), "no answer within 1ms") {
		t.Errorf("a scorer that hangs: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Timeout = 0
	if _, err := a.Ask(ctx, "q", []string{"x"}); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "slow") {
		t.Errorf("a caller that ends: %v", err)
	}
}

// TestHTTP: the requests are those of /v1/rerank, and answers that are none are errors; a refusal is not asked for again.
func TestHTTP(t *testing.T) {
	var status int
	var answer string
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		var q struct {
			Model     string
			Query     string
			Documents []string
			TopN      int `json:"top_n"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Query != "q" || q.Model != "m" || !slices.Equal(q.Documents, []string{"a", "b"}) || q.TopN != 2 {
			t.Errorf("request %+v, %v", q, err)
		}
		if r.Header.Get("Authorization") != "Bearer key" {
			t.Error("no key")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	a := &Asker{Scorer: HTTP{URL: server.URL, Model: "m", Key: "key"}, Batch: 8, Attempts: 2}
	for _, c := range []struct {
		status int
		answer string
		want   string
		asked  int
	}{
		{200, `{"results": [{"index": 1, "relevance_score": 2}, {"index": 0, "relevance_score": -1.5}]}`, "", 1},
		{200, `{"results": [{"index": 1, "relevance_score": 2}]}`, "1 results for 2", 2},
		{200, `{"results": [{"index": 2, "relevance_score": 2}]}`, "document 2 of 2", 2},
		{200, `{"results": [{"index": 0}]}`, "without relevance_score", 2},
		{200, `hello`, "no ranking", 2},
		{503, `busy`, "503", 2},
		{400, `no such model`, "no such model", 1},
	} {
		status, answer, asked = c.status, c.answer, 0
		got, err := a.Ask(t.Context(), "q", []string{"a", "b"})
		if c.want == "" {
			if err != nil || !slices.Equal(got, []float64{-1.5, 2}) {
				t.Errorf("scores %v, %v", got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.answer, err)
		}
		if asked != c.asked {
			t.Errorf("%s: asked %d times, want %d", c.answer, asked, c.asked)
		}
	}
}

// TestBM25 against the formula, word by word.
func TestBM25(t *testing.T) {
	texts := []string{"the cat sat", "the dog", "a cat and a cat", "", "readAll ReadAll"}
	b := NewBM25(texts)
	query := "the cat, the readall"
	got := b.Scores(query)
	mean := 0.0
	for _, text := range texts {
		mean += float64(len(Words(text))) / float64(len(texts))
	}
	for i, text := range texts {
		want := 0.0
		for _, word := range Words(query) {
			n, f := 0.0, 0.0
			for j, other := range texts {
				if slices.Contains(Words(other), word) {
					n++
				}
				for _, w := range Words(other) {
					if w == word && i == j {
						f++
					}
				}
			}
			if f > 0 {
				want += math.Log(1+(5-n+0.5)/(n+0.5)) * f * 2.2 / (f + 1.2*(0.25+0.75*float64(len(Words(text)))/mean))
			}
		}
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("text %d: %v, want %v", i, got[i], want)
		}
	}
	for text, want := range map[string]string{
		"HTTPServer reads":     "httpserver http server reads",
		"ReadAll":              "readall read all",
		"utf8.RuneLen":         "utf8 runelen rune len",
		"URL":                  "url",
		"Grüße, Ärzte":         "grüße ärzte",
		"x":                    "x",
		"":                     "",
		"func (b *B) SetURL()": "func b b seturl set url",
	} {
		if got := strings.Join(Words(text), " "); got != want {
			t.Errorf("words of %q are %q, want %q", text, got, want)
		}
	}
}
