package compress

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"sparrow/model"
	"sparrow/train"
)

// TestFinetuneSTF: fine-tuning by each kind, with the compressed network's parent as its teacher, lowers the loss of a
// dense-sparse network, keeps the number of atoms of every vector and all promises, and stands for the parent's weights.
func TestFinetuneSTF(t *testing.T) {
	for _, kind := range []string{"frozen", "latent", "support"} {
		t.Run(kind, func(t *testing.T) {
			cfg := configOf(t, trainedRun(t), "dsformer", 0.4)
			cfg.Compress.DSFormer.Block, cfg.Compress.DSFormer.Atoms = 8, []int{8, 12}
			tune := &FinetuneConfig{}
			tune.SetDefaults()
			tune.Steps, tune.LearningRate = 20, 3e-3
			tune.STF, tune.Distill = &train.STFConfig{}, &train.DistillConfig{}
			tune.STF.SetDefaults()
			tune.STF.UseKind(kind)
			tune.Distill.SetDefaults()
			cfg.Compress.Finetune = tune
			dir := filepath.Join(t.TempDir(), "out")
			r := mustRun(t, cfg, dir)
			if r.Tuned.Loss() >= r.Compressed.Loss() {
				t.Errorf("loss %g after fine-tuning, %g before", r.Tuned.Loss(), r.Compressed.Loss())
			}
			v, err := Verify(context.Background(), dir, io.Discard)
			if err == nil {
				err = v.Err()
			}
			if err != nil {
				t.Error(err)
			}
			before, err := train.Open(filepath.Join(dir, "checkpoints", "step-000000"), false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			after, err := train.Open(dir, false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			a, b := before.Session.Store(), after.Session.Store()
			if !slices.Equal(a.Names(), b.Names()) || a.Bytes()+a.IndexBytes() != b.Bytes()+b.IndexBytes() {
				t.Error("training has changed the network's parameters or bytes")
			}
			if err := b.CheckIndices(); err != nil {
				t.Error(err)
			}
			loop := after.Config.Train
			if parent := mustOpen(t, cfg).loaded.Dir; loop.STF.From != parent || loop.Distill.Teacher != parent {
				t.Errorf("it stands for %s and learns from %s, want %s", loop.STF.From, loop.Distill.Teacher, parent)
			}
			if cfg.Compress.Finetune.STF.From != "" || cfg.Compress.Finetune.Distill.Teacher != "" {
				t.Error("the config has changed")
			}
		})
	}
}

// TestFinetuneSTFOfOtherLayers: where the plan has made no layer dense-sparse, fine-tuning goes on without the table.
func TestFinetuneSTFOfOtherLayers(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "svd", 0.5)
	cfg.Compress.Finetune = &FinetuneConfig{}
	cfg.Compress.Finetune.SetDefaults()
	cfg.Compress.Finetune.Steps = 2
	cfg.Compress.Finetune.WarmupSteps = 0
	cfg.Compress.Finetune.STF = &train.STFConfig{}
	cfg.Compress.Finetune.STF.SetDefaults()
	if r := mustRun(t, cfg, filepath.Join(t.TempDir(), "out")); r.Tuned == nil {
		t.Error("there is no fine-tuned result")
	}
}
