package train

import (
	"context"

	"sparrow/model"
	"sparrow/nn"
	"sparrow/task"
	"sparrow/train/optim"
	"sparrow/train/stf"
)

// prepareSteps builds what steps of an optimizer take: the session with its gradients, the stream, moments and averages.
func (t *Trainer) prepareSteps(fill func(*nn.Store) error) (err error) {
	cfg := t.cfg
	t.grads = nn.NewGradients(t.store)
	if t.shards, err = shardsOf(cfg.Train, t.store, t.group); err != nil {
		return err
	}
	var layers *nn.LayerGradients
	if t.sink = t.grads; t.shards != nil {
		t.sink = t.shards.sum
	}
	if cfg.Train.PerLayerUpdate {
		t.grads, layers = nil, nn.NewLayerGradients(t.store)
		t.sink = layers
	}
	t.stf = stf.New(cfg.Train, t.store)
	if t.teacher, err = openTeacher(cfg, t.facts.Files, t.dims, t.known); err != nil {
		return err
	}
	if t.session, err = t.newSession(fill); err == nil {
		err = t.feed()
	}
	if err == nil {
		err = t.stf.Begin()
	}
	if err != nil {
		return err
	}
	own := func(name string) bool { return !t.stf.Owns(name) }
	if t.optimizer = nil; cfg.Train.ZeRO > 0 && t.group.Size() > 1 {
		t.zero = optim.NewShared(cfg.Train, t.store, own, t.group)
		t.optimizer = t.zero
	} else {
		t.optimizer = optim.NewOf(cfg.Train, t.store, own)
	}
	if t.optimizer, err = newRows(cfg, t.optimizer, t.store); err != nil {
		return err
	}
	if layers != nil {
		t.layers = newLayerUpdates(t.store, t.optimizer, layers, t.diverged)
	}
	if cfg.Train.EMA > 0 {
		t.averages = optim.NewAverages(cfg.Train.EMA, t.store, t.optimizer.Names())
	}
	t.state.Averaged = t.averages != nil
	return nil
}

// feed starts the stream of training data into the session's programs. The data has been read.
func (t *Trainer) feed() (err error) {
	t.stream, err = task.Batches(context.Background(), t.task, t.session, task.Feed{Mode: model.Train, Split: task.Training, Seed: t.cfg.Seed, Rows: t.cfg.Train.MicroBatch()})
	return err
}

// newSession prepares to run the network over the store, which fill, if there is one, fills when it is declared.
func (t *Trainer) newSession(fill func(*nn.Store) error) (*model.Session, error) {
	n, err := networkOf(t.cfg, t.dims)
	if err != nil {
		return nil, err
	}
	opts := t.cfg.Model.Represented(model.Options{Seed: t.cfg.Seed})
	if t.solved == nil {
		opts.Sink, opts.Frozen, opts.Sites = t.sink, t.cfg.Train.Frozen, stageOutputs(t.cfg.Model.Body())
		opts.Precision = t.cfg.Train.Reads()
		t.stf.Apply(&opts)
	}
	if fill != nil {
		if err := model.Declare(n, t.store, opts); err != nil {
			return nil, err
		}
		if err := fill(t.store); err != nil {
			return nil, err
		}
	}
	return model.NewSession(n, t.store, opts)
}

// beginSTF starts what [train.stf] trains, if there is such a table.
func (t *Trainer) beginSTF(ctx context.Context) error {
	if t.cfg.Train.STF == nil {
		return nil
	}
	made, err := stf.Start(ctx, t.cfg.Train, t.cfg.Seed, t.store, t.stf, t.inherited)
	if made > 0 && err == nil {
		t.Message("[train.stf] factorized: %d dense layers", made)
	}
	return err
}

// turn makes latent values settle when their steps are done.
func (t *Trainer) turn() error {
	if t.stf.Latents() == nil || t.state.Step != t.cfg.Train.Settles() {
		return nil
	}
	t.Message("step %d: [train.stf] the choice of atoms is fixed, their values and dictionaries train", t.state.Step)
	t.state.Settled = t.state.Step
	return t.settle()
}

// settle continues without latent values, in a session of its own.
func (t *Trainer) settle() (err error) {
	if err := t.stf.Settle(t.state.Settled); err != nil {
		return err
	}
	if t.session, err = t.newSession(nil); err != nil {
		return err
	}
	at := t.stream.Cursor()
	if err := t.feed(); err != nil {
		return err
	}
	return t.stream.Seek(at)
}
