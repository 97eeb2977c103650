package train

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/saved"
	"sparrow/task"
)

// damagedRun is a run of six steps, with checkpoints of steps 2, 4 and 6, of which some have lost a part of their manifest.
func damagedRun(t *testing.T, steps ...int) string {
	t.Helper()
	cfg := smallConfig(t)
	cfg.Checkpoint.Keep = 9
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, dir, nil); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if err := os.Truncate(filepath.Join(checkpoints.StepDir(dir, step), "manifest.json"), 100); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestResumeDamaged: a run whose newest checkpoints are damaged goes on from the one before with a warning that names all,
// and what was damaged keeps its bytes.
func TestResumeDamaged(t *testing.T) {
	dir := damagedRun(t, 4, 6)
	want := modelBytes(t, dir, 6)
	spoilt, err := os.ReadFile(filepath.Join(checkpoints.StepDir(dir, 6), "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	trainer, done, err := Resume(context.Background(), dir, "", nil, &log)
	if err != nil || done {
		t.Fatalf("Resume: done %v, %v", done, err)
	}
	used := checkpoints.StepDir(dir, 2)
	for _, step := range []int{4, 6} {
		damaged := checkpoints.StepDir(dir, step)
		for _, line := range []string{"warning: " + damaged + " is damaged: " + damaged + "/manifest.json: ", damaged + " is kept as " + damaged + ".damaged"} {
			if !strings.Contains(log.String(), line) {
				t.Errorf("log %q lacks %q", log.String(), line)
			}
		}
	}
	if n := strings.Count(log.String(), "; going by "+used+"\n"); n != 2 {
		t.Errorf("log %q names %s %d times, want with each that is damaged", log.String(), used, n)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(modelBytes(t, dir, 6), want) {
		t.Error("the run ends with other weights than before")
	}
	if kept, err := os.ReadFile(filepath.Join(checkpoints.StepDir(dir, 6)+".damaged", "manifest.json")); err != nil || !bytes.Equal(kept, spoilt) {
		t.Errorf("what was damaged has changed (%v)", err)
	}
}

// TestAllDamaged: a run without a sound checkpoint does not begin anew over what is there.
func TestAllDamaged(t *testing.T) {
	dir := damagedRun(t, 2, 4, 6)
	before := modelBytes(t, dir, 6)
	_, _, err := Resume(context.Background(), dir, "", nil, io.Discard)
	if !errors.Is(err, checkpoints.ErrCheckpoint) {
		t.Fatalf("Resume: %v, want ErrCheckpoint", err)
	}
	for _, step := range []int{2, 4, 6} {
		if want := checkpoints.StepDir(dir, step) + " is damaged: "; !strings.Contains(err.Error(), want) {
			t.Errorf("Resume: %v, want %q in it", err, want)
		}
	}
	if !bytes.Equal(modelBytes(t, dir, 6), before) {
		t.Error("Resume has changed a checkpoint")
	}
}

// TestFindDamaged: where what is wanted is damaged, no other checkpoint is taken in its place.
func TestFindDamaged(t *testing.T) {
	for _, c := range []struct {
		name    string
		damaged []int
		best    int // in the words of the newest sound one; 0: as it is
		last    bool
		want    int   // 0: an error
		named   []int // in the error
	}{
		{"the newest", []int{6}, 0, true, 0, []int{6, 4}},
		{"the newest, which names the best", []int{4, 6}, 0, false, 0, []int{4, 6, 2}},
		{"the best", []int{4}, 4, false, 0, []int{4, 6}},
		{"all", []int{2, 4, 6}, 0, false, 0, []int{2, 4, 6}},
		{"one that is not wanted", []int{2}, 4, false, 4, nil},
		{"the best, but the newest is wanted", []int{4}, 4, true, 6, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := damagedRun(t)
			if c.best > 0 { // the last two steps of a run are made again
				if err := os.RemoveAll(checkpoints.StepDir(dir, 6)); err != nil {
					t.Fatal(err)
				}
				trainer, _, err := Resume(context.Background(), dir, "", []string{"train.learning_rate=1e-9"}, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				trainer.state.BestStep, trainer.state.BestLoss = c.best, 0
				if _, err := trainer.Run(context.Background(), nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, step := range c.damaged {
				if err := os.Truncate(filepath.Join(checkpoints.StepDir(dir, step), "manifest.json"), 100); err != nil {
					t.Fatal(err)
				}
			}
			got, err := saved.Find(dir, c.last)
			if c.want > 0 {
				if err != nil || got != checkpoints.StepDir(dir, c.want) {
					t.Errorf("Find = %s, %v; want step %d", got, err, c.want)
				}
				return
			}
			if !errors.Is(err, checkpoints.ErrCheckpoint) {
				t.Fatalf("Find = %s, %v; want ErrCheckpoint", got, err)
			}
			for _, step := range c.named {
				if want := checkpoints.StepDir(dir, step); !strings.Contains(err.Error(), want) {
					t.Errorf("Find: %v, want %s in it", err, want)
				}
			}
		})
	}
}

// TestLostManifest: a checkpoint without its manifest is no run, which it looks like by its config.toml: nothing trains in it.
func TestLostManifest(t *testing.T) {
	dir := checkpoints.StepDir(damagedRun(t), 4)
	if err := os.Remove(filepath.Join(dir, "manifest.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := saved.Find(dir, false); !errors.Is(err, checkpoints.ErrCheckpoint) || !strings.Contains(err.Error(), "no manifest.json") {
		t.Errorf("Find: %v, want that there is no manifest.json", err)
	}
	if _, _, err := Resume(context.Background(), dir, "", nil, io.Discard); !errors.Is(err, task.ErrUsage) {
		t.Errorf("Resume: %v, want ErrUsage", err)
	}
	if _, err := New(context.Background(), smallConfig(t), dir, true, io.Discard); !errors.Is(err, task.ErrUsage) {
		t.Errorf("New: %v, want ErrUsage", err)
	}
}
