package compress

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sparrow/checkpoints"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/train"
	"sparrow/train/stf"
)

// finetune trains the compressed checkpoint in a run of its own below dir, or continues that, and copies the best
// checkpoint of that run beside the compressed one. It returns the copy, and what the run has changed of the choice of atoms.
func (s *compression) finetune(ctx context.Context, dir, from string) (final string, changed stf.Changed, err error) {
	run := filepath.Join(dir, tunedDir)
	t, done, err := s.trainer(ctx, run, from)
	if err != nil {
		return "", nil, fmt.Errorf("compress: [compress.finetune]: %w", err)
	}
	if !done {
		if _, err := t.Run(ctx, nil); err != nil {
			return "", nil, err
		}
	}
	if changed, err = changedIn(run); err != nil {
		return "", nil, err
	}
	best, err := saved.Find(run, false)
	if err != nil {
		return "", nil, err
	}
	final = filepath.Join(dir, "checkpoints", filepath.Base(best))
	if _, err := checkpoints.Open(final); err == nil {
		return final, changed, nil
	}
	before, err := saved.Describe(from, "", false, s.cfg.Compress.Known)
	if err != nil {
		return "", nil, err
	}
	if _, few := before.Session.Store().Quantized(); few {
		return final, changed, s.requantize(best, before, final)
	}
	return final, changed, copyCheckpoint(best, final, before.Files.Manifest().Calibration)
}

// changedIn is what a finished run tells of the choice of atoms in its last checkpoint.
func changedIn(run string) (stf.Changed, error) {
	last, err := saved.Find(run, true)
	if err != nil {
		return nil, err
	}
	c, err := checkpoints.Open(last)
	if err != nil {
		return nil, err
	}
	state, err := saved.ReadState(c)
	return stf.ChangedOf(state), err
}

// trainer prepares the run, or its continuation.
func (s *compression) trainer(ctx context.Context, run, from string) (*train.Trainer, bool, error) {
	if _, err := os.Stat(filepath.Join(run, "config.toml")); err == nil {
		return train.ResumeFrom(ctx, s.loaded, run, s.out)
	}
	l, err := saved.Describe(from, "", false, s.cfg.Compress.Known)
	if err != nil {
		return nil, false, err
	}
	cfg := l.Config
	if cfg.Data.IsNone() {
		cfg.Data = s.table
	}
	cfg.Name, cfg.Seed = s.cfg.Name+"-"+tunedDir, s.cfg.Seed
	cfg.Model.Linear = representation(float32Tables(cfg.Model.Linear), l.Session.Store(), nil)
	cfg.Train = s.tuning(from, l.Session.Store())
	t, err := train.NewFrom(ctx, s.loaded, cfg, run, true, s.out)
	return t, false, err
}

// tuning is how the compressed checkpoint trains, whose layers the store tells. Latent values of [compress.finetune.stf]
// stand for the weights that were compressed, and the teacher of [compress.finetune.distill] is what was compressed unless it
// names another.
func (s *compression) tuning(from string, store *nn.Store) recipe.Train {
	loop := s.cfg.Compress.Finetune.Train
	loop.InitFrom = from
	if loop.Distill != nil && loop.Distill.Teacher == "" {
		distill := *loop.Distill
		distill.Teacher = s.loaded.Dir
		loop.Distill = &distill
	}
	for _, t := range s.targets {
		_, grouped := s.cfg.Compress.grouped(Option{Method: t.Method})
		if grouped && isDenseSparse(store, t.Name) { // without the identity its groups are no longer N:M
			loop.Freeze = append(slices.Clone(loop.Freeze), recipe.Freeze{Match: t.Name + ".dictionary.weight"})
		}
	}
	if loop.STF == nil {
		return loop
	}
	if !slices.ContainsFunc(store.Layers(), func(name string) bool { return isDenseSparse(store, name) }) {
		fmt.Fprintln(s.out, "[compress.finetune.stf]: the plan has made no layer dense-sparse: fine-tuning without it")
		loop.STF = nil
		return loop
	}
	table := *loop.STF
	table.From = s.loaded.Dir
	loop.STF = &table
	return loop
}

func isDenseSparse(s *nn.Store, layer string) bool {
	_, ok := s.Layer(layer).Rule.Of.(nn.DenseSparse)
	return ok
}

// float32Tables are [[model.linear]] tables of layers that train: none is stored in few bits.
func float32Tables(tables []nn.Rule) []nn.Rule {
	tables = slices.Clone(tables)
	for i := range tables {
		tables[i].Storage = nn.Storage{}
	}
	return tables
}

// requantize writes the checkpoint that was trained with layers in few bits as they were before.
func (s *compression) requantize(best string, before *saved.Model, to string) error {
	tuned, err := saved.Open(best, false, model.Options{}, s.cfg.Compress.Known)
	if err != nil {
		return err
	}
	network := tuned.Config.Model
	network.Linear = before.Config.Model.Linear
	store, err := s.assemble(tuned.Session.Store(), network, nil)
	if err != nil {
		return err
	}
	return tuned.Derive(to, network, store, before.Files.Manifest().Calibration)
}

// copyCheckpoint copies a checkpoint folder, but for the optimizer's state, which only its own run can use. by is what its weights
// were chosen by before they trained.
func copyCheckpoint(from, to string, by *checkpoints.Calibration) error {
	c, err := checkpoints.Open(from)
	if err != nil {
		return err
	}
	m := c.Manifest()
	contents := checkpoints.Contents{Kind: m.Kind, Step: m.Step, Parent: m.Parent, Made: by, Files: map[string][]byte{}, Arrays: map[string][]checkpoints.Array{}}
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
