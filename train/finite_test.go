package train

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/data/images"
	"sparrow/model"
	"sparrow/saved"
	"sparrow/task"
)

// spoiledCheckpoint is the newest checkpoint of a run with one weight in all arrays of a name's ending replaced, written anew.
func spoiledCheckpoint(t *testing.T, run, ending string, value float32) string {
	t.Helper()
	all, err := checkpoints.List(run)
	if err != nil || len(all) == 0 {
		t.Fatalf("checkpoints %v, %v", all, err)
	}
	c, err := checkpoints.Open(all[len(all)-1])
	if err != nil {
		t.Fatal(err)
	}
	contents := checkpoints.Contents{Kind: c.Manifest().Kind, Step: c.Manifest().Step, Files: map[string][]byte{}, Arrays: map[string][]checkpoints.Array{}}
	for _, f := range c.Manifest().Files {
		if f.Entries == nil {
			if contents.Files[f.Name], err = c.File(f.Name); err != nil {
				t.Fatal(err)
			}
		} else if contents.Arrays[f.Name], err = c.Arrays(f.Name); err != nil {
			t.Fatal(err)
		}
	}
	spoiled := 0
	for _, a := range contents.Arrays["model.npz"] {
		if strings.HasSuffix(a.Name, ending) {
			a.Data.([]float32)[1] = value
			spoiled++
		}
	}
	if spoiled == 0 {
		t.Fatalf("no array ends in %s", ending)
	}
	dir := filepath.Join(t.TempDir(), "spoiled")
	if err := checkpoints.Write(dir, contents); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestWeightsAreNumbers: a checkpoint with a weight that is none is refused by all that reads weights, which name it.
func TestWeightsAreNumbers(t *testing.T) {
	run := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, smallConfig(t), run, nil); err != nil {
		t.Fatal(err)
	}
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		dir := spoiledCheckpoint(t, run, "norm.weight", float32(value))
		for _, packed := range []bool{false, true} {
			_, err := saved.Open(dir, false, model.Options{Packed: packed})
			if !errors.Is(err, checkpoints.ErrCheckpoint) || !strings.Contains(err.Error(), "norm.weight[1] is ") || !strings.Contains(err.Error(), dir) {
				t.Errorf("Open with %g: %v, want the weight", value, err)
			}
		}
	}
}

// TestAnswersAreNumbers: weights so large that a network's answer is none make predictions and explanations fail; nothing
// panics.
func TestAnswersAreNumbers(t *testing.T) {
	cfg := imageConfig(t)
	cfg.Train.Steps = 2
	run := filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, run, nil); err != nil {
		t.Fatal(err)
	}
	l, err := saved.Open(spoiledCheckpoint(t, run, ".weight", math.MaxFloat32), true, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Data.Of.(images.Folder).Root, "class0", "0.png")
	if p, err := predictImages(t, l, path); err == nil || !strings.Contains(err.Error(), "no number") {
		t.Errorf("Predict = %v, %v; want an error", p, err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := l.Task.(task.Explainer).Explain(context.Background(), l.Session, task.Input{Image: file}); err == nil {
		t.Error("Explain succeeded")
	}
}
