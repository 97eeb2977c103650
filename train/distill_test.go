package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/configs"
	"sparrow/data/labelled"
	"sparrow/data/text"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/model/encoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// taught is a run that learns from another of the same data.
func taught(t *testing.T) recipe.Config {
	t.Helper()
	cfg := smallConfig(t)
	teacher := filepath.Join(t.TempDir(), "teacher")
	if _, err := mustTrain(t, cfg, teacher, nil); err != nil {
		t.Fatal(err)
	}
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.DFF = 8, 12 })
	cfg.Train.Distill = &recipe.Distill{}
	cfg.Train.Distill.SetDefaults()
	cfg.Train.Distill.Teacher = teacher
	return cfg
}

// TestDistillResumes: a run with a teacher continues to the bytes of one that was not stopped; its teacher matters; and
// what is measured on the validation split is the task's loss alone.
func TestDistillResumes(t *testing.T) {
	cfg := taught(t)
	whole, other := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "other")
	r, err := mustTrain(t, cfg, whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	trainUntil(t, cfg, dir, 3)
	again, _, err := Resume(context.Background(), dir, "", nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"model.npz", "optimizer.npz", "state.json"} {
		if !bytes.Equal(checkpointFile(t, whole, cfg.Train.Steps, file), checkpointFile(t, dir, cfg.Train.Steps, file)) {
			t.Errorf("%s differs", file)
		}
	}
	cfg.Train.Distill = nil
	if _, err := mustTrain(t, cfg, other, nil); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(modelBytes(t, whole, cfg.Train.Steps), modelBytes(t, other, cfg.Train.Steps)) {
		t.Error("without its teacher the run is the same")
	}
	l, err := saved.Open(whole, true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	score, err := l.Task.Evaluate(context.Background(), l.Session, task.Measure{})
	if err != nil || score.Loss() != r.Score.Loss() {
		t.Errorf("the run's last loss is %v, and %v of its checkpoint (%v)", r.Score.Loss(), score.Loss(), err)
	}
}

// TestDistillRefuses: what cannot teach this run.
func TestDistillRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*recipe.Config)
		want   string
	}{
		"nobody":          {func(c *recipe.Config) { c.Train.Distill.Teacher = "nowhere" }, `[train.distill] teacher = "nowhere"`},
		"other tokenizer": {func(c *recipe.Config) { configs.Edit(&c.Data.OneOf, func(s *text.Files) { s.Tokenizer = "char" }) }, "its tokenizer.json is not that of this run's data"},
		"shorter context": {func(c *recipe.Config) { configs.Edit(&c.Data.OneOf, func(s *text.Files) { s.SeqLen = 24 }) }, "its context is 16; want at least 24"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := taught(t)
			tc.change(&cfg)
			if _, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v; want %q", err, tc.want)
			}
		})
	}
}

// TestDistillRefusesOtherLessons: a classifier of the same texts has no vectors that a sentence encoder could learn from.
func TestDistillRefusesOtherLessons(t *testing.T) {
	cfg := labelledConfig(t, "1", "2")
	path, lines := filepath.Join(t.TempDir(), "pairs.tsv"), "text\tother\tlabel\n"
	for i := range 40 {
		lines += fmt.Sprintf("word%d a\tword%d\t%d\n", i, i, 1+i%2)
	}
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	configs.Edit(&cfg.Data.OneOf, func(s *labelled.Table) { s.Train, s.Tokenizer, s.TextColumns = path, "byte", []string{"text", "other"} })
	teacher := filepath.Join(t.TempDir(), "teacher")
	if _, err := mustTrain(t, cfg, teacher, nil); err != nil {
		t.Fatal(err)
	}
	configs.Edit(&cfg.Model.OneOf, func(b *encoder.Config) { b.Sentence = &encoder.Sentence{Pooling: "mean"} })
	cfg.Eval.Metric = "spearman"
	cfg.Train.Distill = &recipe.Distill{}
	cfg.Train.Distill.SetDefaults()
	cfg.Train.Distill.Teacher = teacher
	const want = "it gives logits and this run's network embedding; want a network for the same task"
	if _, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}

// TestDistillConfig: what the table cannot be.
func TestDistillConfig(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{`teacher="x",weight=1.0,temperature=1.0`, ""},
		{`weight=0.5`, `[train.distill] teacher = "" is empty; want the run or checkpoint to learn from`},
		{`teacher="x",weight=0.0`, "weight = 0.0 is out of range; want more than 0 and at most 1"},
		{`teacher="x",weight=1.5`, "weight = 1.5 is out of range"},
		{`teacher="x",temperature=0.0`, "temperature = 0.0 is out of range; want more than 0"},
	} {
		cfg := recipe.Default()
		err := configs.Decode("a.toml", []byte("train={distill={"+tc.set+"}}\n"), &cfg, configs.Options{Lists: recipe.Lists()})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("{%s}: %v; want %q", tc.set, err, tc.want)
		}
	}
}
