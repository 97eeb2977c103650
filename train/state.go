package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sparrow/checkpoints"
	"sparrow/internal/machine"
	"sparrow/metrics"
	"sparrow/saved"
	"sparrow/task"
)

// keep saves the present step in the run's folder.
func (t *Trainer) keep() error {
	if err := t.zero.Gather(); err != nil {
		return err
	}
	defer t.zero.Release()
	if !t.leads() {
		return nil
	}
	if err := t.present(); err != nil {
		return err
	}
	return t.save()
}

// present is an error of a run whose folder has gone, which is not made anew: what was in it is not there any more.
func (t *Trainer) present() error {
	if saved.IsRun(t.dir) {
		return nil
	}
	return fmt.Errorf("train: %s, the run's folder, has gone, or its config.toml has: step %d cannot be saved. Put the folder back and continue by: %s; or start again",
		t.dir, t.state.Step, saved.ResumeCommand(t.dir))
}

// save writes the checkpoint of the present step and deletes old ones.
func (t *Trainer) save() error {
	state, err := json.MarshalIndent(t.state, "", "  ")
	if err != nil {
		return err
	}
	err = t.averaged(func() error { return t.write(append(state, '\n')) })
	if err != nil {
		return err
	}
	return checkpoints.Prune(t.dir, t.cfg.Checkpoint.Keep, filepath.Base(checkpoints.StepDir(t.dir, t.state.BestStep)))
}

// write writes the checkpoint with this state.json.
func (t *Trainer) write(state []byte) error {
	c, err := saved.Contents(t.cfg, t.task, t.store, map[string][]byte{"state.json": state})
	if err != nil {
		return err
	}
	c.Step, c.Parent = t.state.Step, t.parent
	c.Arrays["model.npz"] = t.kept(c.Arrays["model.npz"])
	if t.solved == nil {
		c.Arrays["optimizer.npz"] = slices.Concat(t.optimizer.Arrays(), t.averages.Arrays(), t.stf.Arrays())
	}
	return checkpoints.Write(checkpoints.StepDir(t.dir, t.state.Step), c)
}

// restore continues from a checkpoint of this very run, whose weights the store has.
func (t *Trainer) restore(c *checkpoints.Checkpoint) error {
	var err error
	if t.state, err = saved.ReadState(c); err != nil {
		return err
	}
	if t.parent = c.Manifest().Parent; t.solved != nil {
		return nil
	}
	if t.state.Averaged != (t.averages != nil) {
		return fmt.Errorf("%w: the run was begun with averages of weights: %t, and [train] ema = %g; want it on or off as it was", task.ErrUsage, t.state.Averaged, t.cfg.Train.EMA)
	}
	if t.state.Settled > 0 && t.stf != nil {
		if err := t.settle(); err != nil {
			return err
		}
	}
	if err := c.ReadInto("optimizer.npz", saved.ByName(slices.Concat(t.optimizer.Arrays(), t.averages.Arrays(), t.stf.Arrays()))); err != nil {
		return err
	}
	t.zero.Scatter()
	if t.averages != nil {
		t.averages.Swap()
	}
	return t.stream.Seek(t.state.Cursor)
}

// initFrom loads the weights of another checkpoint that match in name and shape.
func (t *Trainer) initFrom(path string) error {
	from, err := saved.Take(path, t.store, t.known)
	if err != nil {
		return err
	}
	t.inherited, t.parent = from.Arrays, from.Checkpoint.Lineage()
	t.Message("starting from %s: %d weights taken", from.Checkpoint.Dir(), len(from.Loaded))
	if n := len(t.store.BaseNames()); n > 0 {
		t.Message("  frozen: the bases of %d lora layers, %s values in %s; checkpoints hold only what trains", n,
			metrics.Count(t.store.BaseParameters()), machine.Bytes(float64(t.store.BaseBytes())))
	}
	if len(from.Missing) > 0 {
		t.Message("  new, with initial values: %s", strings.Join(from.Missing, ", "))
	}
	if len(from.Unused) > 0 {
		t.Message("  in the checkpoint but unused: %s", strings.Join(from.Unused, ", "))
	}
	if text, err := from.Checkpoint.File("tokenizer.json"); err == nil && !bytes.Equal(text, t.facts.Files["tokenizer.json"]) {
		t.Message("warning: that checkpoint has another tokenizer: its token embeddings stand for other tokens here")
	}
	return nil
}

// averaged runs do with the averages, if there are any, for the weights.
func (t *Trainer) averaged(do func() error) error {
	if t.averages != nil {
		t.averages.Swap()
		defer t.averages.Swap()
	}
	return do()
}

// kept are those arrays of the model that the run's checkpoints hold: all, or of an adapter those that its base does not have
// or that train.
func (t *Trainer) kept(all []checkpoints.Array) []checkpoints.Array {
	if !t.cfg.Adapter() {
		return all
	}
	return slices.DeleteFunc(all, func(a checkpoints.Array) bool {
		return t.inherited[a.Name] && !slices.Contains(t.optimizer.Names(), a.Name)
	})
}
