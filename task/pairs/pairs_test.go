package pairs

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

// config is one of a small encoder and 24 queries, each answered by the text with its own letter.
func config(t *testing.T, head string) recipe.Config {
	t.Helper()
	var text strings.Builder
	for i := range 24 {
		g := labelled.Group{Query: strings.Repeat("abcd"[i%4:i%4+1], 1+i/4), Positive: strings.Repeat("abcd"[i%4:i%4+1], 2+i%5)}
		for j := range 5 {
			g.Negatives = append(g.Negatives, strings.Repeat("efgh"[j%4:j%4+1], 1+j+i%3))
		}
		line, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s\n", line)
	}
	path := filepath.Join(t.TempDir(), "groups.jsonl")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := recipe.Default()
	from := labelled.DefaultGroups()
	from.Train, from.Tokenizer, from.VocabSize, from.MaxLen, from.Negatives, from.ValidationShare = path, "wordpiece", 40, 20, 3, 0.3
	body := encoder.Default()
	body.DModel, body.NLayer, body.Dropout, body.Attention.NHead, body.InitStd = 8, 1, 0, 2, 0.3
	body.Ranking = &encoder.Ranking{Head: head, Loss: "softmax"}
	cfg.Data, cfg.Train.BatchSize = recipe.From(from), 4
	cfg.Model.OneOf = configs.OneOf[model.Body]{Name: "encoder", Of: body}
	return cfg
}

func opened(t *testing.T, cfg recipe.Config) (*Task, *model.Session) {
	t.Helper()
	if err := Fits(cfg); err != nil {
		t.Fatal(err)
	}
	x, err := Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, err := x.Dims()
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(tensor.Float32)
	s, err := cfg.Model.NewSession(d, store, model.Options{Seed: 2, Sink: nn.NewGradients(store)})
	if err != nil {
		t.Fatal(err)
	}
	return x, s
}

// TestEvaluate: the values are those of a loop over the scores of each query's candidates, which Rank gives too, whatever the batch.
func TestEvaluate(t *testing.T) {
	for _, head := range []string{"cls", "emb"} {
		x, s := opened(t, config(t, head))
		got, err := x.Evaluate(t.Context(), s, task.Measure{})
		if err != nil {
			t.Fatal(err)
		}
		var loss, reciprocal, first float64
		for _, g := range x.data.Validation {
			scores, err := x.Rank(t.Context(), s, g.Query, append([]string{g.Positive}, g.Negatives[:3]...))
			if err != nil {
				t.Fatal(err)
			}
			sum, rank := 0.0, 1.0
			for i, v := range scores {
				sum += math.Exp(v)
				if i > 0 && v >= scores[0] {
					rank++
				}
				one, err := x.Rank(t.Context(), s, g.Query, []string{append([]string{g.Positive}, g.Negatives...)[i]})
				if err != nil || math.Abs(one[0]-v) > 1e-5 {
					t.Errorf("%s: pair %d by itself %v, %v, among others %v", head, i, one, err, v)
				}
			}
			n := float64(len(x.data.Validation))
			loss, reciprocal = loss+(math.Log(sum)-scores[0])/n, reciprocal+1/rank/n
			if rank == 1 {
				first += 1 / n
			}
		}
		for i, want := range []float64{loss, reciprocal, first} {
			if v := got.Values[i]; math.Abs(v.X-want) > 1e-6 {
				t.Errorf("%s: %s %v, want %v", head, v.Name, v.X, want)
			}
		}
		p, err := x.Predict(t.Context(), s, []task.Input{{Texts: []string{"aa", "bb"}}})
		if err != nil {
			t.Fatal(err)
		}
		if alone, err := x.Rank(t.Context(), s, "aa", []string{"bb"}); err != nil || p[0][0].X != alone[0] {
			t.Errorf("predicted %v, ranked %v, %v", p, alone, err)
		}
	}
}

// TestBatches: the loss of a batch is that of its lists, the answer first, and a stream that is put to a place goes on as the one that
// walked there.
func TestBatches(t *testing.T) {
	x, s := opened(t, config(t, "emb"))
	losses := func(skip int) (all []float64) {
		stream, err := x.Batches(t.Context(), s, task.Feed{Mode: model.Train, Split: task.Training, Seed: 4})
		if err != nil {
			t.Fatal(err)
		}
		if skip > 0 {
			walked, err := x.Batches(t.Context(), s, task.Feed{Mode: model.Train, Split: task.Training, Seed: 4})
			if err != nil {
				t.Fatal(err)
			}
			for range skip {
				if _, _, err := walked.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if err := stream.Seek(walked.Cursor()); err != nil {
				t.Fatal(err)
			}
		}
		for range 12 - skip {
			p, n, err := stream.Next()
			if err != nil {
				t.Fatal(err)
			}
			if n != 4 {
				t.Errorf("%d queries a batch, want 4", n)
			}
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			all = append(all, p.Loss())
		}
		return all
	}
	all := losses(0)
	if got := losses(7); !slices.Equal(got, all[7:]) {
		t.Errorf("from batch 7 on losses %v, want %v", got, all[7:])
	}
	g := labelled.Group{Query: "q", Positive: "p", Negatives: []string{"a", "b"}}
	if got := candidates(g, 5, nil); !slices.Equal(got, []pair{{"q", "p"}, {"q", "a"}, {"q", "b"}, {"q", "a"}, {"q", "b"}}) {
		t.Errorf("candidates %v", got)
	}
	drawn := candidates(labelled.Group{Query: "q", Positive: "p", Negatives: []string{"a", "b", "c"}}, 3, func(n int) int { return n - 1 })
	if !slices.Equal(drawn, []pair{{"q", "p"}, {"q", "c"}, {"q", "a"}}) {
		t.Errorf("drawn %v", drawn)
	}
	limited, err := x.Batches(t.Context(), s, task.Feed{Mode: model.Calibrate, Split: task.Training, Limit: 6})
	if err != nil {
		t.Fatal(err)
	}
	var counts []int
	for range limited.Batches() {
		_, n, err := limited.Next()
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	if !slices.Equal(counts, []int{4, 2}) {
		t.Errorf("batches of %v queries, want 4 and 2", counts)
	}
}

// TestRefusals: what no such task can be, and files that are wrong, are named.
func TestRefusals(t *testing.T) {
	cfg := config(t, "cls")
	bare := cfg
	body := cfg.Model.Of.(encoder.Config)
	body.Ranking = nil
	bare.Model.OneOf = configs.OneOf[model.Body]{Name: "encoder", Of: body}
	var misfit *task.Misfit
	if err := Fits(bare); !errors.As(err, &misfit) || !strings.Contains(err.Error(), "[model.ranking]") {
		t.Errorf("a network without a table: %v", err)
	}
	metric := cfg
	metric.Eval.Metric = "accuracy"
	if err := Fits(metric); !errors.As(err, &misfit) || misfit.Key != "eval.metric" {
		t.Errorf("another metric: %v", err)
	}
	for text, want := range map[string]string{
		"{\n":                             ":1: ",
		`{"query": "q", "positive": "p"}`: ":1: the object lacks",
		"\n":                              "has no groups",
		`{"query": "q", "positive": "p", "negatives": ["n"]}`: "training and",
	} {
		from := cfg.Data.Of.(labelled.Groups)
		from.Train = filepath.Join(t.TempDir(), "g.jsonl")
		if err := os.WriteFile(from.Train, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		bad := cfg
		bad.Data = recipe.From(from)
		x, err := Open(bad, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Read(t.Context()); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	x, _ := opened(t, cfg)
	if _, err := x.part(t.Context(), task.Test, ""); !errors.Is(err, task.ErrUsage) {
		t.Errorf("a test split that is not there: %v", err)
	}
}
