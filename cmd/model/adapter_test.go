package main

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sparrow/interchange"
	"sparrow/model"
	"sparrow/model/decode"
	"sparrow/nn"
	"sparrow/saved"
	"sparrow/serve"
	"sparrow/task"
)

// words imports the small LLaMA of interchange's tests, with its matrices in that type.
func words(t *testing.T, dtype string) *saved.Model {
	t.Helper()
	in, err := interchange.Open(filepath.Join("..", "..", "interchange", "testdata", "models", "llama"), interchange.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m, err := in.Model()
	if err == nil {
		err = m.Store(dtype, false)
	}
	dir := filepath.Join(t.TempDir(), "words")
	if err == nil {
		err = writeImport(io.Discard, m, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, false, model.Options{Packed: true})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func peft(name string) string {
	return filepath.Join("..", "..", "interchange", "testdata", "adapters", name)
}

// logits are those of a row of tokens.
func logits(t *testing.T, s *model.Session, row []int) (out []float32) {
	t.Helper()
	p, err := s.Program(model.Score, model.Shape{Rows: 1, Length: len(row)}, "logits")
	if err != nil {
		t.Fatal(err)
	}
	p.Feed(map[string][]int{"tokens": row})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	x := p.Output("logits")
	for i := range row {
		out = append(out, x.Row(make([]float32, x.Width), i)...)
	}
	return out
}

// TestAdapterLogits: an adapter of PEFT gives the logits that PEFT gives, over weights that are the base's own memory, and over rounded
// ones what the layers folded by it give.
func TestAdapterLogits(t *testing.T) {
	for _, dtype := range []string{"float32", "int8", "int4"} {
		base := words(t, dtype)
		for _, name := range []string{"some", "all"} {
			text, err := os.ReadFile(filepath.Join(peft(name), "golden.json"))
			var golden struct {
				Row    []int
				Logits []float64
			}
			if err == nil {
				err = json.Unmarshal(text, &golden)
			}
			if err != nil {
				t.Fatal(err)
			}
			over, err := openAdapter(base, peft(name), model.Options{Packed: true})
			if err != nil {
				t.Fatal(err)
			}
			got, want := logits(t, over.Session, golden.Row), golden.Logits
			if dtype != "float32" {
				dense, err := base.Config.Model.NewSession(base.Dims, over.Session.Store().Dense(), model.Options{})
				if err != nil {
					t.Fatal(err)
				}
				for i, x := range logits(t, dense, golden.Row) {
					want[i] = float64(x)
				}
			}
			for i := range want {
				if math.Abs(float64(got[i])-want[i]) > 2e-5*(1+math.Abs(want[i])) {
					t.Fatalf("%s over %s: logit %d is %g, want %g", name, dtype, i, got[i], want[i])
				}
			}
			a, b := over.Session.Store(), base.Session.Store()
			layer := "model.layers.0.self_attn.q_proj.weight"
			shared := &a.Get("model.norm.weight").Float32s()[0] == &b.Get("model.norm.weight").Float32s()[0]
			if dtype == "float32" {
				shared = shared && &a.Base(layer).Weight.Float32s()[0] == &b.Get(layer).Float32s()[0]
			} else {
				shared = shared && &a.Base(layer).Codes.Codes[0] == &b.Codes(layer).Codes[0]
			}
			if !shared {
				t.Errorf("%s over %s: the weights are copies", name, dtype)
			}
		}
	}
}

// TestAdaptersServed: requests to a model and its adapters at the same time get what each gives alone.
func TestAdaptersServed(t *testing.T) {
	base := words(t, "float32")
	models := map[string]*saved.Model{"base": base}
	served := []serve.Model{{Name: "base", Model: base}}
	for _, name := range []string{"some", "all"} {
		over, err := openAdapter(base, peft(name), model.Options{Packed: true})
		if err != nil {
			t.Fatal(err)
		}
		models[name], served = over, append(served, serve.Model{Name: name, Model: over})
	}
	want := map[string]string{}
	for name, m := range models {
		writer := m.Task.(task.Generator)
		ids, err := writer.Tokenizer().Encode("w5 w6 w7")
		if err != nil {
			t.Fatal(err)
		}
		var written []int
		r := decode.Request{Tokens: 12, Sampler: model.Sampler{TopP: 1, RepetitionPenalty: 1}}
		if err := decode.Generate(t.Context(), m.Session, [][]int{ids}, r, func(_, id int) error { written = append(written, id); return nil }); err != nil {
			t.Fatal(err)
		}
		want[name] = writer.Tokenizer().Decode(written)
	}
	if want["base"] == want["some"] || want["some"] == want["all"] {
		t.Fatalf("the adapters change nothing: %q", want)
	}
	s, err := serve.New(serve.Options{}, served...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := httptest.NewServer(s)
	defer h.Close()
	var all sync.WaitGroup
	for name := range models {
		for range 6 {
			all.Go(func() {
				r, err := http.Post(h.URL+"/v1/completions", "application/json", strings.NewReader(`{"model": "`+name+`", "prompt": "w5 w6 w7", "max_tokens": 12, "temperature": 0}`))
				if err != nil {
					t.Error(err)
					return
				}
				defer r.Body.Close()
				var got serve.Completion
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil || len(got.Choices) != 1 || strings.TrimSpace(got.Choices[0].Text) != want[name] {
					t.Errorf("%s: %v, %+v, want %q", name, err, got, want[name])
				}
			})
		}
	}
	all.Wait()
}

// TestAdapterRefused: adapters of other models.
func TestAdapterRefused(t *testing.T) {
	base := words(t, "float32")
	good, err := interchange.ReadAdapter(peft("some"))
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*nn.Adapter){
		"is no linear layer":              func(a *nn.Adapter) { a.Layer = "model.embed_tokens" },
		"factors for model.layers.0.mlp.": func(a *nn.Adapter) { a.In = 5 },
	} {
		layers := append([]nn.Adapter(nil), good...)
		change(&layers[0])
		if _, err := base.WithAdapter("x", layers, model.Options{Packed: true}); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := openAdapter(base, base.Dir, model.Options{Packed: true}); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "is no adapter") {
		t.Errorf("%v", err)
	}
}
