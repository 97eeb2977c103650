package tests

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load is many clients of one server.
type load struct {
	url    string
	client *http.Client

	mu      sync.Mutex
	between []time.Duration // tokens of streams
	wrong   []string

	answered, refused, hungUp, busy atomic.Int64
}

// complain notes what must not be.
func (l *load) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) < 20 {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

// nonsense are bodies that no server can answer, beside those that are cut.
var nonsense = []string{"", "null", "[]", "{\"model\": \"tiny\", \"prompt\": \"\xff\xfe\"}", `{"model": "tiny", "prompt": "x", "n": 1000000}`, `{"model": "tiny", "prompt": "x", "temperature": NaN}`,
	`{"model": "tiny", "prompt": {"a": [[[]]]}}`, `{"model": "none", "prompt": "x"}`, `{"model": "tiny", "prompt": [-1]}`, `{"model": "tiny", "prompt": "x", "max_tokens": 99999999}`}

// ask is one request of some sort.
func (l *load) ask(r *rand.Rand) {
	var prompt strings.Builder
	for range r.IntN(60) * r.IntN(20) {
		prompt.WriteByte("func (x int)\n"[r.IntN(13)])
	}
	stream := r.IntN(2) == 0
	body := fmt.Sprintf(`{"model": "tiny", "prompt": %q, "max_tokens": %d, "stream": %t, "seed": %d, "temperature": %d}`, "f"+prompt.String(), 1+r.IntN(100), stream, r.IntN(9), r.IntN(2))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bad := false
	switch r.IntN(10) {
	case 0:
		body, bad = body[:r.IntN(len(body))], true
	case 1:
		body, bad = nonsense[r.IntN(len(nonsense))], true
	case 2, 3:
		defer time.AfterFunc(time.Duration(r.IntN(100))*time.Millisecond, cancel).Stop()
	}
	q, err := http.NewRequestWithContext(ctx, "POST", l.url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		l.complain("%v", err)
		return
	}
	a, err := l.client.Do(q)
	if err != nil {
		if ctx.Err() == nil {
			l.complain("no answer: %v", err)
		}
		l.hungUp.Add(1)
		return
	}
	defer a.Body.Close()
	text, err := l.read(a.Body, stream && a.StatusCode == 200)
	switch {
	case ctx.Err() != nil:
		l.hungUp.Add(1)
	case err != nil:
		l.complain("status %d, half an answer: %v", a.StatusCode, err)
	case a.StatusCode == 200 && !bad:
		l.answered.Add(1)
		if stream && !bytes.HasSuffix(text, []byte("data: [DONE]\n\n")) {
			l.complain("a stream ends with %.100q", text[max(0, len(text)-100):])
		}
	case a.StatusCode == http.StatusTooManyRequests:
		l.busy.Add(1)
	case a.StatusCode >= 400 && a.StatusCode < 500 && bad:
		l.refused.Add(1)
	default:
		l.complain("status %d of %.100q: %.200s", a.StatusCode, body, text)
	}
}

// read reads an answer, and of a stream the time between its events.
func (l *load) read(r io.Reader, stream bool) (text []byte, err error) {
	if !stream {
		return io.ReadAll(r)
	}
	lines := bufio.NewReader(r)
	var last time.Time
	var between []time.Duration
	for {
		line, err := lines.ReadBytes('\n')
		text = append(text, line...)
		if bytes.HasPrefix(line, []byte("data: {")) {
			now := time.Now()
			if !last.IsZero() {
				between = append(between, now.Sub(last))
			}
			last = now
		}
		if err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.between = append(l.between, between...)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return text, err
		}
	}
}

// run asks by that many clients until enough says so.
func (l *load) run(clients int, seed uint64, enough func() bool) {
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for !enough() {
				l.ask(r)
			}
		})
	}
	all.Wait()
}

// resident is what a process has in memory, in bytes.
func resident(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no VmRSS in %s", text)
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb * 1e3
}

// metric is what /metrics says of a name.
func metric(t *testing.T, url, name string) float64 {
	t.Helper()
	r, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if err != nil || m == nil {
		t.Fatalf("no %s: %v", name, err)
	}
	x, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestServeLoad: 64 clients of all sorts for SPARROW_LOAD (as 10m; 30 s without it, 3 s with -short): every request is answered as it
// must be, no slot and, within 5% of what it was with the prefixes full, no memory is lost; and a SIGTERM in the middle ends every
// accepted request by an answer.
func TestServeLoad(t *testing.T) {
	t.Parallel()
	long, warm := 30*time.Second, int64(600)
	if testing.Short() {
		long, warm = 3*time.Second, 200
	}
	if text := os.Getenv("SPARROW_LOAD"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := workplace(t)
	mustRun(t, dir, "train", "run", "-c", "tiny.toml", "-o", "out", "--set", "model.d_model=64", "--set", "model.n_layer=4", "--set", "train.steps=2")
	url, c, said := serving(t, dir, "tiny=out", "--slots", "8", "--context", "2048", "--prefix-mb", "16")
	l := &load{url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	var longest sync.WaitGroup // a slot takes memory as far as a sequence has ever reached: one in each goes as far as any will
	for i := range 8 {
		longest.Go(func() {
			r, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(fmt.Sprintf(`{"model": "tiny", "prompt": [%d%s], "max_tokens": 50}`, i, strings.Repeat(", 9", 1299))))
			if err != nil || r.StatusCode != 200 {
				t.Errorf("the longest prompt: %v, %+v", err, r)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		})
	}
	longest.Wait()
	var first atomic.Int64
	l.run(64, 1, func() bool { return first.Add(1) > 100 })
	settle := func() float64 {
		for end := time.Now().Add(20 * time.Second); metric(t, url, "sparrow_slots_used")+metric(t, url, "sparrow_queue_length") > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("slots are never free again")
			}
		}
		time.Sleep(5 * time.Second) // until it has given back what it does not use
		return resident(t, c.Process.Pid)
	}
	before := settle()
	l.run(64, 2, func() bool { return first.Add(1) > warm }) // until what the runtime keeps of its heap has settled too
	before = max(before, settle())
	goal := metric(t, url, "go_memstats_next_gc_bytes")
	end := time.Now().Add(long)
	l.run(64, 3, func() bool { return time.Now().After(end) })
	after := settle()
	slices.Sort(l.between)
	p := func(share float64) time.Duration { return l.between[int(share*float64(len(l.between)-1))] }
	t.Logf("%d answered, %d refused, %d hung up, %d found the queue full; between tokens p50 %v, p99 %v; %.1f MB, and %.1f MB before",
		l.answered.Load(), l.refused.Load(), l.hungUp.Load(), l.busy.Load(), p(0.5), p(0.99), after/1e6, before/1e6)
	if l.answered.Load() == 0 || l.refused.Load() == 0 || l.hungUp.Load() == 0 {
		t.Error("the load is of one sort")
	}
	if !testing.Short() && after > 1.05*before {
		t.Errorf("%.1f MB in memory, and %.1f MB before; the runtime collects at %.1f MB, and did at %.1f MB: if these are alike, nothing is lost and the heap is in pieces",
			after/1e6, before/1e6, metric(t, url, "go_memstats_next_gc_bytes")/1e6, goal/1e6)
	}
	for _, text := range l.wrong {
		t.Error(text)
	}

	// SIGTERM in the middle.
	var all sync.WaitGroup
	for i := range 12 {
		all.Add(1)
		go func() {
			defer all.Done()
			r, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(fmt.Sprintf(`{"model": "tiny", "prompt": "func ", "max_tokens": 1500, "stream": true, "seed": %d}`, i)))
			if err != nil {
				t.Errorf("one that was accepted: %v", err)
				return
			}
			defer r.Body.Close()
			text, err := io.ReadAll(r.Body)
			if err != nil || r.StatusCode == 200 && !bytes.HasSuffix(text, []byte("data: [DONE]\n\n")) && !bytes.Contains(text, []byte("shutting_down")) || r.StatusCode != 200 && r.StatusCode != 503 {
				t.Errorf("one that was accepted: status %d, %v, it ends with %.100s", r.StatusCode, err, text[max(0, len(text)-100):])
			}
		}()
	}
	for metric(t, url, "sparrow_slots_used") < 8 {
		time.Sleep(5 * time.Millisecond)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	select {
	case text := <-said:
		if err := c.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v\n%.2000s", err, text)
		}
		if strings.Contains(text, "panic") {
			t.Errorf("it says %.2000s", text)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("it does not end")
	}
}
