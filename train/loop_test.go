package train

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
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
)

// TestCancelledRunContinues: a context that ends stops the run after that step with its state saved, also where an evaluation is
// still to be made, of the last step too; resumed, it comes to the bytes of a run that was not stopped.
func TestCancelledRunContinues(t *testing.T) {
	cfg := smallConfig(t) // evaluates every second step
	cfg.Sample.Prompt, cfg.Sample.Tokens = "line", 3
	whole := filepath.Join(t.TempDir(), "whole")
	want, err := mustTrain(t, cfg, whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{1, 4, 6} {
		dir := filepath.Join(t.TempDir(), "out")
		trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		got, err := trainer.Run(ctx, func() bool {
			if trainer.state.Step == stop {
				cancel()
			}
			return false
		})
		cancel()
		if !errors.Is(err, shell.ErrInterrupted) || errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in step %d: %v, want ErrInterrupted", stop, err)
		}
		resumed, _, err := Resume(context.Background(), dir, "", nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if resumed.state.Step != stop || resumed.state.Pending != (stop%2 == 0) {
			t.Errorf("cancelled in step %d: resumed at step %d, evaluation pending %v", stop, resumed.state.Step, resumed.state.Pending)
		}
		if got, err = resumed.Run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if got.Sample != want.Sample {
			t.Errorf("cancelled in step %d: sample %q, want %q", stop, got.Sample, want.Sample)
		}
		if !reflect.DeepEqual(got.Score, want.Score) || !bytes.Equal(modelBytes(t, dir, 6), modelBytes(t, whole, 6)) {
			t.Errorf("cancelled in step %d: score %+v, want %+v and equal weights", stop, got.Score, want.Score)
		}
	}
}

// TestDivergedValidation: a validation loss that is no number ends the run with
// advice and a plot; no such weights are saved.
func TestDivergedValidation(t *testing.T) {
	for _, last := range []bool{false, true} { // is there a checkpoint by then
		cfg := smallConfig(t)
		at := 2
		if last {
			at = 4
		}
		dir := filepath.Join(t.TempDir(), "out")
		trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		_, err = trainer.Run(context.Background(), func() bool {
			if trainer.state.Step == at {
				trainer.store.Get("lm_head.weight").Float32s()[0] = float32(math.NaN())
			}
			return false
		})
		var d *DivergedError
		if !errors.As(err, &d) || d.Step != at || d.What != "validation loss" || !math.IsNaN(d.Value) || (d.Last != "") != last {
			t.Fatalf("%v (%+v), want a DivergedError of the validation loss of step %d", err, d, at)
		}
		want := []string{"validation loss is NaN", "on disk is from before this step", "lower learning_rate", "start again with --force"}
		if last {
			want = append(want[:3], d.Last, "train resume")
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q lacks %q", err, w)
			}
		}
		if strings.Contains(err.Error(), "nothing was updated") {
			t.Errorf("%q says what is not so", err)
		}
		if _, err := os.Stat(checkpoints.StepDir(dir, at)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a checkpoint of step %d: %v", at, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "loss.svg")); err != nil {
			t.Error(err)
		}
	}
}

// TestDivergedFinite: a run whose validation loss rises above twice that of the start and above guessing is told so, with the best
// checkpoint as it was; one that memorizes is not.
func TestDivergedFinite(t *testing.T) {
	for _, memorizes := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "out")
		var log strings.Builder
		trainer, err := New(context.Background(), smallConfig(t), dir, false, &log)
		if err != nil {
			t.Fatal(err)
		}
		r, err := trainer.Run(context.Background(), func() bool {
			if trainer.state.Step < 4 {
				return false
			}
			for i, w := 0, trainer.store.Get("lm_head.weight").Float32s(); i < len(w) && trainer.state.Step == 4; i++ {
				w[i] = float32(40 * (i%7 - 3)) // sure of what is wrong
			}
			if trainer.trainLoss = 50; memorizes {
				trainer.trainLoss = 0.1
			}
			return false
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "warning: the run has diverged: the validation loss is "); (got > 0) == memorizes || memorizes && got > 0 {
			t.Errorf("a low training loss %v, %d warnings:\n%s", memorizes, got, &log)
		}
		if memorizes {
			continue
		}
		for _, w := range []string{"of the start. The best checkpoint stays " + checkpoints.StepDir(dir, 2), "--set train.learning_rate=0.001"} {
			if !strings.Contains(log.String(), w) {
				t.Errorf("%s lacks %q", &log, w)
			}
		}
		if r.Best != checkpoints.StepDir(dir, 2) {
			t.Errorf("the best checkpoint is %s", r.Best)
		}
	}
}

// TestDivergedAtOnce: of a run whose first evaluation shows divergence, the start is kept, by the bits, as its best; a better evaluation
// takes its place.
func TestDivergedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    int     // after which step
		value float32 // that spoils the weights
		heals bool
	}{{"wild", 1, 40, false}, {"no number", 2, float32(math.NaN()), false}, {"heals", 1, 40, true}} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			var log strings.Builder
			trainer, err := New(context.Background(), smallConfig(t), dir, false, &log)
			if err != nil {
				t.Fatal(err)
			}
			head := trainer.store.Get("lm_head.weight").Float32s()
			start := slices.Clone(head)
			r, err := trainer.Run(context.Background(), func() bool {
				switch step := trainer.state.Step; {
				case step == c.at:
					for i := range head {
						head[i] = c.value * float32(i%7-3)
					}
				case step >= 3 && c.heals:
					copy(head, start)
				}
				trainer.trainLoss = 50
				return false
			})
			first := checkpoints.StepDir(dir, 0)
			var d *DivergedError
			if errors.As(err, &d) != (c.name == "no number") || err != nil && d == nil {
				t.Fatalf("ends with %v", err)
			}
			if d != nil {
				if want := "The best is the start, kept as " + first + ": start again with --force"; !strings.Contains(d.Error(), want) {
					t.Errorf("%q lacks %q", d, want)
				}
			} else if want := "The best checkpoint stays " + first + ", the start"; !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, &log)
			}
			best, err := saved.Find(dir, false)
			if err != nil || (best == first) == c.heals {
				t.Fatalf("the best is %s, %v", best, err)
			}
			if c.heals {
				return
			}
			m, err := saved.Open(best, false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.Session.Store().Get("lm_head.weight").Float32s(), start) {
				t.Error("what is kept is not the start")
			}
			if d == nil && (r.Best != first || !(r.BestLoss > 0 && r.BestLoss < 10)) {
				t.Errorf("the result names %s with a loss of %g", r.Best, r.BestLoss)
			}
			if d != nil { // it can go on from there
				again, done, err := Resume(context.Background(), dir, "", []string{"train.learning_rate=1e-4"}, io.Discard)
				if err != nil || done {
					t.Fatal(done, err)
				}
				if _, err := again.Run(context.Background(), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

var underRace bool // see race_test.go

// TestStepAllocatesNoTensor: after two steps, one more allocates less in each
// micro-batch than the smallest activation takes, in every way to update.
func TestStepAllocatesNoTensor(t *testing.T) {
	if underRace {
		t.Skip("under the race detector the kernels' pooled workspaces are allocated anew; the plain run counts")
	}
	for _, c := range []struct {
		name   string
		change func(*recipe.Train)
	}{
		{"adamw", func(*recipe.Train) {}},
		{"adamw, accumulated", func(c *recipe.Train) { c.GradAccum = 2 }},
		{"adamw8bit", func(c *recipe.Train) { c.Optimizer = "adamw8bit" }},
		{"per_layer_update", func(c *recipe.Train) { c.PerLayerUpdate, c.GradClip = true, 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := smallConfig(t)
			configs.Edit(&cfg.Data.OneOf, func(s *text.Files) { s.SeqLen = 256 })
			cfg.Train.BatchSize = 64
			configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.Attention.NHead = 1 }) // attention's tasks, some a head, take a few bytes each
			cfg.Eval.Every = 0
			c.change(&cfg.Train)
			trainer, err := New(context.Background(), cfg, filepath.Join(t.TempDir(), "out"), false, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would take the kernels' pooled workspaces
			const warmUp, measured = 2, 5
			least := uint64(math.MaxUint64) // of several: a worker's first task of a kind makes its workspace, in whatever step that is
			for i := range warmUp + measured {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				if _, err := trainer.step(); err != nil {
					t.Fatal(err)
				}
				runtime.ReadMemStats(&after)
				if i >= warmUp {
					least = min(least, after.TotalAlloc-before.TotalAlloc)
				}
			}
			least /= uint64(cfg.Train.GradAccum)
			// The inverse norms, one float32 a token, are the smallest of all activations.
			if smallest := uint64(4 * cfg.Train.BatchSize * cfg.Data.SeqLen()); least >= smallest {
				t.Errorf("a micro-batch allocates %d bytes; the smallest activation has %d", least, smallest)
			}
		})
	}
}
