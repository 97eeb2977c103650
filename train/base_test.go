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
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// adapterConfigs are a dense run and one that adapts it with everything else
// frozen but the last norm.
func adapterConfigs(t *testing.T, base, form string) (dense, lora recipe.Config) {
	t.Helper()
	dense = smallConfig(t)
	lora = dense
	lora.Seed = 8
	lora.Model.Linear = []nn.Rule{{Match: "*.layers.*", OneOf: nn.As(nn.LoRA{Rank: 2, Alpha: 4, Keep: form})}}
	lora.Train.InitFrom = base
	lora.Train.Freeze = []recipe.Freeze{{Match: "model.embed*"}, {Match: "*layernorm.weight"}, {Match: "lm_head*"}}
	return dense, lora
}

// baseText is all bytes of a store's frozen weights.
func baseText(s *nn.Store) string {
	var b strings.Builder
	for _, a := range saved.BaseArrays(s) {
		fmt.Fprintln(&b, a.Name, a.Shape, a.Data)
	}
	return b.String()
}

func scoreOf(t *testing.T, s *model.Session, trainer *Trainer) task.Score {
	t.Helper()
	score, err := trainer.task.Evaluate(context.Background(), s, task.Measure{Limit: math.MaxInt})
	if err != nil {
		t.Fatal(err)
	}
	return score
}

// TestAdapter: a run on a frozen base starts at the base's loss, changes no byte
// of it, saves only what trains, and resumes from any step to the same bytes.
func TestAdapter(t *testing.T) {
	for _, form := range []string{"float32", "int8", "int4"} {
		t.Run(form, func(t *testing.T) {
			if testing.Short() && form == "int4" {
				t.Skip("-short takes int8 for all that has codes")
			}
			root := t.TempDir()
			base := filepath.Join(root, "base")
			dense, cfg := adapterConfigs(t, base, form)
			if _, err := mustTrain(t, dense, base, nil); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(root, "whole")
			trainer, err := New(context.Background(), cfg, dir, false, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := saved.Open(base, false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, want := scoreOf(t, trainer.session, trainer), scoreOf(t, loaded.Session, trainer)
			if form == "float32" && !reflect.DeepEqual(got, want) {
				t.Errorf("before the first step %+v, want the base's %+v to the bit", got, want)
			}
			if diff := got.Loss() - want.Loss(); diff > 0.01 || diff < -0.01 {
				t.Errorf("before the first step %+v, want the base's %+v within 0.01", got, want)
			}
			before := baseText(trainer.store)
			result, err := trainer.Run(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if baseText(trainer.store) != before || len(before) < 1000 {
				t.Error("training has changed the base")
			}
			if result.Score.Loss() >= want.Loss() {
				t.Errorf("loss %g after training, want less than the base's %g", result.Score.Loss(), want.Loss())
			}
			if n := 2*(4*32+3*40) + 16; result.Parameters != n {
				t.Errorf("%d values trained, want %d", result.Parameters, n)
			}
			checkAdapterFiles(t, dir, base)
			t.Run("resumes", func(t *testing.T) { checkAdapterResumes(t, cfg, dir) })
			t.Run("opens", func(t *testing.T) {
				l, err := saved.Open(dir, true, model.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if got := scoreOf(t, l.Session, trainer); !reflect.DeepEqual(got, scoreOf(t, trainer.session, trainer)) {
					t.Errorf("read back: %+v, want %+v", got, scoreOf(t, trainer.session, trainer))
				}
				if baseText(l.Session.Store()) != before {
					t.Error("read back: another base")
				}
			})
		})
	}
}

// checkAdapterFiles: the last checkpoint holds the factors and the last norm.
func checkAdapterFiles(t *testing.T, dir, base string) {
	t.Helper()
	c, err := checkpoints.Open(checkpoints.StepDir(dir, 6))
	if err != nil {
		t.Fatal(err)
	}
	arrays, err := c.Arrays("model.npz")
	if err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, a := range arrays {
		if !strings.HasSuffix(a.Name, ".down.weight") && !strings.HasSuffix(a.Name, ".up.weight") && a.Name != "model.norm.weight" {
			t.Errorf("the checkpoint holds %s, which does not train", a.Name)
		}
		bytes += 4 * len(a.Data.([]float32))
	}
	if len(arrays) != 2*7+1 || bytes != 4*(2*(4*32+3*40)+16) {
		t.Errorf("%d arrays of %d bytes, want 15 of what trains", len(arrays), bytes)
	}
	parent, err := checkpoints.Open(checkpoints.StepDir(base, 6))
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Manifest().Parent; p == nil || *p != *parent.Lineage() {
		t.Errorf("parent %+v, want %+v", p, parent.Lineage())
	}
	size := func(dir, name string) int64 {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for _, name := range []string{"model.npz", "optimizer.npz"} {
		// Headers and zip entries are half of so small a file; the weights are a twentieth.
		if small, whole := size(c.Dir(), name), size(parent.Dir(), name); small*5 > whole {
			t.Errorf("%s takes %d bytes, that of the base %d: want less than a fifth", name, small, whole)
		}
	}
}

func checkAdapterResumes(t *testing.T, cfg recipe.Config, whole string) {
	for stop := 1; stop < cfg.Train.Steps; stop++ {
		dir := filepath.Join(t.TempDir(), "out")
		trainUntil(t, cfg, dir, stop)
		trainer, _, err := Resume(context.Background(), dir, "", nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trainer.Run(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"model.npz", "optimizer.npz", "manifest.json"} {
			if !bytes.Equal(checkpointFile(t, dir, 6, name), checkpointFile(t, whole, 6, name)) {
				t.Errorf("stopped after step %d: another %s than the run that was not", stop, name)
			}
		}
	}
}

// TestFindBase: where a base is looked for, and what does not count as one.
func TestFindBase(t *testing.T) {
	root := t.TempDir()
	dense, cfg := adapterConfigs(t, filepath.Join(root, "base"), "")
	for _, dir := range []string{"base", "other"} {
		if _, err := mustTrain(t, dense, filepath.Join(root, dir), nil); err != nil {
			t.Fatal(err)
		}
		dense.Seed++
	}
	adapter := filepath.Join(root, "runs", "lora")
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	cfg.Train.InitFrom = "base" // recorded as a relative path
	if _, err := mustTrain(t, cfg, adapter, nil); err != nil {
		t.Fatal(err)
	}
	t.Chdir(cwd)
	c, err := checkpoints.Open(checkpoints.StepDir(adapter, 6))
	if err != nil {
		t.Fatal(err)
	}
	want := c.Manifest().Parent.SHA256
	finds := func(where string) {
		t.Helper()
		b, err := saved.FindBase(c, where)
		if err != nil || b.Manifest().SHA256 != want {
			t.Errorf("findBase(%q): %v, want the base", where, err)
		}
	}
	refuses := func(where string, class error, parts ...string) {
		t.Helper()
		_, err := saved.FindBase(c, where)
		if !errors.Is(err, class) {
			t.Errorf("findBase(%q): %v, want %v", where, err, class)
			return
		}
		for _, part := range append(parts, c.Dir()) {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("findBase(%q): %v; want one line with %q", where, err, part)
			}
		}
	}
	finds("") // from a folder above the adapter
	finds(filepath.Join(root, "base"))
	finds(checkpoints.StepDir(filepath.Join(root, "base"), 6))
	refuses(filepath.Join(root, "other"), saved.ErrNotFound, "is another checkpoint, with SHA-256", want, "--base PATH")
	refuses(filepath.Join(root, "nowhere"), saved.ErrNotFound, "is not there", want, "--base PATH")

	moved := filepath.Join(root, "moved")
	if err := os.Rename(filepath.Join(root, "base"), moved); err != nil {
		t.Fatal(err)
	}
	refuses("", saved.ErrNotFound, "is not there", want, "--base PATH")
	if _, err := saved.Open(adapter, false, model.Options{}); !errors.Is(err, saved.ErrNotFound) {
		t.Errorf("Open without the base: %v, want ErrNotFound", err)
	}
	if _, err := saved.OpenOn(adapter, moved, false, model.Options{}); err != nil {
		t.Errorf("OpenOn the moved base: %v", err)
	}
	if _, err := saved.OpenOn(moved, adapter, false, model.Options{}); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "is no adapter") {
		t.Errorf("a base for a model that needs none: %v, want ErrUsage", err)
	}

	// Another run in its place, then damage.
	if err := os.Rename(filepath.Join(root, "other"), filepath.Join(root, "base")); err != nil {
		t.Fatal(err)
	}
	refuses("", saved.ErrNotFound, "is another checkpoint", want)
	for _, damage := range []struct {
		file string
		at   int64
	}{{"model.npz", 2000}, {"manifest.json", 60}} {
		path := filepath.Join(checkpoints.StepDir(moved, 6), damage.file)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(whole)
		bad[damage.at] ^= 1
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := saved.OpenOn(adapter, checkpoints.StepDir(moved, 6), false, model.Options{}); !errors.Is(err, checkpoints.ErrCheckpoint) || !strings.Contains(err.Error(), path) {
			t.Errorf("damaged %s: %v, want ErrCheckpoint and the file's path", damage.file, err)
		}
		if err := os.WriteFile(path, whole, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAdapterRefusals: what cannot be a base is refused before anything is made.
func TestAdapterRefusals(t *testing.T) {
	root := t.TempDir()
	base := filepath.Join(root, "base")
	dense, lora := adapterConfigs(t, base, "int8")
	factored := dense
	factored.Model.Linear = []nn.Rule{{Match: "*.mlp.*", OneOf: nn.As(nn.LowRank{Rank: 2})}}
	runs := map[string]recipe.Config{"base": dense, "factored": factored, "lora": lora}
	for _, name := range []string{"base", "factored", "lora"} {
		if _, err := mustTrain(t, runs[name], filepath.Join(root, name), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, from, want string
		cfg              recipe.Config
	}{
		{"a factored base", "factored", "has no model.layers.0.mlp.gate_proj.weight of shape [24, 16] for the frozen base of a lora layer", lora},
		{"an adapter as base", "lora", "holds an adapter without its base: fold the two first by: ", lora},
		{"a dense run from an adapter", "lora", "holds an adapter without its base", dense},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cfg.Train.InitFrom = filepath.Join(root, tc.from)
			dir := filepath.Join(root, "new")
			startedAs(t, "/tmp/go-build1/b001/exe/train")
			_, err := New(context.Background(), tc.cfg, dir, false, io.Discard)
			if !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), ": go run ./cmd/model merge "+root) {
				t.Errorf("%v; want ErrUsage with %q and how to merge", err, tc.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a folder was made")
			}
		})
	}
}

// TestLoRAWithoutBase: without init_from the frozen weights would stay random, so
// the run is refused.
func TestLoRAWithoutBase(t *testing.T) {
	for _, form := range []string{"float32", "int8", "int4"} {
		t.Run(form, func(t *testing.T) {
			_, cfg := adapterConfigs(t, "", form)
			dir := filepath.Join(t.TempDir(), "out")
			_, err := New(context.Background(), cfg, dir, false, io.Discard)
			if !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), "wants [train] init_from") {
				t.Errorf("%v; want ErrUsage that asks for init_from", err)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("a folder was made")
			}
		})
	}
}
