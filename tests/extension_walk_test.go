package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/compress"
	"sparrow/configs"
	"sparrow/internal/shell"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/task/kinds"
	"sparrow/train"
)

// outsider is a kind from outside on its walk through the program.
type outsider struct {
	name        string // of the kind
	beside      string // one that the message about a kind that nobody knows offers
	lists       configs.Lists
	tasks       []kinds.Kind // nil: the program's
	dir         string       // with the config tiny.toml
	set         []string
	steps, stop int    // of training, and of its interruption
	around      string // the layers that are compressed
}

// corpusIn is the override that makes a workplace's corpus the data.
func corpusIn(dir string) string {
	return fmt.Sprintf("data.paths=[%q]", filepath.ToSlash(filepath.Join(dir, "corpus.txt")))
}

func (o outsider) known() saved.Options { return saved.Options{Lists: o.lists, Tasks: o.tasks} }
func (o outsider) run() string          { return filepath.Join(o.dir, "out") }

// unknown wants an error that names the kind, and those there are where it is read.
func (o outsider) unknown(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", o.name)) || !strings.Contains(err.Error(), o.beside) {
		t.Errorf("%s without the kind: got %v, want an error that names it and those there are", what, err)
	}
}

// train trains once as a whole and once with an interruption, to the same bytes, opens and evaluates that, and returns the
// losses of the steps.
func (o outsider) train(t *testing.T) []float64 {
	t.Helper()
	ctx, whole, run, known := context.Background(), filepath.Join(o.dir, "whole"), o.run(), o.known()
	cfg, err := recipe.Load(filepath.Join(o.dir, "tiny.toml"), append(o.set, fmt.Sprintf("train.steps=%d", o.steps)), o.lists)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(run string) *train.Trainer {
		trainer, err := train.New(ctx, cfg, run, false, io.Discard, known)
		if err != nil {
			t.Fatal(err)
		}
		return trainer
	}
	result, err := begin(whole).Run(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := 0
	if _, err := begin(run).Run(ctx, func() bool { stop++; return stop == o.stop }); !errors.Is(err, shell.ErrInterrupted) {
		t.Fatalf("stopped: %v", err)
	}
	_, _, err = train.Resume(ctx, run, "", nil, io.Discard)
	o.unknown(t, "resumed", err)
	trainer, _, err := train.Resume(ctx, run, "", nil, io.Discard, known)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(ctx, nil); err != nil {
		t.Fatal(err)
	}
	sameHashes(t, o.last("whole"), o.last("out"))
	_, err = saved.Open(run, false, model.Options{})
	o.unknown(t, "opened", err)
	l, err := saved.Open(run, true, model.Options{}, known)
	if err != nil {
		t.Fatal(err)
	}
	goal, err := l.Elsewhere(saved.Elsewhere{Set: []string{fmt.Sprintf("train.batch_size=%d", cfg.Train.BatchSize)}})
	if err != nil {
		t.Fatal(err)
	}
	if score, err := goal.Evaluate(ctx, l.Session, task.Measure{}); err != nil || score.Loss() != result.Score.Loss() {
		t.Errorf("evaluated: loss %v (%v), want that of training, %v", score.Loss(), err, result.Score.Loss())
	}
	return trainLosses(t, whole)
}

// last is the last checkpoint of a run.
func (o outsider) last(run string) string {
	return filepath.Join(o.dir, run, "checkpoints", fmt.Sprintf("step-%06d", o.steps))
}

// holds compares the names of the arrays that the last checkpoint has below a name.
func (o outsider) holds(t *testing.T, below string, want ...string) {
	t.Helper()
	stored, err := hashes(o.last("out"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for name := range stored {
		if rest, ok := strings.CutPrefix(name, below); ok {
			got = append(got, rest)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s is stored as %q, want %q", below, got, want)
	}
}

// compress compresses and tunes other layers of the run, verifies that, and compares the kinds of layers afterwards.
func (o outsider) compress(t *testing.T, kinds map[string]string) {
	t.Helper()
	ctx := context.Background()
	file, out := filepath.Join(o.dir, "c.toml"), filepath.Join(o.dir, "small")
	text := fmt.Sprintf("[compress]\nfrom = %q\nmethod = \"svd\"\nratio = 0.3\ncache = %q\n[[compress.layer]]\nmatch = %q\n[compress.finetune]\nsteps = 2\nbatch_size = 2\nwarmup_steps = 1\n",
		filepath.ToSlash(o.run()), filepath.ToSlash(filepath.Join(o.dir, "cache")), o.around)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := compress.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = compress.Run(ctx, cfg, out, io.Discard)
	o.unknown(t, "compressed", err)
	more := compress.Options{Options: o.known()}
	if cfg, err = compress.Load(file, nil, more); err != nil {
		t.Fatal(err)
	}
	if _, err := compress.Run(ctx, cfg, out, io.Discard); err != nil {
		t.Fatal(err)
	}
	v, err := compress.Verify(ctx, out, io.Discard, more)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Err(); err != nil {
		t.Error(err)
	}
	l, err := saved.Open(out, false, model.Options{}, o.known())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range kinds {
		if got := l.Session.Store().Layer(name).Rule.Name; got != want {
			t.Errorf("%s is of kind %q, want %q", name, got, want)
		}
	}
}

// sameHashes compares the hashes of the arrays of two checkpoints.
func sameHashes(t *testing.T, dir, other string) {
	t.Helper()
	stored, err := hashes(dir)
	if err != nil {
		t.Fatal(err)
	}
	also, err := hashes(other)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) == 0 || !maps.Equal(stored, also) {
		t.Errorf("%s and %s differ", dir, other)
	}
}
