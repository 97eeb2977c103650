package tests

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServe: the command answers as `model generate` does, and SIGTERM in the middle of a stream lets it end and exits with 0.
func TestServe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no SIGTERM")
	}
	t.Parallel()
	dir := workplace(t)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out")
	want := mustRun(t, dir, "model", "generate", "out", "--prompt", "func ", "--tokens", "24", "--temperature", "0").stdout
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "lora", "--set", `train.init_from="out"`, "--set", `model.linear=[{match="*.layers.*",kind="lora",rank=4}]`)
	tuned := mustRun(t, dir, "model", "generate", "lora", "--prompt", "func ", "--tokens", "24", "--temperature", "0").stdout
	if tuned == want {
		t.Fatal("the adapter changes nothing")
	}
	url, c, rest := serving(t, dir, "tiny=out", "--adapter", "tuned=lora", "--slots", "2", "--context", "2100")
	post := func(body string) *http.Response {
		r, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, want := range map[string]string{"tiny": want, "tuned": tuned} {
		r := post(`{"model": "` + name + `", "prompt": "func ", "max_tokens": 24, "temperature": 0, "echo": true}`)
		text, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%v, status %d: %s", err, r.StatusCode, text)
		}
		if got := regexp.MustCompile(`"text":"((?:[^"\\]|\\.)*)"`).FindSubmatch(text); got == nil || unquote(t, string(got[1]))+"\n" != want {
			t.Errorf("%s says %s, and model generate %q", name, text, want)
		}
	}
	stream := post(`{"model": "tiny", "prompt": "func ", "max_tokens": 2000, "temperature": 1, "stream": true}`)
	first := make([]byte, 10)
	if _, err := io.ReadFull(stream.Body, first); err != nil {
		t.Fatal(err)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(stream.Body)
	if err != nil || !strings.HasSuffix(string(all), "data: [DONE]\n\n") {
		t.Errorf("a stream under way: %v, it ends with %.100s", err, all[max(0, len(all)-100):])
	}
	select {
	case said := <-rest:
		if err := c.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v\n%s", err, said)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestServeReport: the server shows what compress run, and then compress verify, tell of a model, and no page of a training.
func TestServeReport(t *testing.T) {
	t.Parallel()
	dir := workplace(t)
	config := "[compress]\nfrom = \"out\"\nmethod = \"svd\"\nratio = 0.5\n[[compress.layer]]\nmatch = \"model.layers.*\"\n"
	if err := os.WriteFile(filepath.Join(dir, "c.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out", "--set", "train.steps=2")
	page := filepath.Join("small", "report.html")
	if said := mustRun(t, dir, "compress", "run", "-c", "c.toml", "-o", "small").stdout; !strings.Contains(said, page) {
		t.Errorf("compress run says %s; want %s", said, page)
	}
	get := func(url string) (int, string) {
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	for _, verified := range []bool{false, true} {
		url, c, _ := serving(t, dir, "small", "out")
		status, text := get(url + "/v1/reports/small")
		if status != 200 || !strings.Contains(text, "<h3>model.layers.0.mlp.up_proj</h3>") || strings.Contains(text, "ms per decoded token") != verified {
			t.Errorf("verified: %v; status %d: %.300s", verified, status, text)
		}
		if status, text = get(url + "/v1/reports/out"); status != 404 || !strings.Contains(text, "no report") {
			t.Errorf("of a training: status %d: %.300s", status, text)
		}
		if _, text = get(url + "/v1/models"); strings.Count(text, `"report":true`) != 1 {
			t.Errorf("the models are %s; want one with a report", text)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if !verified {
			mustRun(t, dir, "compress", "verify", "small")
		}
	}
}

// serving starts `model serve` on a free port and gives its address, the process, and all that it says once it has ended.
func serving(t *testing.T, dir string, args ...string) (url string, c *exec.Cmd, said <-chan string) {
	t.Helper()
	c = command(t, dir, "model", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	var log strings.Builder
	lines := bufio.NewScanner(stderr)
	for url == "" && lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		if m := regexp.MustCompile(`msg=ready url=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			url = m[1]
		}
	}
	if url == "" {
		t.Fatalf("it is never ready:\n%s", log.String())
	}
	rest := make(chan string, 1)
	go func() {
		for lines.Scan() {
			if log.Len() < 1<<20 {
				log.WriteString(lines.Text() + "\n")
			}
		}
		rest <- log.String()
	}()
	return url, c, rest
}

// unquote is the text of a JSON string without its quotes.
func unquote(t *testing.T, s string) string {
	t.Helper()
	var text string
	if err := json.Unmarshal([]byte(`"`+s+`"`), &text); err != nil {
		t.Fatal(err)
	}
	return text
}
