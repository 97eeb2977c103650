package compress

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sparrow/model"
	"sparrow/train"
)

// trainedMasked trains a small masked language model.
func trainedMasked(t *testing.T) string {
	t.Helper()
	return once(t, "masked", func(dir string) train.Config {
		vocab := filepath.Join(dir, "vocab.txt")
		words := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nline\nof\n"
		for d := range 10 {
			words += fmt.Sprintf("%d\n##%d\n", d, d)
		}
		if err := os.WriteFile(vocab, []byte(words), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg := train.DefaultConfig()
		cfg.Model.UseKind("encoder")
		cfg.Data.Source, cfg.Data.Paths, cfg.Data.SeqLen, cfg.Data.Tokenizer = "text", []string{textFile(t, dir)}, 16, vocab
		cfg.Model.DModel, cfg.Model.NLayer, cfg.Model.DFF, cfg.Model.Attention.NHead = 16, 1, 24, 2
		cfg.Train.Steps, cfg.Train.BatchSize = 2, 8
		cfg.Eval.Every, cfg.Eval.Tokens, cfg.Eval.Metric = 2, 512, "loss"
		return cfg
	})
}

// TestClockRoundsAreShort: after the round that measures quality, no kind of data is read to its end again.
func TestClockRoundsAreShort(t *testing.T) {
	for _, run := range []func(*testing.T) string{trainedRun, trainedEncoder, trainedFaViT, trainedMasked} {
		l, err := train.Open(run(t), false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		cfg := l.Config
		cfg.Train.BatchSize, cfg.Eval.Tokens, cfg.Eval.Examples = 1, 0, 0
		batches := 0
		if _, err := l.Evaluate(context.Background(), forTheClock(cfg), train.Part{Split: "validation"}, func(int, int, float64) { batches++ }); err != nil {
			t.Fatal(err)
		}
		if batches != 8 {
			t.Errorf("%s: a round for the clock evaluates %d batches, want 8", l.Config.Data.Source, batches)
		}
	}
}

// TestLatencyIsOfAFullText: what an encoder is timed on is a text of full length with something to predict.
func TestLatencyIsOfAFullText(t *testing.T) {
	for name, run := range map[string]func(*testing.T) string{"classifier": trainedEncoder, "masked language model": trainedMasked} {
		l, err := train.Open(run(t), false, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if took, err := latencies(context.Background(), l); err != nil || len(took) == 0 {
			t.Fatalf("%s: %d latencies, %v", name, len(took), err)
		}
		n := l.Session.Dims().Context
		p, err := l.Session.Score(1, n)
		if err != nil {
			t.Fatal(err)
		}
		timed := p.Loss()
		tokens, targets := make([]int, n), make([]int, model.MaskedTokens(n))
		loss := func(length int) float64 {
			if l.Labels != nil {
				p.FeedExamples(model.Examples{Tokens: tokens, Lengths: []int{length}, Labels: []int{0}, Scores: []float64{0}})
			} else {
				p.FeedMasked(model.Masked{Tokens: tokens, Lengths: []int{length}, Rows: targets, Targets: targets})
			}
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			return p.Loss()
		}
		if full, empty := loss(n), loss(0); timed != full || timed == empty {
			t.Errorf("%s: the loss of what was timed is %g, want %g, that of a full text; an empty one has %g", name, timed, full, empty)
		}
	}
}
