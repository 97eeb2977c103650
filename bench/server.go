package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

type fields = map[string]any

// server is a process that answers over HTTP.
type server struct {
	url     string
	process *exec.Cmd
	dir     string // removed at the end; "": none

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
}

// startServer runs model serve on a free port.
func startServer(program string, args ...string) (*server, error) {
	c := exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	said, err := c.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	s := &server{process: c}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var log strings.Builder
	for lines := bufio.NewScanner(said); lines.Scan(); {
		fmt.Fprintln(&log, lines.Text())
		if m := regexp.MustCompile(`msg=ready url=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			s.url = m[1]
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return s, nil
		}
	}
	_ = c.Wait()
	return nil, fmt.Errorf("bench: model serve %s:\n%s", strings.Join(args, " "), log.String())
}

func (s *server) end() {
	s.cancel()
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// post asks and gives the body of the answer.
func (s *server) post(path string, body fields) (io.ReadCloser, error) {
	s.mu.Lock()
	ctx := s.ctx
	s.mu.Unlock()
	body["model"] = "m"
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	q, err := http.NewRequestWithContext(ctx, "POST", s.url+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		return nil, fmt.Errorf("bench: %s: status %d: %s", path, r.StatusCode, text)
	}
	return r.Body, nil
}

// cancelStreams hangs up on all that runs.
func (s *server) cancelStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
	s.ctx, s.cancel = context.WithCancel(context.Background())
}

// noEnds forbids the first tokens, by which models end a text, so that it goes on as long as it is read.
func (s *server) noEnds() fields { return fields{"0": -100, "1": -100, "2": -100} }

// stream continues a prompt, tells when each event comes, and gives how many tokens were written.
func (s *server) stream(q fields, each func(now time.Time)) (tokens int, err error) {
	q["stream"], q["stream_options"] = true, fields{"include_usage": true}
	body, err := s.post("/v1/completions", q)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadBytes('\n')
		if event, ok := bytes.CutPrefix(line, []byte("data: {")); ok {
			if !bytes.Contains(event, []byte(`"choices":[]`)) {
				each(time.Now())
				continue
			}
			var last struct {
				Usage struct {
					Completion int `json:"completion_tokens"`
				}
			}
			if err := json.Unmarshal(line[len("data: "):], &last); err != nil {
				return 0, err
			}
			tokens = last.Usage.Completion
		}
		if err == io.EOF {
			return tokens, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// write continues prompts at the same time and gives the seconds of a step in which all write.
func (s *server) write(prompts [][]int, tokens int, temperature float64) ([]float64, error) {
	times, errs, counts := make([][]time.Time, len(prompts)), make([]error, len(prompts)), make([]int, len(prompts))
	var all sync.WaitGroup
	for i, p := range prompts {
		all.Go(func() {
			q := fields{"prompt": p, "max_tokens": tokens, "temperature": temperature, "top_p": 1.0, "seed": i}
			if temperature > 0 {
				q["top_p"] = 0.95
			}
			counts[i], errs[i] = s.stream(q, func(now time.Time) { times[i] = append(times[i], now) })
		})
	}
	all.Wait()
	var from, to time.Time // from the last one's first token to the first one's last
	for i, t := range times {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if len(t) < 3 || counts[i] < 3 {
			return nil, fmt.Errorf("bench: a prompt is continued by %d tokens; want %d: the model ends it", counts[i], tokens)
		}
		if t[0].After(from) {
			from = t[0]
		}
		if last := t[len(t)-1]; i == 0 || last.Before(to) {
			to = last
		}
	}
	if !to.After(from) {
		return nil, fmt.Errorf("bench: %d prompts are never continued at the same time", len(prompts))
	}
	rate := 0.0 // steps a second: an event may have several tokens, or a token none
	for i, t := range times {
		rate += float64(counts[i]-1) / t[len(t)-1].Sub(t[0]).Seconds() / float64(len(times))
	}
	return []float64{1 / rate}, nil
}

// first is the time to the first token of a prompt.
func (s *server) first(p []int) (float64, error) {
	began, took := time.Now(), 0.0
	_, err := s.stream(fields{"prompt": p, "max_tokens": 1, "temperature": 0}, func(now time.Time) {
		if took == 0 {
			took = now.Sub(began).Seconds()
		}
	})
	return took, err
}

// whole is the time of a request.
func (s *server) whole(prompt string, tokens int) (float64, error) {
	began := time.Now()
	body, err := s.post("/v1/completions", fields{"prompt": prompt, "max_tokens": tokens, "temperature": 0})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return time.Since(began).Seconds(), err
}
