package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"sparrow/model"
)

// endless is a text of a million bytes again and again.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = 'x'
	}
	e.left -= n
	return n, nil
}

// TestHugePrompt: a prompt of 100 MB is refused by the size of its body, and one of 7 MB by the room that its tokens could have, before
// either takes memory or time.
func TestHugePrompt(t *testing.T) {
	_, url := start(t, Options{}, Model{Name: "writer", Model: writer(t, "", model.Options{})})
	for size, status := range map[int]int{100 << 20: 413, 7 << 20: 400} {
		for path, body := range map[string][2]string{
			"completions":      {`{"model": "writer", "prompt": "`, `"}`},
			"chat/completions": {`{"model": "writer", "messages": [{"role": "user", "content": "`, `"}]}`},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			r, err := http.Post(url+"/v1/"+path, "application/json", io.MultiReader(strings.NewReader(body[0]), &endless{size}, strings.NewReader(body[1])))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || r.StatusCode != status {
				t.Errorf("%s of %d MB: status %d, want %d: %.200s, %v", path, size>>20, r.StatusCode, status, text, err)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 120<<20 {
				t.Errorf("%s of %d MB: %d MB were allocated", path, size>>20, got>>20)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s of %d MB: %v", path, size>>20, took)
			}
		}
	}
}

// TestSlowReader: a client that takes nothing of its answer loses its slot to others after a while.
func TestSlowReader(t *testing.T) {
	s, url := start(t, Options{Slots: 16}, Model{Name: "writer", Model: made(t, writerConfig, files{}, model.Options{Packed: true})})
	s.patience = 300 * time.Millisecond
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	body := `{"model": "writer", "prompt": "x", "n": 64, "max_tokens": 500, "logprobs": 20, "stream": true}`
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if line, err := bufio.NewReaderSize(c, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v", line, err)
	}
	settled(t, s, 0, 0) // though 64 x 500 events of some 2 kB are more than any buffer takes
	ask[Completion](t, url+"/v1/completions", `{"model": "writer", "prompt": "x", "max_tokens": 3}`, 200)
}

// TestSlowSender: what comes drop by drop keeps no slot and nobody else waiting.
func TestSlowSender(t *testing.T) {
	s, url := start(t, Options{Slots: 1, Queue: 1}, Model{Name: "writer", Model: writer(t, "", model.Options{})})
	for range 50 {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"model\":")
	}
	ask[Completion](t, url+"/v1/completions", `{"model": "writer", "prompt": "x", "max_tokens": 3}`, 200)
	settled(t, s, 0, 0)
}

// TestBrokenBesideOthers: a request whose scores are no numbers is answered by an error, and one beside it as alone.
func TestBrokenBesideOthers(t *testing.T) {
	good := fields{"model": "writer", "prompt": "abc", "max_tokens": 200, "temperature": 0, "logprobs": 2, "logit_bias": fields{"255": -100, "3": -100}}
	_, url := start(t, Options{}, Model{Name: "writer", Model: writer(t, "", model.Options{})})
	want, _ := ask[Completion](t, url+"/v1/completions", good, 200)
	m := writer(t, "", model.Options{})
	row := m.Session.Store().Get("model.embed_tokens.weight").Float32s()[255*32:][:32]
	for i := range row {
		row[i] = float32(nan())
	}
	_, url = start(t, Options{}, Model{Name: "writer", Model: m})
	done := make(chan Completion)
	go func() {
		got, _ := ask[Completion](t, url+"/v1/completions", good, 200)
		done <- got
	}()
	for range 5 {
		bad, _ := ask[failure](t, url+"/v1/completions", fields{"model": "writer", "prompt": []int{97, 255, 98}, "max_tokens": 5}, 500)
		if !strings.Contains(bad.Error.Message, "is NaN") {
			t.Errorf("%+v", bad)
		}
	}
	got := <-done
	a, err := json.Marshal(got.Choices)
	b, _ := json.Marshal(want.Choices)
	if err != nil || string(a) != string(b) {
		t.Errorf("beside requests that break it says\n%s, alone\n%s", a, b)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }
