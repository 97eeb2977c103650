package compress

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sparrow/checkpoints"
	"sparrow/nn"
	"sparrow/train"
)

// finetune trains the compressed checkpoint in a run of its own below dir, or continues that, and copies the best
// checkpoint of that run beside the compressed one. It returns the copy.
func (s *subject) finetune(ctx context.Context, dir, from string) (string, error) {
	run := filepath.Join(dir, tunedDir)
	t, done, err := s.trainer(ctx, run, from)
	if err != nil {
		return "", err
	}
	if !done {
		if _, err := t.Run(ctx, nil); err != nil {
			return "", err
		}
	}
	best, err := train.Find(run, false)
	if err != nil {
		return "", err
	}
	final := filepath.Join(dir, "checkpoints", filepath.Base(best))
	if _, err := checkpoints.Open(final); err == nil {
		return final, nil
	}
	return final, copyCheckpoint(best, final)
}

// trainer prepares the run, or its continuation.
func (s *subject) trainer(ctx context.Context, run, from string) (*train.Trainer, bool, error) {
	if _, err := os.Stat(filepath.Join(run, "config.toml")); err == nil {
		return train.Resume(ctx, run, "", nil, s.out)
	}
	l, err := train.Describe(from, "", false)
	if err != nil {
		return nil, false, err
	}
	cfg := l.Config
	cfg.Name, cfg.Seed = s.cfg.Name+"-"+tunedDir, s.cfg.Seed
	cfg.Train = s.tuning(from, l.Session.Store())
	t, err := train.New(ctx, cfg, run, true, s.out)
	return t, false, err
}

// tuning is how the compressed checkpoint trains, whose layers the store tells. Latent values of [compress.finetune.stf]
// stand for the weights that were compressed, and the teacher of [compress.finetune.distill] is what was compressed unless it
// names another.
func (s *subject) tuning(from string, store *nn.Store) train.LoopConfig {
	loop := s.cfg.Compress.Finetune.LoopConfig
	loop.InitFrom = from
	if loop.Distill != nil && loop.Distill.Teacher == "" {
		distill := *loop.Distill
		distill.Teacher = s.loaded.Dir
		loop.Distill = &distill
	}
	if loop.STF == nil {
		return loop
	}
	if !slices.ContainsFunc(store.Layers(), func(name string) bool { return store.Layer(name).Kind == "dense_sparse" }) {
		fmt.Fprintln(s.out, "[compress.finetune.stf]: the plan has made no layer dense-sparse: fine-tuning without it")
		loop.STF = nil
		return loop
	}
	stf := *loop.STF
	stf.From = s.loaded.Dir
	loop.STF = &stf
	return loop
}

// copyCheckpoint copies a checkpoint folder, but for the optimizer's state, which only its own run can use.
func copyCheckpoint(from, to string) error {
	c, err := checkpoints.Open(from)
	if err != nil {
		return err
	}
	m := c.Manifest()
	contents := checkpoints.Contents{Kind: m.Kind, Step: m.Step, Parent: m.Parent, Files: map[string][]byte{}, Arrays: map[string][]checkpoints.Array{}}
	for _, f := range m.Files {
		switch f.Name {
		case "optimizer.npz":
		case "model.npz":
			if contents.Arrays[f.Name], err = c.Arrays(f.Name); err != nil {
				return err
			}
		default:
			if contents.Files[f.Name], err = c.File(f.Name); err != nil {
				return fmt.Errorf("compress: %w", err)
			}
		}
	}
	return checkpoints.Write(to, contents)
}
