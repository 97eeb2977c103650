package sentence

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
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

// pairs is a config of a small encoder and 40 pairs with scores up to 5.
func pairs(t *testing.T) recipe.Config {
	t.Helper()
	var text strings.Builder
	text.WriteString("sentence1\tsentence2\tscore\n")
	for i := range 40 {
		a, b, score := i%3, i/3%3, 0 // pairs of the same letter mean the same
		if a == b {
			score = 5
		}
		fmt.Fprintf(&text, "%s\t%s\t%d\n", strings.Repeat("abc"[a:a+1], 1+i%4), strings.Repeat("abc"[b:b+1], 1+i*i%5), score)
	}
	path := filepath.Join(t.TempDir(), "pairs.tsv")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := recipe.Default()
	body := encoder.Default()
	body.DModel, body.NLayer, body.DFF, body.Attention.NHead = 8, 1, 12, 2
	body.Sentence = &encoder.Sentence{Pooling: "mean"}
	cfg.Model = recipe.ModelOf(body)
	from := labelled.DefaultTable()
	from.Train, from.TextColumns, from.LabelColumn, from.MaxLen, from.ValidationShare = path, []string{"sentence1", "sentence2"}, "score", 16, 0.25
	cfg.Data = recipe.From(from)
	cfg.Train.BatchSize = 4
	return cfg
}

func opened(t *testing.T, cfg recipe.Config) (*Task, *model.Session, *nn.Gradients) {
	t.Helper()
	goal, err := Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := goal.Read(context.Background()); err != nil {
		t.Fatal(err)
	}
	dims, err := goal.Dims()
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(tensor.Float32)
	grads := nn.NewGradients(store)
	s, err := cfg.Model.NewSession(dims, store, model.Options{Seed: 1, Sink: grads})
	if err != nil {
		t.Fatal(err)
	}
	return goal, s, grads
}

// TestLossIsMeasured: the loss of a batch that trains is what an evaluation measures of those pairs, the squared error of
// cosines and scores over the largest score, and max_score is another one.
func TestLossIsMeasured(t *testing.T) {
	ctx := context.Background()
	for _, most := range []float64{0, 10} {
		cfg := pairs(t)
		configs.Edit(&cfg.Model.OneOf, func(b *encoder.Config) { b.Sentence.MaxScore = most })
		goal, s, _ := opened(t, cfg)
		score, err := goal.Evaluate(ctx, s, task.Measure{})
		if err != nil {
			t.Fatal(err)
		}
		batches, err := goal.Batches(ctx, s, task.Feed{Mode: model.Calibrate})
		if err != nil {
			t.Fatal(err)
		}
		loss, n, err := task.Evaluate(ctx, batches, "pairs", task.Measure{}, nil)
		if err != nil || n != score.Count || n != goal.data.Validation.Len() {
			t.Fatalf("%d pairs, measured %d: %v", n, score.Count, err)
		}
		if math.Abs(loss-score.Loss()) > 1e-6 {
			t.Errorf("max_score = %v: loss %v, measured %v", most, loss, score.Loss())
		}
		full := most
		if most == 0 {
			full = 5
		}
		if got := goal.full(goal.data.Train); got != full {
			t.Errorf("max_score = %v: scores are divided by %v, want %v", most, got, full)
		}
		file, err := goal.Evaluate(ctx, s, task.Measure{File: goal.cfg.Data.Columns().Train})
		if err != nil || file.Count != 40 {
			t.Errorf("a file: %+v, %v", file, err)
		}
	}
}

// TestLearns: steps along the gradient make the loss of the training pairs less.
func TestLearns(t *testing.T) {
	ctx := context.Background()
	goal, s, grads := opened(t, pairs(t))
	batches, err := goal.Batches(ctx, s, task.Feed{Mode: model.Calibrate, Split: task.Training, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var first, last float64
	for step := range 200 {
		p, n, err := batches.Next()
		if err == nil {
			err = p.Run()
		}
		if err != nil {
			t.Fatal(err)
		}
		if step < 8 {
			first += p.Loss() / float64(n)
		}
		if step >= 192 {
			last += p.Loss() / float64(n)
		}
		for _, name := range grads.Names() {
			w := s.Store().Get(name).Float32s()
			for i, g := range grads.Get(name).Float32s() {
				w[i] -= 0.003 * g
			}
		}
	}
	if !(last < 0.8*first) {
		t.Errorf("the loss goes from %v to %v", first, last)
	}
}

// TestRefusals: single texts and scores of nobody.
func TestRefusals(t *testing.T) {
	cfg := pairs(t)
	configs.Edit(&cfg.Data.OneOf, func(s *labelled.Table) { s.TextColumns = s.TextColumns[:1] })
	goal, err := Open(cfg, nil)
	if err == nil {
		err = goal.Read(context.Background())
	}
	if err == nil || !strings.Contains(err.Error(), "text_columns has 1 columns; the cosine is of pairs, want 2") {
		t.Errorf("single texts: %v", err)
	}
	if err := Fits(recipe.Default()); err == nil {
		t.Error("a decoder fits")
	}
}
