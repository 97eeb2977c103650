package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/saved"
	"sparrow/task"
)

// generated is what a model writes alone, as `model generate` does.
func generated(t testing.TB, m *saved.Model, prompt string, n, choice int, sampler model.Sampler) string {
	t.Helper()
	w := m.Task.(task.Generator)
	ids, err := w.Tokenizer().Encode(prompt)
	if err != nil {
		t.Fatal(err)
	}
	stream := tokenizers.NewStream(w.Tokenizer())
	var b strings.Builder
	r := decode.Request{Tokens: n, Sampler: sampler, Stop: decode.StopAt(w.Ends()...)}
	prompts := make([][]int, choice+1) // the number of a prompt is its choice
	for i := range prompts {
		prompts[i] = tokenizers.FrameOf(w.Tokenizer()).Begin(ids)
	}
	if err := decode.Generate(context.Background(), m.Session, prompts, r, func(i, id int) error {
		if i == choice {
			b.WriteString(stream.Push(id))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String() + stream.Flush()
}

// TestSameAsAlone: what the server writes has the bytes of `model generate`, alone and beside others, with and without kept
// prefixes, for each number of slots and each way to hold weights and caches.
func TestSameAsAlone(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		quantize string
		cache    bool
		integers bool // products of
	}{{"", false, false}, {"int8", false, false}, {"int4", true, false}, {"int8", false, true}, {"int4", true, true}} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			t.Parallel()
			m := writer(t, v.quantize, model.Options{Int8Cache: v.cache, Int8: v.integers})
			draft := writer(t, "int8", model.Options{Int8: v.cache}) // which is often right
			type question struct {
				prompt  string
				n       int
				choice  int
				sampler model.Sampler
			}
			common := strings.Repeat("a long beginning that many share. ", 8)
			var all []question
			for i := range 24 {
				q := question{prompt: fmt.Sprintf("%s%d", common[:i*len(common)/24], i), n: 3 + i%9, choice: i % 2, sampler: model.Sampler{TopP: 1, RepetitionPenalty: 1, Seed: uint64(i)}}
				if i%3 > 0 {
					q.sampler.Temperature, q.sampler.TopP = 0.9, 0.8
				}
				all = append(all, q)
			}
			want := make([]string, len(all))
			for i, q := range all {
				want[i] = generated(t, m, q.prompt, q.n, q.choice, q.sampler)
			}
			for i, o := range []Options{{Slots: 1}, {Slots: 3, PrefixBytes: -1}, {Slots: 16}, {Slots: 1}, {Slots: 2}} {
				served := Model{Name: "writer", Model: m}
				if i > 2 {
					served.Draft = draft
				}
				_, url := start(t, o, served)
				var wg sync.WaitGroup
				for i, q := range all {
					wg.Go(func() {
						body := fields{"model": "writer", "prompt": q.prompt, "max_tokens": q.n, "temperature": q.sampler.Temperature, "top_p": q.sampler.TopP, "seed": q.sampler.Seed, "n": 2}
						got, _ := ask[Completion](t, url+"/v1/completions", body, 200)
						if text := got.Choices[q.choice].Text; text != want[i] {
							t.Errorf("%+v: request %d says %q, alone %q", o, i, text, want[i])
						}
					})
				}
				wg.Wait()
			}
		})
	}
}

// TestRefused: what is wrong is said in OpenAI's shape, with the field and the right status.
func TestRefused(t *testing.T) {
	t.Parallel()
	bare := made(t, writerConfig, files{}, model.Options{Packed: true})
	_, url := start(t, Options{MaxBody: 4096}, Model{Name: "writer", Model: writer(t, "", model.Options{})}, Model{Name: "encoder", Model: made(t, encoderConfig, files{}, model.Options{})}, Model{Name: "bare", Model: bare})
	long := strings.Repeat("x", 600)
	for _, c := range []struct {
		path, body string
		status     int
		param      string
		want       string
	}{
		{"completions", `{`, 400, "", "no JSON object"}, {"completions", `null`, 400, "", "it is null"}, {"completions", "{\"model\": \"writer\", \"prompt\": \"\xff\"}", 400, "", "no valid UTF-8"}, {"completions", `[1]`, 400, "", "no JSON object"},
		{"completions", `{"model": "writer"}`, 400, "prompt", "no text"}, {"completions", `{"prompt": "x"}`, 400, "model", "model is missing"},
		{"completions", `{"model": "none", "prompt": "x"}`, 404, "model", "there is no model"}, {"completions", `{"model": 3, "prompt": "x"}`, 400, "model", "want string"},
		{"completions", `{"model": "encoder", "prompt": "x"}`, 400, "model", "continues no text"},
		{"completions", `{"model": "writer", "prompt": ""}`, 400, "prompt", "the prompt is empty"}, {"completions", `{"model": "writer", "prompt": []}`, 400, "prompt", "0 prompts|empty"},
		{"completions", `{"model": "writer", "prompt": [256]}`, 400, "prompt", "the token 256; want 0 to 255"}, {"completions", `{"model": "writer", "prompt": [-1]}`, 400, "prompt", "the token -1"},
		{"completions", `{"model": "writer", "prompt": {"a": 1}}`, 400, "prompt", "no text"},
		{"completions", `{"model": "writer", "prompt": "` + long + `"}`, 400, "max_tokens", "the context has room for 512"},
		{"completions", `{"model": "writer", "prompt": "x", "max_tokens": 512}`, 400, "max_tokens", "the context has room for 512"},
		{"completions", `{"model": "writer", "prompt": "x", "max_tokens": 0}`, 400, "max_tokens", "want at least 1"}, {"completions", `{"model": "writer", "prompt": "x", "max_tokens": -9223372036854775808}`, 400, "max_tokens", "want at least 1"},
		{"completions", `{"model": "writer", "prompt": "x", "temperature": -1}`, 400, "temperature", "want 0 to"}, {"completions", `{"model": "writer", "prompt": "x", "temperature": 1e999}`, 400, "temperature", "1e999"},
		{"completions", `{"model": "writer", "prompt": "x", "top_p": 1.5}`, 400, "top_p", "want 0 to 1"}, {"completions", `{"model": "writer", "prompt": "x", "n": 1000000}`, 400, "n", "want 1 to 128"},
		{"completions", `{"model": "writer", "prompt": ["x", "y"], "n": 100}`, 400, "n", "at most 128 in all"},
		{"completions", `{"model": "writer", "prompt": "x", "logit_bias": {"x": 1}}`, 400, "logit_bias", "ids of tokens"}, {"completions", `{"model": "writer", "prompt": "x", "logit_bias": {"1": 101}}`, 400, "logit_bias", "-100 to 100"},
		{"completions", `{"model": "writer", "prompt": "x", "stop": [""]}`, 400, "stop", "empty text"}, {"completions", `{"model": "writer", "prompt": "x", "logprobs": 21}`, 400, "logprobs", "0 to 20"},
		{"completions", `{"model": "writer", "prompt": "x", "suffix": "y"}`, 400, "suffix", "not supported"}, {"completions", `{"model": "writer", "prompt": "x", "best_of": 4}`, 400, "best_of", "not supported"},
		{"completions", `{"model": "writer", "prompt": "x", "guided_json": {}}`, 400, "guided_json", "not supported"},
		{"completions", `{"model": "writer", "prompt": "` + strings.Repeat("x", 5000) + `"}`, 413, "", "more than 4096 bytes"},
		{"chat/completions", `{"model": "writer", "messages": []}`, 400, "messages", "no messages"}, {"chat/completions", `{"model": "bare", "messages": []}`, 400, "model", "no chat template"},
		{"chat/completions", `{"model": "writer", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}`, 400, "messages", "image_url is not supported"},
		{"chat/completions", `{"model": "writer", "messages": [{"role": "user", "content": 3}]}`, 400, "messages", "want a text"},
		{"chat/completions", `{"model": "writer", "messages": [{"role": "user", "content": "x"}], "tool_choice": "required"}`, 400, "tool_choice", "wants tools"},
		{"chat/completions", `{"model": "writer", "messages": [{"role": "user", "content": "x"}], "response_format": {"type": "xml"}}`, 400, "response_format", "xml"},
		{"chat/completions", `{"model": "writer", "messages": [{"role": "user", "content": "x"}], "top_logprobs": 3}`, 400, "top_logprobs", "wants logprobs"},
		{"embeddings", `{"model": "writer", "input": "x"}`, 400, "model", "no vectors"}, {"embeddings", `{"model": "encoder", "input": [1, 2]}`, 400, "input", "no text"},
		{"embeddings", `{"model": "encoder", "input": "x", "dimensions": 33}`, 400, "dimensions", "want 1 to 32"}, {"embeddings", `{"model": "encoder", "input": "x", "encoding_format": "hex"}`, 400, "encoding_format", "base64"},
		{"classify", `{"model": "encoder", "input": "x"}`, 400, "model", "labels no texts"}, {"rerank", `{"model": "writer", "query": "x", "documents": ["y"]}`, 400, "model", "no model of pairs"},
		{"rerank", `{"model": "encoder", "query": "x", "documents": [3]}`, 400, "documents", "documents[0]"}, {"rerank", `{"model": "encoder", "query": "x"}`, 400, "documents", "0 documents"},
		{"completions", `{"model": "writer", "prompt": "x", "temperature": NaN}`, 400, "", "no JSON object"}, {"completions", `{"model": "writer", "prompt": "x", "temperature": "NaN"}`, 400, "temperature", "want number"},
		{"nothing", `{}`, 404, "", "there is nothing at"},
	} {
		raw, err := http.Post(url+"/v1/"+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(raw.Body)
		raw.Body.Close()
		var got struct {
			Error struct {
				Message, Type string
				Param, Code   *string
			}
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%.100s: %v: %s", c.body, err, text)
			continue
		}
		param := ""
		if got.Error.Param != nil {
			param = *got.Error.Param
		}
		if raw.StatusCode != c.status || param != c.param || got.Error.Type != "invalid_request_error" || !slices.ContainsFunc(strings.Split(c.want, "|"), func(w string) bool { return strings.Contains(got.Error.Message, w) }) {
			t.Errorf("%s %.100s: status %d, param %q, %s; want %d, %q, %s", c.path, c.body, raw.StatusCode, param, got.Error.Message, c.status, c.param, c.want)
		}
		if len(got.Error.Message) > 600 {
			t.Errorf("%.100s: a message of %d bytes", c.body, len(got.Error.Message))
		}
	}
	for _, c := range []struct{ method, path string }{{"GET", "/v1/completions"}, {"POST", "/v1/models"}} {
		r, err := http.NewRequest(c.method, url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil || got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") == "" {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	_, url := start(t, Options{Keys: []string{"first", "second"}}, Model{Name: "encoder", Model: made(t, encoderConfig, files{}, model.Options{})})
	for key, want := range map[string]int{"": 401, "Bearer third": 401, "first": 401, "Bearer first": 200, "Bearer second": 200} {
		r, err := http.NewRequest("GET", url+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", key)
		got, err := http.DefaultClient.Do(r)
		if err != nil || got.StatusCode != want {
			t.Errorf("key %q: %v, %v, want %d", key, got.StatusCode, err, want)
		}
	}
	if got, err := http.Get(url + "/healthz"); err != nil || got.StatusCode != 200 {
		t.Errorf("health wants a key: %v", err)
	}
}

// longWriter is a writer with a long context.
func longWriter(t testing.TB) *saved.Model {
	return made(t, strings.ReplaceAll(writerConfig, "512", "8192"), files{"generation_config.json": `{"eos_token_id": 3}`}, model.Options{Packed: true})
}

// slow is a request that writes as long as the context has room.
func slow(t *testing.T, ctx context.Context, url string) *http.Response {
	t.Helper()
	body := `{"model": "writer", "prompt": "abc", "max_tokens": 8000, "temperature": 0, "stream": true, "logit_bias": {"3": -100}}`
	r, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// settled waits until a server has so many jobs that wait and run.
func settled(t *testing.T, s *Server, waiting, running int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		w, r := s.count(s.models[0])
		s.mu.Unlock()
		if w == waiting && r == running {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d wait and %d run, want %d and %d", w, r, waiting, running)
		}
	}
}

// TestQueue: beyond the queue the answer is 429 with Retry-After; a client that hangs up makes room.
func TestQueue(t *testing.T) {
	t.Parallel()
	s, url := start(t, Options{Slots: 1, Queue: 1, Context: 8192}, Model{Name: "writer", Model: longWriter(t)})
	ctx, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	first := slow(t, ctx, url)
	defer first.Body.Close()
	settled(t, s, 0, 1)
	// One that waits, whose headers come with its first token.
	waits, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(waits, "POST", url+"/v1/completions", strings.NewReader(`{"model": "writer", "prompt": "x", "max_tokens": 2}`))
		got, err := http.DefaultClient.Do(r)
		if err == nil {
			got.Body.Close()
			if got.StatusCode != 200 {
				err = fmt.Errorf("status %d", got.StatusCode)
			}
		}
		done <- err
	}()
	settled(t, s, 1, 1)
	got, r := ask[failure](t, url+"/v1/completions", fields{"model": "writer", "prompt": "x"}, 429)
	if r.Header.Get("Retry-After") != "1" || got.Error.Type != "rate_limit_error" {
		t.Errorf("%v, %+v", r.Header, got)
	}
	hangUp()
	if err := <-done; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
	settled(t, s, 0, 0)
}

// TestDrain: those that wait get 503, those that run end with the reason length, new ones get 503.
func TestDrain(t *testing.T) {
	t.Parallel()
	s, url := start(t, Options{Slots: 1, Context: 8192}, Model{Name: "writer", Model: longWriter(t)})
	first := slow(t, context.Background(), url)
	settled(t, s, 0, 1)
	status := make(chan int, 1)
	go func() {
		r, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(`{"model": "writer", "prompt": "x"}`))
		if err != nil {
			status <- 0
			return
		}
		r.Body.Close()
		status <- r.StatusCode
	}()
	settled(t, s, 1, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	s.Drain(ctx)
	if got := <-status; got != 503 {
		t.Errorf("one that waited: %d, want 503", got)
	}
	text, err := io.ReadAll(first.Body)
	if err != nil || !strings.Contains(string(text), `"finish_reason":"length"`) || !strings.HasSuffix(string(text), "data: [DONE]\n\n") {
		t.Errorf("%v: a stream that was cut ends with %.300s", err, text[max(0, len(text)-300):])
	}
	if got, _ := ask[failure](t, url+"/v1/completions", fields{"model": "writer", "prompt": "x"}, 503); got.Error.Code != "shutting_down" {
		t.Errorf("%+v", got)
	}
	if got, err := http.Get(url + "/readyz"); err != nil || got.StatusCode != 503 {
		t.Errorf("it is ready while it shuts down: %v", err)
	}
}

// TestLoad: many clients of all sorts, of whom some hang up and some send nonsense; each gets an answer, and nothing is left.
func TestLoad(t *testing.T) {
	m := writer(t, "", model.Options{})
	s, url := start(t, Options{Slots: 8, Queue: 1000}, Model{Name: "writer", Model: m})
	requests := 400
	if testing.Short() {
		requests = 100
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	before := runtime.NumGoroutine()
	var next, answered, hungUp, refused atomic.Int64
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for next.Add(1) <= int64(requests) {
				body := fmt.Sprintf(`{"model": "writer", "prompt": %q, "max_tokens": %d, "stream": %t, "seed": 1}`, strings.Repeat("ab ", 1+r.IntN(100)), 1+r.IntN(40), r.IntN(2) == 0)
				ctx, cancel := context.WithCancel(context.Background())
				switch r.IntN(5) {
				case 0:
					body = body[:r.IntN(len(body))]
				case 1:
					time.AfterFunc(time.Duration(r.IntN(30))*time.Millisecond, cancel)
				}
				q, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/completions", strings.NewReader(body))
				if err != nil {
					t.Error(err)
				}
				got, err := client.Do(q)
				if err == nil {
					_, err = io.Copy(io.Discard, got.Body)
					got.Body.Close()
				}
				switch {
				case ctx.Err() != nil:
					hungUp.Add(1)
				case err != nil:
					t.Error(err)
				case got.StatusCode == 200:
					answered.Add(1)
				case got.StatusCode == 400:
					refused.Add(1)
				default:
					t.Errorf("status %d", got.StatusCode)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	settled(t, s, 0, 0)
	client.CloseIdleConnections()
	if answered.Load() == 0 || hungUp.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d answered, %d hung up, %d refused: the test shows little", answered.Load(), hungUp.Load(), refused.Load())
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	// And it still writes what it wrote.
	want := generated(t, m, "hello", 10, 0, model.Sampler{})
	got, _ := ask[Completion](t, url+"/v1/completions", fields{"model": "writer", "prompt": "hello", "max_tokens": 10, "temperature": 0}, 200)
	if got.Choices[0].Text != want {
		t.Errorf("%q, want %q", got.Choices[0].Text, want)
	}
}

// TestDescription: the OpenAPI description has every endpoint, every field has a meaning, and what it points at is there.
func TestDescription(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(description())
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Paths      map[string]map[string]any
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, e := range endpoints() {
		path := strings.NewReplacer("{$}", "", "...}", "}").Replace(e.path)
		if d.Paths[path][strings.ToLower(e.method)] == nil {
			t.Errorf("%s %s is not described", e.method, path)
		}
	}
	for name, s := range d.Components.Schemas {
		properties, _ := s["properties"].(map[string]any)
		if len(properties) == 0 {
			t.Errorf("%s has no fields", name)
		}
		for field, x := range properties {
			if x.(map[string]any)["description"] == nil && name != "Error" {
				t.Errorf("%s.%s has no meaning", name, field)
			}
		}
	}
	for _, at := range strings.Split(string(text), "#/components/schemas/")[1:] {
		if name := at[:strings.IndexByte(at, '"')]; d.Components.Schemas[name] == nil {
			t.Errorf("nothing is called %s", name)
		}
	}
	for _, e := range endpoints() {
		if e.request == nil {
			continue
		}
		for _, f := range reflect.VisibleFields(e.request) {
			if f.Tag.Get("json") != "" && f.Tag.Get("doc") == "" {
				t.Errorf("%s.%s has no doc tag", e.request.Name(), f.Name)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := writer(t, "", model.Options{})
	_, url := start(t, Options{}, Model{Name: "writer", Model: m}, Model{Name: "drafted", Model: m, Draft: writer(t, "int8", model.Options{Packed: true})})
	ask[Completion](t, url+"/v1/completions", fields{"model": "drafted", "prompt": "x", "max_tokens": 9, "temperature": 0}, 200)
	ask[Completion](t, url+"/v1/completions", fields{"model": "writer", "prompt": "x", "max_tokens": 5, "unheard_of": 1, "logit_bias": fields{"3": -100}}, 200)
	r, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`sparrow_requests_total{endpoint="/v1/completions",status="200"} 2`, "sparrow_tokens_total 14", "sparrow_unknown_fields_total 1", "sparrow_slots_used 0",
		"sparrow_first_token_seconds_count 2", "sparrow_next_token_seconds_count 12", "sparrow_queue_seconds_count 2",
		`sparrow_guesses_total{model="drafted"} 3`, `sparrow_guesses_right_total{model="drafted"} 3`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// FuzzRequest: whatever is sent, the answer is a success or a mistake of the client.
func FuzzRequest(f *testing.F) {
	s, err := New(Options{Slots: 2}, Model{Name: "m", Model: writer(f, "", model.Options{})}, Model{Name: "e", Model: made(f, encoderConfig, files{}, model.Options{})})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	paths := []string{"completions", "chat/completions", "embeddings", "classify", "rerank"}
	for i, body := range []string{
		`{"model":"m","prompt":"abc","max_tokens":3,"logprobs":2,"echo":true,"stop":["x"],"logit_bias":{"7":3}}`,
		`{"model":"m","messages":[{"role":"user","content":"hi","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}],"max_tokens":2,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}]}`,
		`{"model":"e","input":["a"],"encoding_format":"base64","dimensions":3}`, `{"model":"e","input":"a"}`, `{"model":"e","query":"q","documents":["a",{"text":"b"}],"top_n":1}`,
	} {
		f.Add(uint8(i), body)
	}
	f.Fuzz(func(t *testing.T, path uint8, body string) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/v1/"+paths[int(path)%len(paths)], strings.NewReader(body)))
		if w.Code >= 500 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
