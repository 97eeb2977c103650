package train

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"sparrow/checkpoints"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// Resume prepares to continue the run in dir from its newest checkpoint, or
// from its beginning if there is none yet. set are overrides of the saved
// config. base is, of an adapter, the run or checkpoint it trains on; "": where it
// was when the run began. done says that the run has ended and there is nothing to
// do, which out is told as well. The folder is held as New holds it; known is as there.
func Resume(ctx context.Context, dir, base string, set []string, out io.Writer, known ...saved.Options) (t *Trainer, done bool, err error) {
	return resume(ctx, dir, base, set, origin{known: saved.Known(known...)}, out)
}

// ResumeFrom is [Resume] of a run that NewFrom has begun.
func ResumeFrom(ctx context.Context, l *saved.Model, dir string, out io.Writer) (t *Trainer, done bool, err error) {
	return resume(ctx, dir, "", nil, origin{known: l.Known, like: l}, out)
}

// resume is Resume of a run that newRun began with from.
func resume(ctx context.Context, dir, base string, set []string, from origin, out io.Writer) (t *Trainer, done bool, err error) {
	if !saved.IsRun(dir) {
		return nil, false, fmt.Errorf("%w: %s is not a run: %s", task.ErrUsage, dir, whyNoRun(dir))
	}
	unlock := func() {}
	if from.group.Rank() == 0 {
		if unlock, err = lock(dir, "or stop it"); err != nil {
			return nil, false, err
		}
	}
	if t, done, err = resumeLocked(ctx, dir, base, set, from, out); t == nil || err != nil {
		unlock()
		return nil, done, err
	}
	t.unlock = unlock
	return t, done, nil
}

// whyNoRun says what is wrong with a path that leads to no run.
func whyNoRun(dir string) string {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return "there is no such folder"
	case !info.IsDir():
		return "it is a file; want the folder of a run, such as runs/NAME"
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err == nil {
		return "it is a checkpoint; name the folder of its run, or start a new run from it by [train] init_from"
	}
	return "it has no config.toml"
}

// resumeLocked is resume of a run that nobody else continues.
func resumeLocked(ctx context.Context, dir, base string, set []string, from origin, out io.Writer) (t *Trainer, done bool, err error) {
	cfg, err := read(filepath.Join(dir, "config.toml"), set, recipe.Default(), saved.Known(from.known))
	if err != nil {
		return nil, false, err
	}
	if base != "" && !cfg.Adapter() {
		return nil, false, fmt.Errorf("%w: --base %s: %s trains no adapter, it needs no base", task.ErrUsage, base, dir)
	}
	all, damaged, err := checkpoints.Scan(dir)
	if err != nil {
		return nil, false, err
	}
	if len(all) == 0 && len(damaged) > 0 {
		return nil, false, saved.AllDamaged(dir, damaged)
	}
	if len(all) == 0 {
		t, err = fromStart(ctx, cfg, dir, base, from, out)
		return t, false, err
	}
	newest := all[len(all)-1]
	for _, d := range damaged {
		fmt.Fprintf(out, "warning: %s is damaged: %v; going by %s\n", d.Dir, d.Err, newest)
	}
	c, err := checkpoints.Open(newest)
	if err != nil {
		return nil, false, err
	}
	if t, done, err = continued(ctx, cfg, dir, base, c, from, out); t == nil || err != nil {
		return nil, done, err
	}
	if !t.leads() {
		return t, false, nil
	}
	if err := setAside(saved.NewerThan(damaged, newest), t.Message); err != nil {
		return nil, false, err
	}
	t.Message("continuing %s at step %d of %d", dir, t.state.Step, t.last)
	t.warnChanges()
	return t, false, t.create()
}

// continued is a run as its checkpoint c left it. done says that there is nothing left to do.
func continued(ctx context.Context, cfg recipe.Config, dir, base string, c *checkpoints.Checkpoint, from origin, out io.Writer) (t *Trainer, done bool, err error) {
	state, err := saved.ReadState(c)
	if err != nil {
		return nil, false, err
	}
	own, err := from.task(cfg, c)
	if err != nil {
		return nil, false, err
	}
	solved, err := solvedOf(own, cfg)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	if ended(cfg, state, solved, dir, out) {
		return nil, true, nil
	}
	before, err := from.known.Config(c)
	if err != nil {
		return nil, false, err
	}
	if err := sameState(cfg.Train, before.Train); err != nil {
		return nil, false, err
	}
	var parent *checkpoints.Checkpoint
	if cfg.Adapter() {
		if parent, err = saved.FindBase(c, base); err != nil {
			return nil, false, err
		}
	}
	var inherited map[string]bool
	var unread error // why the store is not filled
	fill := func(s *nn.Store) error {
		inherited, unread = saved.ReadModel(c, parent, s)
		if unread != nil && !saved.SameWeights(c.Manifest(), s, cfg.Adapter()) { // the config has changed, the checkpoint is sound
			unread = fmt.Errorf("%w: %w", task.ErrUsage, unread)
		}
		return unread
	}
	if t, err = prepare(ctx, cfg, dir, own, from, out, fill); err != nil {
		return nil, false, cmp.Or(unread, err)
	}
	t.inherited = inherited
	if err := t.restore(c); err != nil {
		if !saved.SameWeights(c.Manifest(), t.store, t.cfg.Adapter()) {
			err = fmt.Errorf("%w: %w", task.ErrUsage, err)
		}
		return nil, false, err
	}
	return t, false, nil
}

// ended tells whether a run of that state has nothing left to do, and out how it could have.
func ended(cfg recipe.Config, state saved.State, solved task.Solved, dir string, out io.Writer) bool {
	last := lastStep(cfg, solved)
	switch {
	case state.Pending, cfg.Train.Epochs != nil, state.Step < last && !exhausted(cfg.Train, state):
		return false
	case state.Step >= last && solved != nil:
		fmt.Fprintf(out, "%s has ended already, with all its rounds\n", dir)
		return true
	}
	longer := "train.steps=N"
	if state.Step < last {
		longer = "train.patience=0"
	}
	fmt.Fprintf(out, "%s has ended already; train it longer by: %s\n", dir, saved.ResumeCommand(dir, "--set", longer))
	return true
}

// fromStart prepares a run that has no checkpoint yet.
func fromStart(ctx context.Context, cfg recipe.Config, dir, base string, from origin, out io.Writer) (*Trainer, error) {
	own, err := from.task(cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	t, err := prepare(ctx, cfg, dir, own, from, out, nil)
	if err != nil {
		return t, err
	}
	if err := t.initialize(); err != nil {
		return t, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	if cfg.Train.InitFrom != "" {
		if err := t.initFrom(cmp.Or(base, cfg.Train.InitFrom)); err != nil {
			return t, err
		}
	}
	if err := t.beginSTF(ctx); err != nil {
		return t, err
	}
	t.Message("no checkpoint yet: starting at step 0")
	if !t.leads() {
		return t, nil
	}
	return t, t.create()
}

// setAside moves damaged checkpoints out of the way of the run that continues from the one before them.
func setAside(damaged []checkpoints.Damage, say func(format string, args ...any)) error {
	for _, d := range damaged {
		aside, err := checkpoints.SetAside(d.Dir)
		if err != nil {
			return err
		}
		say("%s is kept as %s", d.Dir, aside)
	}
	return nil
}

// sameState refuses settings with which an optimizer cannot go on from the state
// that it has under those of the checkpoint.
func sameState(c, before recipe.Train) error {
	switch {
	case c.Optimizer != before.Optimizer:
		return fmt.Errorf("%w: [train] optimizer = %q, but the run's state is of %s: keep it, or start anew with init_from", task.ErrUsage, c.Optimizer, before.Optimizer)
	case c.AdamBlockSize != before.AdamBlockSize:
		return fmt.Errorf("%w: [train] adam_block_size = %d, but the run's state is in blocks of %d: keep it, or start anew with init_from",
			task.ErrUsage, c.AdamBlockSize, before.AdamBlockSize)
	case latentLayers(c) != latentLayers(before):
		return fmt.Errorf("%w: [train.stf] has another kind or match, but the run's state has the latent values of those that it had: keep them, or start anew with init_from", task.ErrUsage)
	case !slices.Equal(c.Freeze, before.Freeze):
		return fmt.Errorf("%w: [[train.freeze]] has changed, but the run's state is of the parameters that trained: keep it, or start anew with init_from", task.ErrUsage)
	}
	return nil
}

// latentLayers say which layers of a run have latent values, and of which kind.
func latentLayers(c recipe.Train) (layers struct{ kind, match string }) {
	if c.STF.Latent() != nil {
		layers.kind, layers.match = c.STF.Name, c.STF.Match
	}
	return layers
}
