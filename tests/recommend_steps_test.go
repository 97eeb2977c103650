package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/internal/shell"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train"
)

// stepped are recommenders that train by gradients, with every loss and sampler.
var stepped = []string{
	`loss = "bpr"`, "dim = 8\nkind = \"two_tower\"\ncontrastive = 0.1\nhidden = 6", "dim = 8\nkind = \"two_tower\"\ngates = false\nfusion = false\nloss = \"smoothed_bpo\"",
	"kind = \"autorec\"\nhidden = 8\nreads = 5", "dim = 6\nkind = \"deepfm\"\nhidden = 6", "loss = \"bpo\"\nsampler = \"popular\"", "loss = \"smoothed_bpo\"\nflip = 0.3\nhardest = 3", "loss = \"nbpo\"", "loss = \"nbpo_o\"", "loss = \"nbpo_s\"",
	"loss = \"softmax\"\nsampler = \"in_batch\"\nbias = false",
}

// TestSteppedRecommenders: factorizations learn, stop and go on to the same bytes with another number of threads, are opened and
// measured, and recommend with fields to somebody new.
func TestSteppedRecommenders(t *testing.T) {
	ctx, dir := context.Background(), taste(t)
	for _, more := range stepped {
		set := []string{"train.steps=60", "train.batch_size=64", "train.learning_rate=0.03", "train.weight_decay=0.5", "eval.every=30", "checkpoint.every=20"}
		if !strings.Contains(more, "kind") {
			more = "kind = \"mf\"\ndim = 8\n" + more
		}
		cfg := recommenderConfig(t, dir, more, set...)
		runs := t.TempDir()
		whole, run := filepath.Join(runs, "whole"), filepath.Join(runs, "run")
		trainer, err := train.New(ctx, cfg, whole, false, io.Discard)
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		result, err := trainer.Run(ctx, nil)
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		losses := trainLosses(t, whole)
		if !(losses[59] < losses[0]-0.05) {
			t.Errorf("%s: losses from %.3f to %.3f do not fall", more, losses[0], losses[59])
		}
		threads := kernel.Threads()
		kernel.SetThreads(3 - min(threads, 2))
		if trainer, err = train.New(ctx, cfg, run, false, io.Discard); err != nil {
			t.Fatal(err)
		}
		stop := 0
		if _, err := trainer.Run(ctx, func() bool { stop++; return stop == 25 }); !errors.Is(err, shell.ErrInterrupted) {
			t.Fatalf("%s: stopped: %v", more, err)
		}
		trainer, _, err = train.Resume(ctx, run, "", nil, io.Discard)
		if err == nil {
			_, err = trainer.Run(ctx, nil)
		}
		kernel.SetThreads(threads)
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		sameHashes(t, filepath.Join(whole, "checkpoints", "step-000060"), filepath.Join(run, "checkpoints", "step-000060"))
		l, err := saved.Open(run, true, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		score, err := l.Task.Evaluate(ctx, l.Session, task.Measure{})
		if err != nil || !slices.Equal(score.Values, result.Score.Values) {
			t.Errorf("%s: evaluated %v (%v), want %v", more, score.Values, err, result.Score.Values)
		}
		if all, err := l.Task.(task.Recommender).Recommend(ctx, l.Session, task.Wish{Fields: map[string]string{"age": "33"}, Items: []string{"i3"}, N: 5, Why: true}); err != nil || len(all) != 5 {
			t.Errorf("%s: recommended %v, %v", more, all, err)
		} else if gates := strings.Contains(more, "contrastive"); gates != slices.ContainsFunc(all[0].Why, func(r task.Reason) bool { return r.Kind == "field" && r.What == "age:10=30" }) {
			t.Errorf("%s: speaks for the first: %v; gates %t", more, all[0].Why, gates)
		}
	}
}

// TestColdItemsAreNeverRead: of a split by items, the numbers of items that training did not see stay as they were drawn and are in
// no score: other values there change none.
func TestColdItemsAreNeverRead(t *testing.T) {
	ctx, dir := context.Background(), taste(t)
	cfg := recommenderConfig(t, dir, "kind = \"mf\"\ndim = 4", "data.split=cold_items", "train.steps=40", "train.batch_size=64", "train.learning_rate=0.05", "eval.every=0")
	run := filepath.Join(t.TempDir(), "run")
	trainer, err := train.New(ctx, cfg, run, false, io.Discard)
	if err == nil {
		_, err = trainer.Run(ctx, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	measure := func(poison float32) string {
		l, err := saved.Open(run, true, model.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := l.Task.(task.Recommender)
		wish := task.Wish{User: "u1", N: 40}
		if poison != 0 {
			// Items that nobody has in training: those whose rows of the first moments are all zero.
			arrays, err := l.Files.Arrays("optimizer.npz")
			if err != nil {
				t.Fatal(err)
			}
			poisoned := 0
			for _, table := range []string{"item.weight", "item.bias"} {
				w := l.Session.Store().Get(table)
				width := w.Shape()[1]
				for _, a := range arrays {
					if a.Name != "mean."+table {
						continue
					}
					mean := a.Data.([]float32)
					for i := range 40 {
						if !slices.ContainsFunc(mean[i*width:(i+1)*width], func(x float32) bool { return x != 0 }) {
							poisoned++
							for k := range width {
								w.Float32s()[i*width+k] = poison
							}
						}
					}
				}
			}
			if poisoned < 10 {
				t.Fatalf("%d rows of new items; want the two tables' shares", poisoned)
			}
		}
		all, err := r.Recommend(ctx, l.Session, wish)
		if err != nil {
			t.Fatal(err)
		}
		score, err := l.Task.Evaluate(ctx, l.Session, task.Measure{Split: task.Test})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all, score.Values)
	}
	if plain, poisoned := measure(0), measure(1e6); plain != poisoned || strings.Contains(plain, "NaN") {
		t.Errorf("numbers of new items are read:\n%s\n%s", plain, poisoned)
	}
}

// TestCollapsedFlips: a learned chance that has become one number is told of, one that has not is not.
func TestCollapsedFlips(t *testing.T) {
	ctx, dir := context.Background(), taste(t)
	cfg := recommenderConfig(t, dir, "kind = \"mf\"\ndim = 4\nloss = \"nbpo\"\nflip_dim = 3", "train.steps=10", "train.batch_size=64", "eval.every=0")
	run := filepath.Join(t.TempDir(), "run")
	trainer, err := train.New(ctx, cfg, run, false, io.Discard)
	if err == nil {
		_, err = trainer.Run(ctx, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(run, true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if said := l.Task.(task.Warner).Warn(l.Session); said != "" {
		t.Errorf("of chances that differ: %q", said)
	}
	clear(l.Session.Store().Get("user_flip.weight").Float32s())
	if said := l.Task.(task.Warner).Warn(l.Session); !strings.Contains(said, "has collapsed: 0.5000 for all") || !strings.Contains(said, "flip = 0.50") {
		t.Errorf("of one chance for all: %q", said)
	}
}
