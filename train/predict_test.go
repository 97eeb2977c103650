package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/model"
)

// predictorOf trains a small network on texts with the given labels and opens it with its attention.
func predictorOf(t *testing.T, cfg Config) (*Loaded, *Predictor) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir, true, model.Options{Tapped: func(name string) bool { return name == model.AttentionTap }})
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.NewPredictor()
	if err != nil {
		t.Fatal(err)
	}
	return l, p
}

// TestPredict: what a text is taken for depends on nothing but the text, adds up, and is what an evaluation counts.
func TestPredict(t *testing.T) {
	for _, kind := range []string{"encoder", "lama"} {
		t.Run(kind, func(t *testing.T) {
			cfg := labelledConfig(t, "a", "b", "c")
			cfg.Model.UseKind(kind)
			cfg.Train.Steps, cfg.Train.LearningRate = 12, 1e-2
			l, p := predictorOf(t, cfg)
			p.Show = kind == "lama"
			content, err := os.ReadFile(cfg.Data.Train)
			if err != nil {
				t.Fatal(err)
			}
			var texts, labels []string
			for _, line := range strings.Split(strings.TrimSpace(string(content)), "\n")[1:] {
				text, label, _ := strings.Cut(line, "\t")
				texts, labels = append(texts, text), append(labels, label)
			}
			together, err := p.Predict(texts)
			if err != nil || len(together) != len(texts) {
				t.Fatalf("%d predictions of %d texts, %v", len(together), len(texts), err)
			}
			right := 0
			for i, text := range texts {
				got := together[i]
				alone, err := p.Predict([]string{text})
				if err != nil {
					t.Fatal(err)
				}
				var sum float64
				for c, x := range got.Probabilities {
					sum += x
					if math.Abs(x-alone[0].Probabilities[c]) > 1e-6 {
						t.Errorf("%q among others: probabilities %v, alone %v", text, got.Probabilities, alone[0].Probabilities)
					}
				}
				best := slices.Index(l.Labels.Names, got.Label)
				if got.Text != text || best < 0 || math.Abs(sum-1) > 1e-12 || got.Probability != slices.Max(got.Probabilities) || got.Probability != got.Probabilities[best] {
					t.Errorf("%q: %+v of labels %v", text, got, l.Labels.Names)
				}
				if got.Label == labels[i] {
					right++
				}
				for h, weights := range got.Heads {
					sum = 0
					for _, w := range weights {
						sum += w
					}
					if len(weights) != len(got.Tokens) || math.Abs(sum-1) > 1e-6 {
						t.Errorf("%q, head %d: %d weights that sum to %g for %d words", text, h, len(weights), sum, len(got.Tokens))
					}
				}
				if want := strings.Fields(text); p.Show && (len(got.Heads) != l.Config.Model.LAMA.Pooling.Heads || !slices.Equal(got.Tokens, want)) {
					t.Errorf("%q: %d heads over %q, want %q", text, len(got.Heads), got.Tokens, want)
				}
			}
			score, err := l.Evaluate(context.Background(), cfg, Part{File: cfg.Data.Train}, nil)
			if err != nil || score.Accuracy != float64(right)/float64(len(texts)) || score.Examples != len(texts) {
				t.Errorf("%d of %d texts are labelled right; measured as %+v, %v", right, len(texts), score, err)
			}
		})
	}
}

// TestPredictMistakes: an error says which text it is about, over all calls.
func TestPredictMistakes(t *testing.T) {
	_, p := predictorOf(t, labelledConfig(t, "a", "b"))
	if _, err := p.Predict([]string{"", "two"}); err != nil {
		t.Errorf("an empty text: %v", err)
	}
	lines := make([]string, predictBatch+2)
	lines[predictBatch+1] = "caf\xe9"
	_, err := p.Predict(lines)
	if want := fmt.Sprintf("text %d: data: not valid UTF-8 at byte 3 (0xe9); convert the text", 2+len(lines)); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
	p.Show = true
	if _, err := p.Predict([]string{"one"}); err == nil || !strings.Contains(err.Error(), "does not pool words by attention") {
		t.Errorf("attention of an encoder: %v", err)
	}
}
