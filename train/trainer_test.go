package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/data/text"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// smallConfig is a run that takes a fraction of a second, on a text of its own.
func smallConfig(t *testing.T) recipe.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "corpus.txt")
	var lines strings.Builder
	for i := range 300 {
		fmt.Fprintf(&lines, "line %d of %d\n", i, i*i%17)
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	c := recipe.Default()
	from := text.DefaultFiles()
	from.Paths, from.SeqLen = []string{path}, 16
	c.Data = recipe.From(from)
	configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF, b.Attention.NHead = 16, 1, 24, 2 })
	c.Train.Steps, c.Train.BatchSize, c.Train.LearningRate = 6, 2, 1e-2
	c.Eval.Every, c.Eval.Tokens = 2, 128
	c.Checkpoint.Every = 2
	return c
}

func mustTrain(t *testing.T, cfg recipe.Config, dir string, interrupted func() bool) (Result, error) {
	t.Helper()
	trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return trainer.Run(context.Background(), interrupted)
}

// trainUntil interrupts a run after that step.
func trainUntil(t *testing.T, cfg recipe.Config, dir string, step int) {
	t.Helper()
	trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), func() bool { return trainer.state.Step == step }); !errors.Is(err, shell.ErrInterrupted) {
		t.Fatalf("stopped after step %d: %v, want ErrInterrupted", step, err)
	}
}

func modelBytes(t *testing.T, dir string, step int) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(checkpoints.StepDir(dir, step), "model.npz"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestInterruptedRunContinues: stopped after any step, a run resumes to the bytes
// of one that was not.
func TestInterruptedRunContinues(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.GradAccum = 2
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.Dropout = 0.1 })
	whole := filepath.Join(t.TempDir(), "whole")
	want, err := mustTrain(t, cfg, whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	for stop := 1; stop < cfg.Train.Steps; stop++ {
		dir := filepath.Join(t.TempDir(), "out")
		trainUntil(t, cfg, dir, stop)
		if _, err := os.Stat(checkpoints.StepDir(dir, stop)); err != nil {
			t.Errorf("stopped after step %d: %v", stop, err)
		}
		var log bytes.Buffer
		trainer, done, err := Resume(context.Background(), dir, "", nil, &log)
		if err != nil || done {
			t.Fatalf("Resume after step %d: done %v, %v", stop, done, err)
		}
		if want := fmt.Sprintf("continuing %s at step %d of 6\n", dir, stop); !strings.Contains(log.String(), want) {
			t.Errorf("log %q, want %q in it", log.String(), want)
		}
		got, err := trainer.Run(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Score, want.Score) || got.BestLoss != want.BestLoss || got.Tokens != want.Tokens {
			t.Errorf("stopped after step %d: result %+v, want %+v", stop, got, want)
		}
		if !bytes.Equal(modelBytes(t, dir, 6), modelBytes(t, whole, 6)) {
			t.Errorf("stopped after step %d: other weights than the run that was not", stop)
		}
		if _, done, err := Resume(context.Background(), dir, "", nil, io.Discard); !done || err != nil {
			t.Errorf("Resume of a finished run: done %v, %v", done, err)
		}
	}
}

// TestInterruptedAnywhere: a run that is asked to stop at any of its micro-batches or batches of an evaluation stops there, and comes
// to the weights and the records of one that was not.
func TestInterruptedAnywhere(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Train.Steps, cfg.Train.GradAccum, cfg.Eval.Tokens = 4, 3, 64
	measured := regexp.MustCompile(`(?m)^([^,]*(,[^,]*){7}),[^,\n]*`) // all but tokens_per_second
	read := func(dir string) string {
		text, err := os.ReadFile(filepath.Join(dir, "metrics.csv"))
		if err != nil {
			t.Fatal(err)
		}
		return measured.ReplaceAllString(string(text), "$1")
	}
	whole, asked := filepath.Join(t.TempDir(), "whole"), 0
	if _, err := mustTrain(t, cfg, whole, func() bool { asked++; return false }); err != nil {
		t.Fatal(err)
	}
	dropped, pending := 0, 0
	for stop := 1; stop <= asked; stop++ {
		dir := filepath.Join(t.TempDir(), "out")
		trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		if _, err = trainer.Run(context.Background(), func() bool { calls++; return calls == stop }); err == nil {
			continue // it had all that there was to do
		}
		if !errors.Is(err, shell.ErrInterrupted) || calls != stop {
			t.Fatalf("stopped at call %d of %d: %v after %d calls, want ErrInterrupted at once", stop, asked, err, calls)
		}
		if trainer.state.Pending {
			pending++
		} else if trainer.stream.Cursor() != trainer.state.Cursor {
			dropped++
		}
		again, done, err := Resume(context.Background(), dir, "", nil, io.Discard)
		if err != nil || done {
			t.Fatalf("stopped at call %d: resumed: done %v, %v", stop, done, err)
		}
		if _, err := again.Run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(modelBytes(t, dir, 4), modelBytes(t, whole, 4)) {
			t.Errorf("stopped at call %d: other weights", stop)
		}
		if got, want := read(dir), read(whole); got != want {
			t.Errorf("stopped at call %d: records\n%s\nwant\n%s", stop, got, want)
		}
	}
	if dropped < 6 || pending < 3 {
		t.Errorf("%d steps and %d evaluations were dropped, want some of each", dropped, pending)
	}
}

// TestFolderGone: a run whose folder has gone ends at the next checkpoint, and does not make another.
func TestFolderGone(t *testing.T) {
	cfg := smallConfig(t)
	dir := filepath.Join(t.TempDir(), "out")
	trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = trainer.Run(context.Background(), func() bool {
		if trainer.state.Step == 3 {
			os.RemoveAll(dir)
		}
		return false
	})
	if err == nil || !strings.Contains(err.Error(), dir+", the run's folder, has gone") || !strings.Contains(err.Error(), "step 4 cannot be saved") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there again: %v", err)
	}
}

// TestFind: a checkpoint is itself, a run its best checkpoint or its newest.
func TestFind(t *testing.T) {
	cfg := smallConfig(t)
	cfg.Checkpoint.Keep = 9
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	// Make the middle one the best, in the words of the newest.
	trainer, _, err := Resume(context.Background(), dir, "", []string{"train.steps=8", "train.learning_rate=1e-9"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	trainer.state.BestStep, trainer.state.BestLoss = 4, 0
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		last       bool
		want       int
	}{{"best", dir, false, 4}, {"newest", dir, true, 8}, {"itself", checkpoints.StepDir(dir, 2), true, 2}} {
		if got, err := saved.Find(c.path, c.last); err != nil || got != checkpoints.StepDir(dir, c.want) {
			t.Errorf("%s: Find(%s, %v) = %s, %v; want step %d", c.name, c.path, c.last, got, err, c.want)
		}
	}
	if err := os.RemoveAll(checkpoints.StepDir(dir, 4)); err != nil {
		t.Fatal(err)
	}
	if got, err := saved.Find(dir, false); err != nil || got != checkpoints.StepDir(dir, 8) {
		t.Errorf("Find without the best one = %s, %v; want the newest", got, err)
	}
	for _, path := range []string{filepath.Join(dir, "nope"), filepath.Join(dir, "config.toml"), t.TempDir()} {
		if _, err := saved.Find(path, false); !errors.Is(err, saved.ErrNotFound) {
			t.Errorf("Find(%s): %v, want ErrNotFound", path, err)
		}
	}
}

// TestOpenEvaluates: a loaded checkpoint has the loss that its run measured.
func TestOpenEvaluates(t *testing.T) {
	cfg := smallConfig(t)
	dir := filepath.Join(t.TempDir(), "out")
	r, err := mustTrain(t, cfg, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(dir, true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	got, err := l.Task.Evaluate(context.Background(), l.Session, task.Measure{After: func(done, total int, loss float64) {
		if batches++; done != batches || total != 4 || !(loss > 0) {
			t.Errorf("progress %d of %d, loss %v", done, total, loss)
		}
	}})
	if err != nil || !reflect.DeepEqual(got, r.Score) || batches != 4 {
		t.Errorf("Evaluate = %+v, %v after %d batches; want %+v", got, err, batches, r.Score)
	}
	perplexity, _ := got.Value("perplexity")
	if want := math.Exp(got.Loss()); perplexity != want || got.Count != 128 || got.Unit != "tokens" {
		t.Errorf("%+v, want perplexity %v over 128 tokens", got, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Task.Evaluate(ctx, l.Session, task.Measure{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Evaluate with a cancelled context: %v", err)
	}
	if err := l.Room(1, 1, math.MaxInt64); err == nil {
		t.Error("Room(1, 1, 2^63-1): no error")
	}
	if err := l.Room(1<<62, 5, 1000); err == nil {
		t.Error("Room(2^62, 5, 1000): no error")
	}
	if err := l.Room(1, 5, 1000); err != nil {
		t.Errorf("Room(1, 5, 1000): %v", err)
	}
}

// TestSuggest: the advised prompt and length suit the model.
func TestSuggest(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*recipe.Config)
		prompt string
		tokens int
	}{
		{"first word of the validation text", func(*recipe.Config) {}, "line", 300},
		{"the configured prompt", func(c *recipe.Config) { c.Sample.Prompt = "of " }, "of ", 300},
		{"learned positions", func(c *recipe.Config) {
			configs.Edit(&c.Model.OneOf, func(b *decoder.Config) { b.Positions = "learned" })
		}, "line", 12},
	} {
		cfg := smallConfig(t)
		c.change(&cfg)
		r, err := mustTrain(t, cfg, filepath.Join(t.TempDir(), "out"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"--prompt", c.prompt, "--tokens", fmt.Sprint(c.tokens)}; r.Command != "generate" || !slices.Equal(r.Args, want) {
			t.Errorf("%s: %s %q, want generate %q", c.name, r.Command, r.Args, want)
		}
		if (r.Sample != "") != (cfg.Sample.Prompt != "") || !strings.HasPrefix(r.Sample, cfg.Sample.Prompt) {
			t.Errorf("%s: sample %q", c.name, r.Sample)
		}
	}
}

// TestVacant: what may become a run's folder.
func TestVacant(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		force bool
		ok    bool
	}{
		{"empty", nil, false, true},
		{"left by a kill", []string{".lock", ".tmp-config.toml"}, false, true},
		{"a run", []string{"config.toml", "run.json"}, false, false},
		{"a run, forced", []string{"config.toml", "run.json"}, true, true},
		{"something else", []string{"thesis.txt"}, false, false},
		{"something else, forced", []string{"thesis.txt", "run.json"}, true, false},
	} {
		dir := t.TempDir()
		for _, name := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := vacant(dir, c.force); (err == nil) != c.ok || err != nil && !errors.Is(err, task.ErrUsage) {
			t.Errorf("%s: vacant = %v", c.name, err)
		}
	}
	if err := vacant(filepath.Join(t.TempDir(), "new"), false); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// TestOneProcess: while a run has its folder nobody else begins or continues one there, and afterwards somebody may.
func TestOneProcess(t *testing.T) {
	ctx, cfg, dir := context.Background(), smallConfig(t), filepath.Join(t.TempDir(), "out")
	trainer, err := New(ctx, cfg, dir, false, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for name, begin := range map[string]func() error{
		"resume": func() error { _, _, err := Resume(ctx, dir, "", nil, io.Discard); return err },
		"force":  func() error { _, err := New(ctx, cfg, dir, true, io.Discard); return err },
	} {
		if err := begin(); !errors.Is(err, task.ErrUsage) || !errors.Is(err, checkpoints.ErrLocked) {
			t.Errorf("%s: %v, want %v", name, err, checkpoints.ErrLocked)
		}
	}
	if _, err := trainer.Run(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, done, err := Resume(ctx, dir, "", nil, io.Discard); err != nil || !done {
		t.Errorf("after the run: %v, %v", done, err)
	}
	again, err := New(ctx, cfg, dir, true, io.Discard)
	if err != nil {
		t.Fatalf("after the run: %v", err)
	}
	again.unlock()
}

// TestBegunMeanwhile: what somebody began and ended while a run was prepared is not overwritten.
func TestBegunMeanwhile(t *testing.T) {
	cfg, dir := smallConfig(t), filepath.Join(t.TempDir(), "out")
	config := filepath.Join(dir, "config.toml")
	begin := writerFunc(func(p []byte) (int, error) { // the first message comes from prepare
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return 0, err
		}
		return len(p), os.WriteFile(config, []byte("theirs"), 0o644)
	})
	if _, err := New(context.Background(), cfg, dir, false, begin); !errors.Is(err, task.ErrUsage) {
		t.Errorf("New: %v, want a refusal", err)
	}
	if text, err := os.ReadFile(config); err != nil || string(text) != "theirs" {
		t.Errorf("config.toml is %q, %v", text, err)
	}
	if unlock, err := checkpoints.Lock(dir); err != nil {
		t.Errorf("after the refusal: %v", err)
	} else {
		unlock()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestDivergedError names all that a person needs.
func TestDivergedError(t *testing.T) {
	e := &DivergedError{Step: 7, What: "loss", Value: math.NaN(), Parameter: "lm_head.weight", Rate: 0.03, Dir: "my run", Last: "my run/checkpoints/step-000006"}
	text := e.Error()
	for _, want := range []string{"step 7", "the loss is NaN", "lm_head.weight", "learning_rate", "my run/checkpoints/step-000006",
		"train resume 'my run' --set train.learning_rate=0.003"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

// TestCheckFreeze: each pattern must match some name.
func TestCheckFreeze(t *testing.T) {
	names := []string{"model.embed_tokens.weight", "lm_head.weight"}
	for _, c := range []struct {
		patterns []string
		bad      string
	}{{nil, ""}, {[]string{"lm_head.*"}, ""}, {[]string{"*"}, ""}, {[]string{"lm_head.*", "model.norm.*"}, "model.norm.*"}, {[]string{"lm_head"}, "lm_head"}} {
		var l recipe.Train
		for _, p := range c.patterns {
			l.Freeze = append(l.Freeze, recipe.Freeze{Match: p})
		}
		err := checkFreeze(l, names)
		if (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("match = %q:", c.bad)) {
			t.Errorf("checkFreeze(%q) = %v, want an error about %q", c.patterns, err, c.bad)
		}
	}
	if got := (recipe.Train{Freeze: []recipe.Freeze{{Match: "*.embed*"}}}); !got.Frozen(names[0]) || got.Frozen(names[1]) {
		t.Errorf("frozen by *.embed*: %v, want the first of %v only", slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !got.Frozen(n) }), names)
	}
}
