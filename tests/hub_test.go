package tests

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestImportFromHub: model import brings a model from a hub that the test makes, goes on after a cut answer, shows its progress,
// and makes the checkpoint that the folder makes.
func TestImportFromHub(t *testing.T) {
	bin := needBinaries(t)
	folder := filepath.Join(root, "interchange", "testdata", "models", "llama")
	const commit = "0123456789abcdef0123456789abcdef01234567"
	var cut atomic.Bool
	cut.Store(true)
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer hf_test" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/api/models/me/tiny/revision/main" {
			entries, err := os.ReadDir(folder)
			if err != nil {
				t.Error(err)
			}
			siblings := []map[string]string{{"rfilename": "onnx/model.onnx"}, {"rfilename": "README.md"}}
			for _, e := range entries {
				siblings = append(siblings, map[string]string{"rfilename": e.Name()})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings})
			return
		}
		name, ok := strings.CutPrefix(r.URL.Path, "/me/tiny/resolve/"+commit+"/")
		content, err := os.ReadFile(filepath.Join(folder, filepath.Base(name)))
		if !ok || err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		blob := append([]byte(fmt.Sprintf("blob %d\x00", len(content))), content...)
		w.Header().Set("Etag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha1.Sum(blob))))
		if r.Method == http.MethodGet && name == "model.safetensors" && cut.Swap(false) {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = w.Write(content[:100])
			panic(http.ErrAbortHandler)
		}
		http.ServeFile(w, r, filepath.Join(folder, name))
	}))
	defer hub.Close()
	work := t.TempDir()
	run := func(token string, args ...string) (string, error) {
		c := exec.Command(filepath.Join(bin, "model"), args...)
		c.Dir = work
		c.Env = append(os.Environ(), "HF_ENDPOINT="+hub.URL, "HF_HOME="+filepath.Join(work, "hf"), "HF_TOKEN="+token, "HF_HUB_CACHE=", "HF_HUB_OFFLINE=")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := run("", "import", "hub:me/tiny", "-o", "none"); err == nil || !strings.Contains(out, "set HF_TOKEN") {
		t.Errorf("without a token: %v\n%s", err, out)
	}
	if out, err := run("", "inspect", "hub:me/tiny"); err == nil || !strings.Contains(out, "set HF_TOKEN") {
		t.Errorf("inspect without a token: %v\n%s", err, out)
	}
	out, err := run("hf_test", "import", "hub:me/tiny", "-o", "there")
	if err != nil || !strings.Contains(out, "fetching me/tiny from "+hub.URL) || !strings.Contains(out, "MB  ") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := run("hf_test", "inspect", "hub:me/tiny"); err != nil || !strings.Contains(out, "source      hub:me/tiny\n") ||
		!strings.Contains(out, "imports     yes") || strings.Contains(out, "fetching") {
		t.Errorf("inspect of what is there: %v\n%s", err, out)
	}
	here, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run("", "import", here, "-o", "here"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a, err := hashes(filepath.Join(work, "here"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hashes(filepath.Join(work, "there"))
	if err != nil {
		t.Fatal(err)
	}
	if changed := difference(a, b); len(changed) > 0 || len(a) == 0 {
		t.Errorf("arrays differ: %v", changed)
	}
	var got []string
	entries, err := os.ReadDir(filepath.Join(work, "hf", "hub", "models--me--tiny", "snapshots", commit))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if slices.Contains(got, "README.md") || !slices.Contains(got, "config.json") {
		t.Errorf("the snapshot holds %v; want only what is read", got)
	}
}
