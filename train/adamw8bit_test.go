package train

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/model"
	"sparrow/model/decoder"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
	"sparrow/train/optim"
)

func config8bit(t *testing.T) recipe.Config {
	cfg := smallConfig(t)
	cfg.Train.Optimizer, cfg.Train.AdamBlockSize = "adamw8bit", 64
	return cfg
}

// TestAdamW8bitPlan: the plan has the memory of the state.
func TestAdamW8bitPlan(t *testing.T) {
	cfg := config8bit(t)
	configs.Edit(&cfg.Model.OneOf, func(b *decoder.Config) { b.DFF = 255 }) // up_proj has 4,080 elements, the embedding 4,096
	plan, err := planOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(tensor.Float32)
	if _, err := cfg.Model.NewSession(cfg.Dims(256), store, model.Options{Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if got := optim.New(cfg.Train, store).Bytes(); got != plan.Optimizer {
		t.Errorf("Bytes() = %d, planned %d", got, plan.Optimizer)
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
	trainUntil(t, cfg, dir, 3)
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
