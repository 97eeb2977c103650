package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/attention"
	"sparrow/data/labelled"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/model/lama"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// predictorOf trains a small network on texts with the given labels and opens it with its attention.
func predictorOf(t *testing.T, cfg recipe.Config) (*saved.Model, task.Predictor) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Task.(task.Predictor)
}

// inputs of single texts.
func inputs(texts ...string) (in []task.Input) {
	for _, text := range texts {
		in = append(in, task.Input{Texts: []string{text}})
	}
	return in
}

// probability is that of a name.
func probability(p task.Prediction, name string) float64 {
	x, _ := metrics.Record{Values: p}.Value(name)
	return x
}

// TestPredict: what a text is taken for depends on nothing but the text, adds up, and is what an evaluation counts.
func TestPredict(t *testing.T) {
	for _, kind := range []string{"encoder", "lama"} {
		t.Run(kind, func(t *testing.T) {
			cfg := labelledConfig(t, "a", "b", "c")
			cfg.Model.Choose(kind, recipe.Lists())
			cfg.Train.Steps, cfg.Train.LearningRate = 12, 1e-2
			l, p := predictorOf(t, cfg)
			ctx := context.Background()
			content, err := os.ReadFile(cfg.Data.Of.(labelled.Table).Train)
			if err != nil {
				t.Fatal(err)
			}
			var texts, labels []string
			for _, line := range strings.Split(strings.TrimSpace(string(content)), "\n")[1:] {
				text, label, _ := strings.Cut(line, "\t")
				texts, labels = append(texts, text), append(labels, label)
			}
			together, err := p.Predict(ctx, l.Session, inputs(texts...))
			if err != nil || len(together) != len(texts) {
				t.Fatalf("%d predictions of %d texts, %v", len(together), len(texts), err)
			}
			var seen []task.Attention
			if kind == "lama" {
				if seen, err = l.Task.(task.Attender).Attend(ctx, l.Session, inputs(texts...)); err != nil || len(seen) != len(texts) {
					t.Fatalf("attention to %d of %d texts, %v", len(seen), len(texts), err)
				}
			}
			right := 0
			for i, text := range texts {
				got := together[i]
				alone, err := p.Predict(ctx, l.Session, inputs(text))
				if err != nil {
					t.Fatal(err)
				}
				var sum float64
				for j, x := range got {
					sum += x.X
					if math.Abs(x.X-probability(alone[0], x.Name)) > 1e-6 {
						t.Errorf("%q among others: probabilities %v, alone %v", text, got, alone[0])
					}
					if j > 0 && x.X > got[j-1].X || !slices.Contains(p.Names(), x.Name) {
						t.Errorf("%q: %+v, want the labels %v, the likeliest first", text, got, p.Names())
					}
				}
				if len(got) != len(p.Names()) || math.Abs(sum-1) > 1e-12 {
					t.Errorf("%q: %+v of labels %v", text, got, p.Names())
				}
				if got[0].Name == labels[i] {
					right++
				}
				if kind != "lama" {
					continue
				}
				for h, weights := range seen[i].Heads {
					sum = 0
					for _, w := range weights {
						sum += w
					}
					if len(weights) != len(seen[i].Tokens) || math.Abs(sum-1) > 1e-6 {
						t.Errorf("%q, head %d: %d weights that sum to %g for %d words", text, h, len(weights), sum, len(seen[i].Tokens))
					}
				}
				if want := strings.Fields(text); len(seen[i].Heads) != l.Config.Model.Of.(lama.Body).Pooling.Of.(attention.LAMA).Heads || !slices.Equal(seen[i].Tokens, want) {
					t.Errorf("%q: %d heads over %q, want %q", text, len(seen[i].Heads), seen[i].Tokens, want)
				}
			}
			score, err := l.Task.Evaluate(ctx, l.Session, task.Measure{File: cfg.Data.Of.(labelled.Table).Train})
			if accuracy, _ := score.Value("accuracy"); err != nil || accuracy != float64(right)/float64(len(texts)) || score.Count != len(texts) {
				t.Errorf("%d of %d texts are labelled right; measured as %+v, %v", right, len(texts), score, err)
			}
		})
	}
}

// TestPredictMistakes: an error says which input it is about.
func TestPredictMistakes(t *testing.T) {
	l, p := predictorOf(t, labelledConfig(t, "a", "b"))
	ctx := context.Background()
	if _, err := p.Predict(ctx, l.Session, inputs("", "two")); err != nil {
		t.Errorf("an empty text: %v", err)
	}
	lines := make([]string, task.PredictBatch+2)
	lines[task.PredictBatch+1] = "caf\xe9"
	_, err := p.Predict(ctx, l.Session, inputs(lines...))
	var about *task.InputError
	if want := "data: not valid UTF-8 at byte 3 (0xe9); convert the text"; !errors.As(err, &about) || about.Index != task.PredictBatch+1 || about.Err.Error() != want {
		t.Errorf("got error %v, want %q about input %d", err, want, task.PredictBatch+1)
	}
	if _, err := p.Predict(ctx, l.Session, []task.Input{{Texts: []string{"one", "two"}}}); !errors.As(err, &about) || about.Index != 0 {
		t.Errorf("two texts for a model of single ones: %v", err)
	}
	if _, err := l.Task.(task.Attender).Attend(ctx, l.Session, inputs("one")); err == nil || !strings.Contains(err.Error(), "does not pool words by attention") {
		t.Errorf("attention of an encoder: %v", err)
	}
}
