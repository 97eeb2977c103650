package train

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/data/tokenizers"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// labelledConfig is a small encoder on texts of one to nine words with the given labels.
func labelledConfig(t *testing.T, labels ...string) recipe.Config {
	t.Helper()
	var b strings.Builder
	b.WriteString("text\tlabel\n")
	for i := range 40 {
		fmt.Fprintf(&b, "%sword%d\t%s\n", strings.Repeat("some ", i%9), i%len(labels), labels[i%len(labels)])
	}
	path := filepath.Join(t.TempDir(), "train.tsv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	c := recipe.Default()
	c.Model = recipe.ModelOf(encoder.Default())
	configs.Edit(&c.Model.OneOf, func(b *encoder.Config) { b.DModel, b.NLayer, b.Attention.NHead = 8, 1, 2 })
	from := labelled.DefaultTable()
	from.Tokenizer, from.MinCount, from.MaxLen = "word", 1, 16
	from.Train, from.TextColumns, from.LabelColumn, from.ValidationShare = path, []string{"text"}, "label", 0.25
	c.Data = recipe.From(from)
	c.Train.Steps, c.Train.BatchSize, c.Eval.Metric = 4, 4, "accuracy"
	return c
}

// TestEvaluateExamples: a score does not depend on how examples are batched, and a loaded checkpoint has that of its run.
func TestEvaluateExamples(t *testing.T) {
	cfg, dir := labelledConfig(t, "a", "b", "c"), filepath.Join(t.TempDir(), "out")
	r, err := mustTrain(t, cfg, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range r.Score.Values {
		names = append(names, v.Name)
	}
	if want := []string{"loss", "accuracy", "macro_f1", "matthews"}; !slices.Equal(names, want) {
		t.Errorf("three classes are measured by %q, want %q", names, want)
	}
	for _, batch := range []int{4, 1, 7, 64} {
		cfg.Train.BatchSize = batch
		goal, err := l.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := goal.Evaluate(context.Background(), l.Session, task.Measure{})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.Loss()-r.Score.Loss()) > 1e-6 || !slices.Equal(got.Values[1:], r.Score.Values[1:]) || got.Count != r.Score.Count {
			t.Errorf("in batches of %d: %+v, want %+v", batch, got, r.Score)
		}
		if batch == 4 && !reflect.DeepEqual(got, r.Score) {
			t.Errorf("as in the run: %+v, want %+v", got, r.Score)
		}
	}
}

// TestMetricOfTwoClasses: f1 has no meaning for three.
func TestMetricOfTwoClasses(t *testing.T) {
	cfg := labelledConfig(t, "a", "b", "c")
	cfg.Eval.Metric = "f1"
	if _, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard); err == nil || !strings.Contains(err.Error(), `metric = "f1" is of two classes, and the data has 3; want one of macro_f1`) {
		t.Errorf("f1 of three classes: %v", err)
	}
}

// TestVectors: pretrained vectors take the place of the initial values of their words, and no others.
func TestVectors(t *testing.T) {
	cfg := labelledConfig(t, "a", "b")
	file := filepath.Join(t.TempDir(), "vectors.txt")
	configs.Edit(&cfg.Data.OneOf, func(s *labelled.Table) { s.Vectors = file })
	start := func(text string) (*Trainer, error) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard)
	}
	trainer, err := start("word1 1 2 3 4 5 6 7 8\nunheard 0 0 0 0 0 0 0 0\n")
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := tokenizers.Load(trainer.facts.Files["tokenizer.json"])
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode("word1 word0")
	if err != nil || len(ids) != 2 {
		t.Fatalf("ids %v, %v", ids, err)
	}
	w := trainer.store.Get("bert.embeddings.word_embeddings.weight").Float32s()
	for i := range 8 {
		if got := w[ids[0]*8+i]; got != float32(i+1) {
			t.Errorf("value %d of a word with a vector: %g, want %d", i, got, i+1)
		}
		if got := w[ids[1]*8+i]; got == 0 || math.Abs(float64(got)) > 0.2 {
			t.Errorf("value %d of a word without: %g, want an initial value", i, got)
		}
	}
	if _, err := start("word1 1 2 3\n"); err == nil || !strings.Contains(err.Error(), "[data] vectors have 3 numbers each") {
		t.Errorf("vectors of another width: %v", err)
	}
}

// TestPlanOfBuckets: the plan of a classifier is that of its longest texts, and holds for what the programs of all lengths
// share.
func TestPlanOfBuckets(t *testing.T) {
	cfg := labelledConfig(t, "a", "b")
	trainer, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	lengths := trainer.task.(task.Stepped).Shapes(cfg.Train.BatchSize)
	largest := 0
	for i, shape := range lengths {
		if i > 0 && shape.Length >= lengths[i-1].Length {
			t.Errorf("lengths %v, want the longest first", lengths)
		}
		p, err := trainer.session.Program(model.Train, shape)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, p.ActivationBytes())
	}
	if len(lengths) < 2 || trainer.plan.Activations != largest {
		t.Errorf("lengths %v: planned %d bytes of activations for %d lengths, want %d", lengths, trainer.plan.Activations, len(lengths), largest)
	}
}
