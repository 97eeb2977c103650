package tests

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
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
