package saved

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/configs"
	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

// Open is the task of another config for this model, which reads as the model does; what l.Task has read it shares where the
// data is the same.
func (l *Model) Open(cfg recipe.Config) (task.Task, error) {
	t, err := l.Known.Task(cfg, l.Files)
	if s, ok := t.(task.Sharer); ok && err == nil {
		s.Share(l.Task)
	}
	return t, err
}

// Elsewhere says on what else a model is to be measured than its config says.
type Elsewhere struct {
	File string   // a file with the columns of [data], whatever the model was trained on; "": a split
	Full bool     // all of it, not the subset of [eval]
	Set  []string // overrides of the model's config
}

// Elsewhere is the task by which the model is measured there. Overrides without an effect, and data for which the network or
// this machine has no room, are errors that match ErrUsage.
func (l *Model) Elsewhere(e Elsewhere) (task.Task, error) {
	cfg, err := l.override(e)
	if err != nil {
		return nil, err
	}
	t, err := l.Open(cfg)
	if err != nil {
		return nil, err
	}
	key, length := t.Longest()
	if n := l.Dims.Context; length > n {
		return nil, task.Refusef("[data] %s = %d is longer than the network's context of %d tokens", key, length, n)
	}
	if err := l.roomToScore(cfg, length); err != nil {
		return nil, task.Refusef("[train] batch_size = %d: %w", cfg.Train.BatchSize, err)
	}
	return t, nil
}

// override applies e to the model's config, as far as an evaluation depends on it; a key without an effect is a mistake.
func (l *Model) override(e Elsewhere) (recipe.Config, error) {
	cfg := l.Config
	filer, ok := l.Task.(task.Filer)
	if ok && e.File != "" {
		cfg = filer.On(e.File)
	}
	text, err := configs.Encode(cfg)
	if err != nil {
		return cfg, err
	}
	set := e.Set
	if e.Full && e.File != "" {
		set = append(slices.Clone(set), "data.max_examples=0") // a cap of the data that the model was trained on
	}
	err = configs.Decode(filepath.Join(l.Dir, "config.toml"), text, &cfg, configs.Options{Lists: Known(l.Known).Lists, Set: set, Encoded: true})
	if ok {
		if missing := filer.Columns(cfg); missing != nil {
			return cfg, missing
		}
	}
	if err != nil {
		return cfg, err
	}
	own, used := l.Config, cfg
	used.Name, used.Seed, used.Model, used.Checkpoint, used.Sample = own.Name, own.Seed, own.Model, own.Checkpoint, own.Sample
	used.Train, used.Eval.Every, used.Eval.Metric = own.Train, own.Eval.Every, own.Eval.Metric
	used.Train.BatchSize = cfg.Train.BatchSize
	if !reflect.DeepEqual(used, cfg) || !reflect.DeepEqual(own.Data.Kept(), cfg.Data.Kept()) {
		return cfg, task.Refusef("--set %s: an evaluation depends only on [data] (but for its tokenizer, regression and normalisation, which are the checkpoint's), eval.tokens, eval.examples and train.batch_size", strings.Join(e.Set, " --set "))
	}
	if e.Full {
		cfg.Eval.Tokens, cfg.Eval.Examples = 0, 0
	}
	return cfg, nil
}

// roomToScore refuses an evaluation in batches of rows of length tokens or pixels for which this machine's memory has no room.
func (l *Model) roomToScore(cfg recipe.Config, length int) error {
	dims := l.Dims
	if err := recipe.Buildable(cfg, dims, length, machine.Memory()); err != nil {
		return err
	}
	store := nn.NewStore(tensor.Float32)
	store.Virtual, store.Packed = true, l.Session.Store().Packed
	s, err := l.Config.Model.NewSession(dims, store, model.Options{})
	if err != nil {
		return err
	}
	p, err := s.Program(model.Score, dims.Shape(cfg.Train.BatchSize, length))
	if err != nil {
		return err
	}
	if need := float64(store.Bytes() + store.BaseBytes() + p.ActivationBytes()); need > machine.Memory() {
		return fmt.Errorf("an evaluation needs %s of memory and this machine has %s", machine.Bytes(need), machine.Bytes(machine.Memory()))
	}
	return nil
}
