package interpret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sparrow/task"
)

// TestDescribe: a judge sees the contexts with the strongest token marked, and what it says is kept; one that fails is an error.
func TestDescribe(t *testing.T) {
	f, _ := fitted(t, "writer", func(s *Settings) { s.Features = 3 })
	asked := 0
	judge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Model    string
			Messages []struct{ Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Model != "wise" || r.URL.Path != "/v1/chat/completions" || !strings.Contains(q.Messages[0].Content, "[[") {
			t.Errorf("%v: %s asks %+v", err, r.URL, q)
		}
		asked++
		fmt.Fprintf(w, `{"choices": [{"message": {"content": " words number\n %d"}}]}`, asked)
	}))
	defer judge.Close()
	if err := f.Describe(context.Background(), Judge{judge.URL + "/v1/", "wise"}, func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	got, err := Open(f.Dir)
	if err != nil || asked == 0 || got.Sets[0].Features[0].Description != "words number 1" {
		t.Errorf("%v: %d questions, %+v", err, asked, got.Sets[0].Features[0].Description)
	}
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "tired", http.StatusServiceUnavailable) }))
	defer bad.Close()
	if err := f.Describe(context.Background(), Judge{bad.URL, ""}, func(int, int) {}); err == nil || !strings.Contains(err.Error(), "tired") {
		t.Errorf("a judge that fails: %v", err)
	}
	if err := f.Describe(context.Background(), Judge{"here", ""}, func(int, int) {}); !errors.Is(err, task.ErrUsage) {
		t.Errorf("no URL: %v", err)
	}
}
