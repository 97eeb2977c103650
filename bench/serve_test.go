package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sparrow/kernel"
)

// The worker opens a model that many goroutines ask.
func TestMany(t *testing.T) {
	defer kernel.SetThreads(0)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	all := answers(t, request{"cmd": "many"}, request{"cmd": "many-load", "threads": 1, "dir": filepath.Join(t.TempDir(), "model")}, request{"cmd": "many", "repeat": 1})
	if want := "many: no model, send many-load first"; all[0].Error != want {
		t.Errorf("error %q, want %q", all[0].Error, want)
	}
	if a := all[2]; a.Error != "" || len(a.Seconds) != 1 || a.Seconds[0] <= 0 {
		t.Errorf("%+v; want a time", a)
	}
}

// slowServer streams a token each tick, as many as are asked for but at most most of them.
func slowServer(t *testing.T, tick time.Duration, most int) *server {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			MaxTokens int `json:"max_tokens"`
			Prompt    []int
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		if len(q.Prompt) > 1000 {
			time.Sleep(30 * tick)
		}
		n := min(q.MaxTokens, most)
		for i := range n {
			if _, err := fmt.Fprintf(w, "data: {\"choices\":[{\"text\":\"t%d\"}]}\n\n", i); err != nil || r.Context().Err() != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(tick)
		}
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", n)
	}))
	t.Cleanup(h.Close)
	s := &server{url: h.URL}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	t.Cleanup(s.cancel)
	return s
}

// A step is as long as the time between the tokens of a stream, of one and of several; a text that ends at once is an error.
func TestServedTimes(t *testing.T) {
	const tick = 10 * time.Millisecond
	s := slowServer(t, tick, 1000)
	for _, many := range []int{1, 4} {
		prompts := make([][]int, many)
		for i := range prompts {
			prompts[i] = prompt(fmt.Sprint(i), 5)
		}
		x, err := s.write(prompts, 20, 0)
		if err != nil || len(x) != 1 || x[0] < 0.9*tick.Seconds() || x[0] > 10*tick.Seconds() {
			t.Errorf("%d at once: %v, %v; want %v or a little more", many, x, err, tick.Seconds())
		}
	}
	if x, err := s.first(prompt("long", 2000)); err != nil || x < 30*tick.Seconds() {
		t.Errorf("first token after %g s, %v; want at least %g", x, err, 30*tick.Seconds())
	}
	quiet, busy, err := s.pace(0)
	if err != nil || len(quiet) < 100 || len(busy) < 20 {
		t.Errorf("%v: %d times without, %d with a prompt that is read", err, len(quiet), len(busy))
	}
	if _, err := slowServer(t, tick, 2).write([][]int{{1}}, 20, 0); err == nil || !strings.Contains(err.Error(), "by 2 tokens; want 20") {
		t.Errorf("a text that ends: %v", err)
	}
}

// A counter of the server is read with its labels or without, and one that is not there is an error.
func TestServerCounts(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# HELP a_total A.\na_total{model=\"m\"} 12\nb_total 1.5e+06\n")
	}))
	defer h.Close()
	s := &server{url: h.URL}
	for name, want := range map[string]float64{"a_total": 12, "b_total": 1.5e6} {
		if got, err := s.metric(name); err != nil || got != want {
			t.Errorf("%s is %g, %v; want %g", name, got, err, want)
		}
	}
	if _, err := s.metric("c_total"); err == nil || !strings.Contains(err.Error(), "c_total") {
		t.Errorf("one that is not there: %v", err)
	}
}

// What is not given is asked for.
func TestServeWants(t *testing.T) {
	b := &bench{}
	if err := b.serve("serve"); err == nil || !strings.Contains(err.Error(), "--model") {
		t.Errorf("%v", err)
	}
	if err := b.serveDraft("serve-draft"); err == nil || !strings.Contains(err.Error(), "--model") {
		t.Errorf("%v", err)
	}
	if err := b.serveVectors("serve-vectors"); err == nil || !strings.Contains(err.Error(), "--encoder") {
		t.Errorf("%v", err)
	}
}
