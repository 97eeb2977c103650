package compress

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
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
			tune.STF, tune.Distill = stfOf(kind), &recipe.Distill{}
			tune.Distill.SetDefaults()
			cfg.Compress.Finetune = tune
			dir := filepath.Join(t.TempDir(), "out")
			r := mustRun(t, cfg, dir)
			if r.Tuned.Loss() >= r.Compressed.Loss() {
				t.Errorf("loss %g after fine-tuning, %g before", r.Tuned.Loss(), r.Compressed.Loss())
			}
			mustVerify(t, dir)
			before, err := saved.Open(filepath.Join(dir, "checkpoints", "step-000000"), false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			after, err := saved.Open(dir, false, model.Options{})
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
	cfg.Compress.Finetune.STF = &recipe.STF{}
	cfg.Compress.Finetune.STF.SetDefaults()
	if r := mustRun(t, cfg, filepath.Join(t.TempDir(), "out")); r.Tuned == nil {
		t.Error("there is no fine-tuned result")
	}
}

// TestFinetuneInFewBits: dense-sparse layers in 8 bits train by each kind of STF in float32, with new atoms where the kind
// looks for some, and are stored in the same bits and bytes again, with all promises kept.
func TestFinetuneInFewBits(t *testing.T) {
	for _, kind := range []string{"frozen", "latent", "support"} {
		t.Run(kind, func(t *testing.T) {
			cfg := configOf(t, trainedRun(t), "dsformer", 0.75)
			cfg.Compress.Quantize = &QuantizeConfig{Bits: 8, Block: 32}
			tune := &FinetuneConfig{}
			tune.SetDefaults()
			tune.Steps, tune.LearningRate = 20, 3e-3
			tune.STF = stfOf(kind)
			cfg.Compress.Finetune = tune
			dir := filepath.Join(t.TempDir(), "out")
			r := mustRun(t, cfg, dir)
			if r.Tuned.Loss() >= r.Compressed.Loss() {
				t.Errorf("loss %g after fine-tuning, %g before", r.Tuned.Loss(), r.Compressed.Loss())
			}
			mustVerify(t, dir)
			l, err := saved.Open(dir, false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			before, err := saved.Open(checkpoints.StepDir(dir, 0), false, model.Options{})
			if err != nil {
				t.Fatal(err)
			}
			a, b := before.Session.Store(), l.Session.Store()
			changed := false
			for _, name := range b.AtomNames() {
				if q := b.Quantization(strings.TrimSuffix(name, ".indices") + ".values"); q.Name() != "int8" {
					t.Errorf("%s is stored as %s", name, q.Name())
				}
				changed = changed || !slices.Equal(a.Atoms(name).Index, b.Atoms(name).Index)
			}
			if a.StoredBytes() != b.StoredBytes() {
				t.Errorf("%d bytes after fine-tuning, %d before", b.StoredBytes(), a.StoredBytes())
			}
			if kind == "frozen" && changed {
				t.Error("atoms have changed")
			}
		})
	}
}

// TestFinetuneMagnitude: the groups of a pruned layer are N:M after training, too.
func TestFinetuneMagnitude(t *testing.T) {
	cfg := configOf(t, trainedRun(t), "magnitude", 0.4)
	cfg.Compress.Finetune = &FinetuneConfig{}
	cfg.Compress.Finetune.SetDefaults()
	cfg.Compress.Finetune.Steps, cfg.Compress.Finetune.LearningRate = 20, 3e-3
	dir := filepath.Join(t.TempDir(), "out")
	r := mustRun(t, cfg, dir)
	if r.Tuned.Loss() >= r.Compressed.Loss() {
		t.Errorf("loss %g after fine-tuning, %g before", r.Tuned.Loss(), r.Compressed.Loss())
	}
	l, err := saved.Open(dir, false, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Layers {
		w := &factor.Matrix{Data: l.Session.Store().DenseWeight(x.Name)}
		layer := l.Session.Store().Layer(x.Name)
		w.Rows, w.Cols = layer.Out, layer.In
		if row, group, ok := crowded(w, x.Option.Nonzeros, cfg.Compress.Group); x.Option.Method == "magnitude" && ok {
			t.Errorf("%s, output %d, group %d has more than %d weights", x.Name, row, group, x.Option.Nonzeros)
		}
	}
	mustVerify(t, dir)
}
