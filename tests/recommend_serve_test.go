package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sparrow/task"
)

// TestServeRecommends: the server recommends what the command does, to many at once, searches the catalogue and names mistakes.
func TestServeRecommends(t *testing.T) {
	dir := taste(t)
	recommenderConfig(t, dir, "kind = \"two_tower\"\ndim = 4\nhidden = 4\n[train]\nsteps = 20\nbatch_size = 32\n[eval]\nevery = 0\n")
	mustRun(t, dir, "train", "run", "-c", filepath.Join(dir, "recommender.toml"), "-o", "out")
	url, _, _ := serving(t, dir, "shop=out")
	post := func(path, body string, status int) string {
		r, err := http.Post(url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != status {
			t.Errorf("%s %s: status %d, %v: %s", path, body, r.StatusCode, err, text)
		}
		return string(text)
	}
	var group sync.WaitGroup
	for u := range 8 {
		want := mustRun(t, dir, "model", "recommend", "out", "--items", fmt.Sprintf("i%d;i7", u+8), "--fields", "age=31", "-n", "3", "--json").stdout
		group.Go(func() {
			var got struct{ Results []task.Recommended }
			text := post("/v1/recommend", fmt.Sprintf(`{"model": "shop", "items": ["i%d", "i7"], "fields": {"age": "31"}, "n": 3}`, u+8), 200)
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Error(err)
			}
			var line strings.Builder
			out := json.NewEncoder(&line)
			out.SetEscapeHTML(false)
			if err := out.Encode(got.Results); err != nil || line.String() != want {
				t.Errorf("the server says %s, the command %s", line.String(), want)
			}
		})
	}
	group.Wait()
	if text := post("/v1/recommend", `{"model": "shop", "user": "u1", "explain": true}`, 200); !strings.Contains(text, `"kind":"field"`) || !strings.Contains(text, `"kind":"item"`) {
		t.Errorf("no reasons in %s", text)
	}
	if text := post("/v1/catalogue", `{"model": "shop", "query": "item 12"}`, 200); !strings.Contains(text, `"id":"i12"`) || strings.Contains(text, `"id":"i13"`) {
		t.Errorf("found %s", text)
	}
	if text := post("/v1/recommend", `{"model": "shop"}`, 400); !strings.Contains(text, "want user, items or fields") {
		t.Errorf("nobody: %s", text)
	}
	if text := post("/v1/recommend", `{"model": "shop", "items": ["none"]}`, 400); !strings.Contains(text, "there is no item") {
		t.Errorf("no such item: %s", text)
	}
	if text := post("/v1/recommend", `{"model": "shop", "user": "u1", "n": 0}`, 400); !strings.Contains(text, "n = 0") {
		t.Errorf("none: %s", text)
	}
	if text := post("/v1/embeddings", `{"model": "shop", "input": "x"}`, 400); !strings.Contains(text, "no vectors") {
		t.Errorf("vectors: %s", text)
	}
}
