package compress

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/model"
	"sparrow/model/encoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// trainedMasked trains a small masked language model.
func trainedMasked(t *testing.T) string {
	t.Helper()
	return once(t, "masked", func(dir string) recipe.Config {
		vocab := filepath.Join(dir, "vocab.txt")
		words := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nline\nof\n"
		for d := range 10 {
			words += fmt.Sprintf("%d\n##%d\n", d, d)
		}
		if err := os.WriteFile(vocab, []byte(words), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg := recipe.Default()
		cfg.Model = recipe.ModelOf(encoder.Default())
		from := text.DefaultFiles()
		from.Paths, from.SeqLen, from.Tokenizer = []string{textFile(t, dir)}, 16, vocab
		cfg.Data = recipe.From(from)
		configs.Edit(&cfg.Model.OneOf, func(b *encoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
		cfg.Train.Steps, cfg.Train.BatchSize = 2, 8
		cfg.Eval.Every, cfg.Eval.Tokens, cfg.Eval.Metric = 2, 512, "loss"
		return cfg
	})
}

// TestClockRoundsAreShort: after the round that measures quality, no kind of data is read to its end again.
func TestClockRoundsAreShort(t *testing.T) {
	for _, run := range []func(*testing.T) string{trainedRun, trainedEncoder, trainedFaViT, trainedMasked} {
		l, err := saved.Open(run(t), false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		cfg := l.Config
		cfg.Train.BatchSize, cfg.Eval.Tokens, cfg.Eval.Examples = 1, 0, 0
		batches := 0
		goal, err := l.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := forTheClock(goal)
		m.After = func(int, int, float64) { batches++ }
		if _, err := goal.Evaluate(context.Background(), l.Session, m); err != nil {
			t.Fatal(err)
		}
		if batches != 8 {
			t.Errorf("%s: a round for the clock evaluates %d batches, want 8", l.Config.Data.Name, batches)
		}
	}
}

// TestFewExamples: data of less than two batches is run until its speed is known.
func TestFewExamples(t *testing.T) {
	run := once(t, "few", func(dir string) recipe.Config {
		path := filepath.Join(dir, "texts.tsv")
		text := "text\tlabel\n"
		for i := range 15 {
			text += fmt.Sprintf("%s %d\t%s\n", []string{"good", "bad"}[i%2], i%7, []string{"pos", "neg"}[i%2])
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg := recipe.Default()
		cfg.Model = recipe.ModelOf(encoder.Default())
		from := labelled.DefaultTable()
		from.Train, from.TextColumns, from.LabelColumn = path, []string{"text"}, "label"
		from.Tokenizer, from.MinCount, from.MaxLen, from.ValidationShare = "word", 1, 16, 0.2
		cfg.Data = recipe.From(from)
		configs.Edit(&cfg.Model.OneOf, func(b *encoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
		cfg.Train.Steps, cfg.Train.BatchSize = 2, 4
		cfg.Eval.Every = 2
		return cfg
	})
	var models [2]*saved.Model
	for i := range models {
		var err error
		if models[i], err = saved.Open(run, false, model.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	before, after, err := compare(context.Background(), models[0], models[1], io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Performance{before, after} {
		if !(p.PerSecond > 0) || !(p.Latency > 0) {
			t.Errorf("%g examples a second, %g ms; want both measured", p.PerSecond, p.Latency)
		}
	}
}

// TestLatencyIsOfALongRow: what is timed, where no text is written, is a row of the data with something to predict: of texts the
// longest of some.
func TestLatencyIsOfALongRow(t *testing.T) {
	ctx := context.Background()
	for name, run := range map[string]func(*testing.T) string{"texts": trainedEncoder, "masked": trainedMasked, "images": trainedFaViT} {
		l, err := saved.Open(run(t), false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if took, err := latencies(ctx, l.Task, l); err != nil || len(took) == 0 {
			t.Fatalf("%s: %d latencies, %v", name, len(took), err)
		}
		p, err := oneRow(ctx, l.Task, l.Session)
		if err != nil {
			t.Fatal(err)
		}
		timed := p.Loss() // of the last run
		longest := 0
		batches, err := task.Batches(ctx, l.Task, l.Session, task.Feed{Mode: model.Score, Rows: 1, Limit: 8 * l.Task.Facts().PerRow})
		if err != nil {
			t.Fatal(err)
		}
		var loss float64
		for range batches.Batches() {
			q, targets, err := batches.Next()
			if err == nil {
				err = q.Run()
			}
			if err != nil || targets == 0 {
				t.Fatalf("%s: %d targets, %v", name, targets, err)
			}
			longest, loss = max(longest, q.Shape.Length), q.Loss()
		}
		if p.Shape.Rows != 1 || p.Shape.Length != longest || timed != loss || !(timed > 0) {
			t.Errorf("%s: timed is a batch of %d rows of length %d with loss %g, want one of length %d and loss %g", name, p.Shape.Rows, p.Shape.Length, timed, longest, loss)
		}
	}
}
