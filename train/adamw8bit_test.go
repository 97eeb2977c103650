package train

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

// storeAndGradients are the parameters of a config's model, the same every time,
// and gradients for them.
func storeAndGradients(t *testing.T, cfg recipe.Config) (*nn.Store, *nn.Gradients) {
	t.Helper()
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.Model.NewSession(cfg.Dims(256), store, model.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	grads := nn.NewGradients(store)
	for _, name := range store.Names() {
		g, _ := grads.Gradient(name)
		for i := range g.Float32s() {
			g.Float32s()[i] = float32(math.Sin(float64(3*i+len(name))) * math.Exp(2*math.Sin(float64(i))))
		}
	}
	return store, grads
}

func config8bit(t *testing.T) recipe.Config {
	cfg := smallConfig(t)
	cfg.Train.Optimizer, cfg.Train.AdamBlockSize = "adamw8bit", 64
	return cfg
}

// TestAdamW8bitTensors: tensors of fewer than 4,096 elements are updated as by
// AdamW, bit for bit, larger ones nearly; the state is as large as planned.
func TestAdamW8bitTensors(t *testing.T) {
	cfg := config8bit(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DFF = 255 }) // up_proj has 4,080 elements, the embedding 4,096
	want, grads := storeAndGradients(t, cfg)
	got, _ := storeAndGradients(t, cfg)
	o32, o8 := NewAdamW(cfg.Train, want), NewOptimizer(cfg.Train, got)
	for step := 1; step <= 5; step++ {
		UpdateAll(o32, grads, step, 1e-2, 0.5)
		UpdateAll(o8, grads, step, 1e-2, 0.5)
	}
	large := 0
	for _, name := range want.Names() {
		a, b := want.Get(name).Float32s(), got.Get(name).Float32s()
		if len(a) < 4096 {
			if !slices.Equal(a, b) {
				t.Errorf("%s of %d elements: not the same as by AdamW", name, len(a))
			}
			continue
		}
		large++
		if slices.Equal(a, b) {
			t.Errorf("%s of %d elements is as by AdamW: its state is not of 8 bits", name, len(a))
		}
		var sum float64
		for i := range a {
			sum += math.Abs(float64(a[i] - b[i]))
		}
		// Five steps of at most about 1e-2: quantisation may change them by a few per cent.
		if mean := sum / float64(len(a)); !(mean < 2e-3) {
			t.Errorf("%s: differs from AdamW's by %v on average", name, mean)
		}
	}
	if large != 2 {
		t.Fatalf("%d large tensors, want embedding and head", large)
	}
	plan, err := planOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n := want.Parameters(); o8.Bytes() != plan.Optimizer || plan.Optimizer != 8*(n-2*4096)+2*(2*4096+8*4096/64) {
		t.Errorf("Bytes() = %d, planned %d", o8.Bytes(), plan.Optimizer)
	}
}

// TestAdamW8bitThreads: pieces of a tensor are updated alike by any thread.
func TestAdamW8bitThreads(t *testing.T) {
	cfg := config8bit(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel = 400 }) // 102,400 elements: several pieces
	threads := kernel.Threads()
	defer kernel.SetThreads(threads)
	var want []float32
	for _, n := range []int{1, 2, 3} {
		kernel.SetThreads(n)
		store, grads := storeAndGradients(t, cfg)
		o := NewOptimizer(cfg.Train, store)
		for step := 1; step <= 3; step++ {
			UpdateAll(o, grads, step, 1e-2, 1)
		}
		got := store.Get("lm_head.weight").Float32s()
		if want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%d threads give other weights than 1", n)
		}
	}
}

// TestAdamW8bitLearns: a small decoder ends where AdamW takes it.
func TestAdamW8bitLearns(t *testing.T) {
	steps := 200
	if testing.Short() {
		steps = 60
	}
	cfg := smallConfig(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel, b.NLayer, b.DFF = 64, 2, 96 })
	cfg.Train.Steps, cfg.Train.BatchSize, cfg.Train.LearningRate, cfg.Train.WarmupSteps = steps, 8, 3e-3, 10
	cfg.Eval.Every, cfg.Checkpoint.Every, cfg.Eval.Tokens = 0, 0, 0
	loss := map[string]float64{}
	for _, optimizer := range []string{"adamw", "adamw8bit"} {
		cfg.Train.Optimizer = optimizer
		r, err := mustTrain(t, cfg, filepath.Join(t.TempDir(), optimizer), nil)
		if err != nil {
			t.Fatal(err)
		}
		loss[optimizer] = r.Score.Loss()
	}
	t.Logf("validation losses after %d steps: %v", steps, loss)
	if a, b := loss["adamw"], loss["adamw8bit"]; !(math.Abs(a-b) <= 0.05) || !(a < 2.5) {
		t.Errorf("losses %v, want them below 2.5 and within 0.05 nats", loss)
	}
}

// TestAdamW8bitResumes: a run that stopped continues to the same bytes, and does
// not with the state of another optimizer or block size.
func TestAdamW8bitResumes(t *testing.T) {
	cfg := config8bit(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DModel = 32 })
	whole, dir := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "out")
	if _, err := mustTrain(t, cfg, whole, nil); err != nil {
		t.Fatal(err)
	}
	steps := 0
	if _, err := mustTrain(t, cfg, dir, func() bool { steps++; return steps == 3 }); err == nil {
		t.Fatal("the run was not interrupted")
	}
	for _, c := range []struct {
		set  []string
		want string
	}{
		{[]string{"train.optimizer=adamw", "train.adam_block_size=256"}, `optimizer = "adamw", but the run's state is of adamw8bit: keep it, or start anew with init_from`},
		{[]string{"train.adam_block_size=128"}, "adam_block_size = 128, but the run's state is in blocks of 64: keep it, or start anew with init_from"},
		{[]string{`train.freeze=[{match="lm_head*"}]`}, "[[train.freeze]] has changed, but the run's state is of the parameters that trained"},
	} {
		if _, _, err := Resume(context.Background(), dir, "", c.set, io.Discard); !errors.Is(err, task.ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("resume with %s: %v; want an ErrUsage with %q", c.set, err, c.want)
		}
	}
	trainer, _, err := Resume(context.Background(), dir, "", nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(checkpointFile(t, dir, 6, "model.npz"), checkpointFile(t, whole, 6, "model.npz")) ||
		!bytes.Equal(checkpointFile(t, dir, 6, "optimizer.npz"), checkpointFile(t, whole, 6, "optimizer.npz")) {
		t.Error("the resumed run ended with other bytes")
	}
}
