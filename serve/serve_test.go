package serve

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/internal/rng"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/task/kinds"
)

// files are what a checkpoint holds, by name.
type files map[string]string

func (f files) Dir() string { return "test" }

func (f files) File(name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return []byte(text), nil
}

// made is a checkpoint of a network with weights far from their first values, which are the same each time.
func made(t testing.TB, config string, f files, o model.Options) *saved.Model {
	t.Helper()
	f["tokenizer.json"] = "{\"type\": \"byte\"}\n"
	cfg := recipe.Default()
	if err := configs.Decode("config.toml", []byte(config), &cfg, configs.Options{Lists: recipe.Lists()}); err != nil {
		t.Fatal(err)
	}
	known, err := kinds.Open(kinds.All(), cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	dims, err := known.Dims()
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.Model.NewSession(dims, store, model.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range store.Names() {
		w := make([]float32, store.Shape(name).TotalSize())
		rng.FillNormal(rng.New(5, name, 0), w, 0.05, 0.25)
		if store.InFewBits(name) {
			store.Codes(name).Quantize(w)
		} else {
			copy(store.Get(name).Float32s(), w)
		}
	}
	more := map[string][]byte{"state.json": []byte("{}")}
	for name, text := range f {
		more[name] = []byte(text)
	}
	c, err := saved.Contents(cfg, known, store, more)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := checkpoints.Write(dir, c); err != nil {
		t.Fatal(err)
	}
	m, err := saved.Open(dir, false, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// template is one that knows tools.
const template = `{% if tools %}tools: {{ tools | tojson }}
{% endif %}{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}
{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`

const writerConfig = `
name = "writer"
[task]
kind = "language"
[data]
source = "none"
seq_len = 512
[model]
kind = "decoder"
d_model = 32
n_layer = 2
d_ff = 48
context = 512
`

// writer is a small language model over bytes with a chat template. quantize is how its matrices are held; "": float32.
func writer(t testing.TB, quantize string, o model.Options) *saved.Model {
	config := writerConfig
	if quantize != "" {
		config += fmt.Sprintf("[[model.linear]]\nmatch = \"*\"\nkind = \"dense\"\nquantize = %q\nquant_block = 32\n", quantize)
	}
	o.Packed = true
	return made(t, config, files{"chat_template.jinja": template, "generation_config.json": `{"eos_token_id": 3}`}, o)
}

const encoderConfig = `
name = "encoder"
[task]
kind = "sentence"
[data]
source = "none"
seq_len = 64
[model]
kind = "encoder"
d_model = 32
n_layer = 1
d_ff = 48
context = 64
[model.sentence]
pooling = "mean"
normalize = true
`

// kept is a run of an earlier version.
func kept(t testing.TB, name string) *saved.Model {
	t.Helper()
	r, err := zip.OpenReader(filepath.Join("..", "tests", "testdata", "v1", "runs", name+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, r); err != nil {
		t.Fatal(err)
	}
	m, err := saved.Open(dir, true, model.Options{Packed: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// start serves models and gives the server and its address.
func start(t testing.TB, o Options, models ...Model) (*Server, string) {
	t.Helper()
	s, err := New(o, models...)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() { h.Close(); s.Close() })
	return s, h.URL
}

// ask posts a value and decodes the answer, which must have that status.
func ask[T any](t testing.TB, url string, body any, status int) (out T, r *http.Response) {
	t.Helper()
	text, ok := body.(string)
	if !ok {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(raw)
	}
	r, err := http.Post(url, "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != status {
		t.Fatalf("status %d, want %d: %.500s asks, %s", r.StatusCode, status, text, raw)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return out, r
}

// events are those of a stream, but the last.
func events[T any](t testing.TB, url string, body any) (out []T) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(url, "application/json", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Fatalf("%v, status %d: %s", err, r.StatusCode, text)
	}
	all := strings.Split(strings.TrimSuffix(string(text), "\n\n"), "\n\n")
	if all[len(all)-1] != "data: [DONE]" {
		t.Fatalf("the stream ends with %q", all[len(all)-1])
	}
	for _, event := range all[:len(all)-1] {
		var x T
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &x); err != nil {
			t.Fatalf("%v: %s", err, event)
		}
		out = append(out, x)
	}
	return out
}

type fields = map[string]any

// failure is an error as it travels.
type failure struct{ Error Error }

func TestCompletionsStream(t *testing.T) {
	t.Parallel()
	_, url := start(t, Options{}, Model{Name: "writer", Model: writer(t, "", model.Options{})})
	for _, q := range []fields{
		{"prompt": "once upon", "max_tokens": 30, "temperature": 0},
		{"prompt": "once upon", "max_tokens": 30, "seed": 4, "n": 3, "logprobs": 2},
		{"prompt": []string{"one", "another text"}, "max_tokens": 20, "seed": 4, "n": 2, "echo": true, "logprobs": 1},
		{"prompt": []int{104, 105}, "max_tokens": 9, "seed": 9, "top_p": 0.7, "top_k": 40, "min_p": 0.01, "presence_penalty": 0.5, "frequency_penalty": 0.3, "logit_bias": fields{"65": 5, "66": -100}},
	} {
		q["model"] = "writer"
		whole, _ := ask[Completion](t, url+"/v1/completions", q, 200)
		q["stream"], q["stream_options"] = true, fields{"include_usage": true}
		got := make([]CompletionChoice, len(whole.Choices))
		var usage *Usage
		for _, event := range events[Completion](t, url+"/v1/completions", q) {
			usage = event.Usage
			for _, c := range event.Choices {
				x := &got[c.Index]
				x.Index = c.Index
				x.Text += c.Text
				x.FinishReason = c.FinishReason
				x.Logprobs = joinLogprobs(x.Logprobs, c.Logprobs)
			}
		}
		if a, b := text(t, got), text(t, whole.Choices); a != b {
			t.Errorf("%v: a stream says\n%s\nand one answer\n%s", q, a, b)
		}
		if usage == nil || *usage != *whole.Usage || usage.CompletionTokens == 0 || usage.TotalTokens != usage.PromptTokens+usage.CompletionTokens {
			t.Errorf("%v: usage %+v, want %+v", q, usage, whole.Usage)
		}
		for _, c := range whole.Choices {
			if l := c.Logprobs; l != nil && utf8.ValidString(c.Text) && !strings.Contains(c.Text, "\uFFFD") && strings.Join(l.Tokens, "") != c.Text {
				t.Errorf("%v: tokens %q are not the text %q", q, l.Tokens, c.Text)
			}
		}
	}
}

func text(t testing.TB, x any) string {
	t.Helper()
	raw, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestStops: what is written ends before the first stop text, in a stream too, wherever its bytes lie.
func TestStops(t *testing.T) {
	t.Parallel()
	_, url := start(t, Options{}, Model{Name: "writer", Model: writer(t, "", model.Options{})})
	q := fields{"model": "writer", "prompt": "abc", "max_tokens": 40, "temperature": 1, "seed": 11, "logit_bias": fields{"3": -100}}
	for i := range 128 { // plain letters alone, so that a text has no half runes
		if i < 'a' || i > 'e' {
			q["logit_bias"].(fields)[fmt.Sprint(i)] = -100
		}
		q["logit_bias"].(fields)[fmt.Sprint(128+i)] = -100
	}
	whole, _ := ask[Completion](t, url+"/v1/completions", q, 200)
	full := whole.Choices[0].Text
	if len(full) != 40 {
		t.Fatalf("%q", full)
	}
	for at := 5; at < 36; at += 5 {
		stop := full[at : at+3]
		want := full[:strings.Index(full, stop)]
		q["stop"] = []string{"zzz", stop}
		q["stream"] = false
		got, _ := ask[Completion](t, url+"/v1/completions", q, 200)
		if c := got.Choices[0]; c.Text != want || *c.FinishReason != "stop" {
			t.Errorf("stop %q: %q (%s), want %q", stop, c.Text, *c.FinishReason, want)
		}
		q["stream"] = true
		streamed := ""
		for _, event := range events[Completion](t, url+"/v1/completions", q) {
			streamed += event.Choices[0].Text
		}
		if streamed != want {
			t.Errorf("stop %q: a stream says %q, want %q", stop, streamed, want)
		}
	}
}

func TestChat(t *testing.T) {
	t.Parallel()
	m := writer(t, "", model.Options{})
	_, url := start(t, Options{}, Model{Name: "writer", Model: m})
	q := fields{"model": "writer", "messages": []fields{{"role": "system", "content": "be kind"}, {"role": "user", "content": []fields{{"type": "text", "text": "hello"}}}},
		"max_tokens": 20, "seed": 2, "logprobs": true, "top_logprobs": 3}
	whole, _ := ask[ChatCompletion](t, url+"/v1/chat/completions", q, 200)
	// The same as a completion of what the template makes of it.
	plain, _ := ask[Completion](t, url+"/v1/completions", fields{"model": "writer", "prompt": "<system>be kind\n<user>hello\n<assistant>", "max_tokens": 20, "seed": 2, "logprobs": 3}, 200)
	c, p := whole.Choices[0], plain.Choices[0]
	if *c.Message.Content != p.Text || *c.FinishReason != *p.FinishReason || whole.Usage.PromptTokens != plain.Usage.PromptTokens {
		t.Errorf("%q (%s), want %q (%s)", *c.Message.Content, *c.FinishReason, p.Text, *p.FinishReason)
	}
	for i, x := range c.Logprobs.Content {
		if len(x.TopLogprobs) != 3 || math.Abs(x.Logprob-*p.Logprobs.TokenLogprobs[i]) > 0 || len(x.Bytes) != 1 {
			t.Errorf("token %d: %+v", i, x)
		}
	}
	q["stream"] = true
	said, role, finish := "", "", ""
	for _, event := range events[ChatCompletion](t, url+"/v1/chat/completions", q) {
		for _, c := range event.Choices {
			role += c.Delta.Role
			if c.Delta.Content != nil {
				said += *c.Delta.Content
			}
			if c.FinishReason != nil {
				finish += *c.FinishReason
			}
		}
	}
	if said != p.Text || role != "assistant" || finish != *p.FinishReason {
		t.Errorf("a stream says %q by %q, %q", said, role, finish)
	}
}

func TestToolCalls(t *testing.T) {
	t.Parallel()
	tools := []Tool{{Type: "function", Function: ToolFunction{Name: "weather"}}, {Type: "function", Function: ToolFunction{Name: "time"}}}
	for _, c := range []struct{ text, rest, calls string }{
		{"plain text", "plain text", ""},
		{"I look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>", "I look.", `weather {"city": "Oslo"}`},
		{"<tool_call>{\"name\": \"weather\", \"arguments\": {}}</tool_call>\n<tool_call>{\"name\": \"time\", \"arguments\": {\"x\": 1}}</tool_call>", "", `weather {};time {"x": 1}`},
		{"<tool_call>{\"name\": \"rob\", \"arguments\": {}}</tool_call>", "<tool_call>{\"name\": \"rob\", \"arguments\": {}}</tool_call>", ""},
		{"<tool_call>{\"name\": \"time\"", "<tool_call>{\"name\": \"time\"", ""},
		{`{"name": "time", "parameters": {"zone": "CET"}}`, "", `time {"zone": "CET"}`},
		{`<|python_tag|>{"name": "time", "parameters": {}}`, "", `time {}`},
		{`{"name": "time", "parameters": "CET"}`, `{"name": "time", "parameters": "CET"}`, ""},
	} {
		rest, calls := toolCalls(c.text, tools)
		var got []string
		for _, x := range calls {
			got = append(got, x.Function.Name+" "+x.Function.Arguments)
		}
		if rest != c.rest || strings.Join(got, ";") != c.calls {
			t.Errorf("%q: %q and %q; want %q and %q", c.text, rest, got, c.rest, c.calls)
		}
	}
}

func TestEmbeddings(t *testing.T) {
	t.Parallel()
	m := made(t, encoderConfig, files{}, model.Options{})
	_, url := start(t, Options{}, Model{Name: "encoder", Model: m})
	in := []string{"one text", "and another, which is longer", "one text"}
	want, err := m.Task.(task.Embedder).Embed(context.Background(), m.Session, in, task.Vectors{})
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := ask[struct {
		Data []struct{ Embedding []float32 }
	}](t, url+"/v1/embeddings", fields{"model": "encoder", "input": in}, 200)
	coded, _ := ask[struct{ Data []struct{ Embedding string } }](t, url+"/v1/embeddings", fields{"model": "encoder", "input": in, "encoding_format": "base64"}, 200)
	short, _ := ask[struct {
		Data []struct{ Embedding []float32 }
	}](t, url+"/v1/embeddings", fields{"model": "encoder", "input": in[0], "dimensions": 8}, 200)
	for i, v := range want {
		raw, err := base64.StdEncoding.DecodeString(coded.Data[i].Embedding)
		if err != nil || len(raw) != 4*len(v) {
			t.Fatalf("%v, %d bytes", err, len(raw))
		}
		for j, x := range v {
			if plain.Data[i].Embedding[j] != x || math.Float32frombits(binary.LittleEndian.Uint32(raw[4*j:])) != x {
				t.Fatalf("text %d, number %d: %g and its base64, want %g", i, j, plain.Data[i].Embedding[j], x)
			}
		}
	}
	sum := 0.0
	for j, x := range short.Data[0].Embedding {
		sum += float64(x) * float64(x)
		if x*want[0][j] < 0 {
			t.Errorf("number %d of a short vector has another sign", j)
		}
	}
	if len(short.Data[0].Embedding) != 8 || math.Abs(sum-1) > 1e-6 {
		t.Errorf("%d numbers of length %g, want 8 of length 1", len(short.Data[0].Embedding), sum)
	}
	ranking, _ := ask[Ranking](t, url+"/v1/rerank", fields{"model": "encoder", "query": "one text", "documents": []any{"and another, which is longer", fields{"text": "one text"}, "x"}, "top_n": 2}, 200)
	if len(ranking.Results) != 2 || ranking.Results[0].Index != 1 || math.Abs(ranking.Results[0].Relevance-1) > 1e-6 || ranking.Results[0].Document.Text != "one text" {
		t.Errorf("%+v", ranking)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	reviews, pairs := kept(t, "reviews"), kept(t, "pairs")
	_, url := start(t, Options{}, Model{Name: "reviews", Model: reviews}, Model{Name: "pairs", Model: pairs})
	want, err := reviews.Task.(task.Predictor).Predict(context.Background(), reviews.Session, []task.Input{{Texts: []string{"a good film"}}})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := ask[Classification](t, url+"/v1/classify", fields{"model": "reviews", "input": "a good film"}, 200)
	for i, v := range want[0] {
		if s := got.Data[0].Scores[i]; s.Label != v.Name || s.Score != v.X {
			t.Errorf("%+v, want %+v", s, v)
		}
	}
	documents := []string{"a dog", "the cat sat", "it rains"}
	ranking, _ := ask[Ranking](t, url+"/v1/rerank", fields{"model": "pairs", "query": "the cat", "documents": documents, "return_documents": false}, 200)
	names := pairs.Task.(task.Predictor).Names()
	for i, r := range ranking.Results {
		want, err := pairs.Task.(task.Predictor).Predict(context.Background(), pairs.Session, []task.Input{{Texts: []string{"the cat", documents[r.Index]}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range want[0] {
			if v.Name == names[len(names)-1] && v.X != r.Relevance {
				t.Errorf("document %d: %g, want %g", r.Index, r.Relevance, v.X)
			}
		}
		if i > 0 && r.Relevance > ranking.Results[i-1].Relevance || r.Document != nil {
			t.Errorf("place %d: %+v", i, r)
		}
	}
}

// TestAttention: a head's weights come by token, and what there is not is refused.
func TestAttention(t *testing.T) {
	_, url := start(t, Options{}, Model{Name: "writer", Model: writer(t, "", model.Options{}), Report: []byte("<p>r")}, Model{Name: "encoder", Model: made(t, encoderConfig, files{}, model.Options{})})
	got, _ := ask[Attention](t, url+"/v1/attention", `{"model": "writer", "prompt": "some text", "layer": 1, "head": 3}`, 200)
	if len(got.Tokens) != 9 || len(got.Weights) != 9 || len(got.Weights[4]) != 5 || got.Tokens[0] != "s" || got.Weights[0][0] != 1 {
		t.Errorf("%+v", got)
	}
	ids, _ := ask[Attention](t, url+"/v1/attention", `{"model": "writer", "prompt": [115, 111], "layer": 1, "head": 3}`, 200)
	if ids.Weights[1][0] != got.Weights[1][0] {
		t.Errorf("by ids %v, by text %v", ids.Weights[1], got.Weights[1])
	}
	for body, want := range map[string]string{
		`{"model": "writer", "prompt": "x", "layer": 2, "head": 0}`: "layer = 2; want 0 to 1", `{"model": "writer", "prompt": "x", "layer": 0, "head": 4}`: "head = 4; want 0 to 3",
		`{"model": "writer", "prompt": "", "layer": 0, "head": 0}`: "1 to 256", `{"model": "writer", "prompt": ["x", "y"], "layer": 0, "head": 0}`: "2 prompts",
		`{"model": "writer", "prompt": "` + strings.Repeat("x", 257) + `", "layer": 0, "head": 0}`: "257 tokens", `{"model": "encoder", "prompt": "x", "layer": 0, "head": 0}`: "writes no text",
	} {
		if bad, _ := ask[failure](t, url+"/v1/attention", body, 400); !strings.Contains(bad.Error.Message, want) {
			t.Errorf("%.60s: %+v", body, bad)
		}
	}
	for name, status := range map[string]int{"writer": 200, "encoder": 404, "none": 404} {
		r, err := http.Get(url + "/v1/reports/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != status || status == 200 && (string(text) != "<p>r" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "sandbox")) {
			t.Errorf("report of %s: status %d, %s", name, r.StatusCode, text)
		}
	}
}
