package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/data"
	"sparrow/internal/shell"
	"sparrow/metrics"
	"sparrow/nn"
)

// State is state.json: all that a run is beside weights and optimizer state.
type State struct {
	Step       int         `json:"step"`        // updates done
	Tokens     int         `json:"tokens"`      // targets seen: tokens, or examples
	MicroBatch int         `json:"micro_batch"` // micro-batches done
	Cursor     data.Cursor `json:"cursor"`      // of the training data
	BestStep   int         `json:"best_step"`   // of the best evaluation so far; 0: none yet
	BestLoss   float64     `json:"best_loss"`   // its validation loss
	Corpus     string      `json:"corpus"`      // SHA-256 of the text trained on

	BestMetric float64 `json:"best_metric,omitempty"` // its [eval] metric, if that is not the loss
	Stale      int     `json:"stale,omitempty"`       // evaluations since the best one

	Settled int `json:"settled,omitempty"` // step after which latent values were given up; 0: there are some, or never were
	Swaps   int `json:"swaps,omitempty"`   // atoms that [train.stf] has put in the place of others

	Averaged bool `json:"averaged,omitempty"` // the model is made of averages; see averages
}

// arrays views parameters as checkpoint arrays, without a copy.
func arrays(names []string, prefix string, get func(string) *tensor.Dense) []checkpoints.Array {
	out := make([]checkpoints.Array, 0, len(names))
	for _, n := range names {
		d := get(n)
		out = append(out, checkpoints.Array{Name: prefix + n, Shape: d.Shape(), Data: d.Data()})
	}
	return out
}

// modelArrays views all of a model: parameters, those stored in few bits as copies
// unless they are so in memory, then fixed integers, of which those of dense_sparse layers are packed copies, then
// the frozen weights of lora layers.
func modelArrays(s *nn.Store) []checkpoints.Array {
	var out []checkpoints.Array
	for _, n := range s.Names() {
		if s.Quantization(n).Bits > 0 {
			out = append(out, packedArrays(n, s.Shape(n), s.Codes(n))...)
		} else {
			out = append(out, arrays([]string{n}, "", s.Get)...)
		}
	}
	for _, n := range s.IndexNames() {
		out = append(out, checkpoints.Array{Name: n, Shape: []int{len(s.Index(n))}, Data: s.Index(n)})
	}
	for _, n := range s.AtomNames() {
		a := s.Atoms(n)
		out = append(out, checkpoints.Array{Name: n, Shape: []int{a.PackedLen()}, Data: a.Pack()})
	}
	return append(out, baseArrays(s)...)
}

// unpack takes the packed indices of dense_sparse layers, and the values of codes, over from arrays that a checkpoint has
// filled. Arrays that are not there change nothing.
func unpack(s *nn.Store, filled map[string]checkpoints.Array) error {
	for _, n := range s.AtomNames() {
		if a, ok := filled[n]; ok {
			if err := s.Atoms(n).Unpack(a.Data.([]uint8)); err != nil {
				return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, n, err)
			}
		}
	}
	for _, n := range s.Names() {
		q := s.Quantization(n)
		switch {
		case s.InFewBits(n):
			if err := s.Codes(n).Check(); err != nil {
				return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, n, err)
			}
		case q.Bits > 0:
			if err := unpackValues(s.Get(n).Float32s(), n, q, filled); err != nil {
				return err
			}
		}
	}
	for _, n := range s.BaseNames() {
		if b := s.Base(n); b.Stored.Bits > 0 && filled[n+codesSuffix].Data != nil {
			if err := b.Codes.Check(); err != nil {
				return fmt.Errorf("%w: %s: %w", checkpoints.ErrCheckpoint, n, err)
			}
		}
	}
	return nil
}

func byName(as []checkpoints.Array) map[string]checkpoints.Array {
	m := make(map[string]checkpoints.Array, len(as))
	for _, a := range as {
		m[a.Name] = a
	}
	return m
}

func (o *AdamW) arrays() []checkpoints.Array {
	return slices.Concat(
		arrays(o.names, "mean.", func(n string) *tensor.Dense { return o.mean[n] }),
		arrays(o.names, "square.", func(n string) *tensor.Dense { return o.square[n] }))
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
	c, err := Contents(t.cfg, t.task, t.store, map[string][]byte{"state.json": state})
	if err != nil {
		return err
	}
	c.Step, c.Parent = t.state.Step, t.parent
	c.Arrays["model.npz"] = t.kept(c.Arrays["model.npz"])
	c.Arrays["optimizer.npz"] = slices.Concat(t.optimizer.arrays(), t.averages.arrays(), t.straight.arrays())
	return checkpoints.Write(checkpoints.StepDir(t.dir, t.state.Step), c)
}

// restore continues from a checkpoint of this very run, whose base is nil unless
// it is an adapter's.
func (t *Trainer) restore(c, base *checkpoints.Checkpoint) error {
	var err error
	if t.state, err = readState(c); err != nil {
		return err
	}
	if t.inherited, err = readModel(c, base, t.store); err != nil {
		return err
	}
	if t.state.Averaged != (t.averages != nil) {
		return fmt.Errorf("%w: the run was begun with averages of weights: %t, and [train] ema = %g; want it on or off as it was", ErrUsage, t.state.Averaged, t.cfg.Train.EMA)
	}
	if t.state.Settled > 0 && t.straight != nil {
		if err := t.settle(); err != nil {
			return err
		}
	}
	if err := c.ReadInto("optimizer.npz", byName(slices.Concat(t.optimizer.arrays(), t.averages.arrays(), t.straight.arrays()))); err != nil {
		return err
	}
	if t.averages != nil {
		t.averages.swap()
	}
	t.parent = c.Manifest().Parent
	return t.stream.Seek(t.state.Cursor)
}

// readModel fills the store, which must have exactly the arrays of model.npz or,
// of an adapter, of that and its base. It returns the names of the base's arrays.
func readModel(c, base *checkpoints.Checkpoint, s *nn.Store) (inherited map[string]bool, err error) {
	if base != nil {
		return readAdapter(c, base, s)
	}
	arrays := byName(modelArrays(s))
	if err := c.ReadInto("model.npz", arrays); err != nil {
		return nil, err
	}
	if err := unpack(s, arrays); err != nil {
		return nil, err
	}
	return nil, s.CheckIndices()
}

func readState(c *checkpoints.Checkpoint) (State, error) {
	var s State
	text, err := c.File("state.json")
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("train: %s/state.json: %w", c.Dir(), err)
	}
	return s, nil
}

// initFrom loads the weights of another checkpoint that match in name and shape.
func (t *Trainer) initFrom(path string) error {
	from, err := Take(path, t.store)
	if err != nil {
		return err
	}
	t.inherited, t.parent = from.Arrays, from.Checkpoint.Lineage()
	t.Message("starting from %s: %d weights taken", from.Checkpoint.Dir(), len(from.Loaded))
	if n := len(t.store.BaseNames()); n > 0 {
		t.Message("  frozen: the bases of %d lora layers, %s values in %s; checkpoints hold only what trains", n,
			metrics.Count(t.store.BaseParameters()), bytesText(float64(t.store.BaseBytes())))
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

// ErrNotFound marks a path that leads to no checkpoint.
var ErrNotFound = shell.Sentinel(shell.ExitUsage, "no checkpoint to use")

// Find returns the checkpoint folder that path means: path itself, or of a run
// its best checkpoint by validation loss, or with last its newest. A path that
// is neither, or a run without a checkpoint, matches ErrNotFound.
func Find(path string, last bool) (string, error) {
	if _, err := os.Stat(filepath.Join(path, "manifest.json")); err == nil {
		return path, nil
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%w: %s is neither a run nor a checkpoint: there is no such folder", ErrNotFound, path)
	}
	all, err := checkpoints.List(path)
	if err != nil {
		return "", err
	}
	switch {
	case len(all) == 0 && isRun(path):
		return "", fmt.Errorf("%w: %s has no complete checkpoint yet; continue it by: %s", ErrNotFound, path, resumeCommand(path))
	case len(all) == 0:
		return "", fmt.Errorf("%w: %s is neither a run nor a checkpoint: it has no config.toml and no manifest.json", ErrNotFound, path)
	}
	newest := all[len(all)-1]
	if last {
		return newest, nil
	}
	c, err := checkpoints.Open(newest)
	if err != nil {
		return "", err
	}
	s, err := readState(c)
	if err != nil {
		return "", err
	}
	if best := checkpoints.StepDir(path, s.BestStep); s.BestStep > 0 && slices.Contains(all, best) {
		return best, nil
	}
	return newest, nil
}

// kept are those arrays of the model that the run's checkpoints hold: all, or of an adapter those that its base does not have
// or that train.
func (t *Trainer) kept(all []checkpoints.Array) []checkpoints.Array {
	if !t.cfg.adapter() {
		return all
	}
	return slices.DeleteFunc(all, func(a checkpoints.Array) bool {
		return t.inherited[a.Name] && !slices.Contains(t.optimizer.Names(), a.Name)
	})
}
