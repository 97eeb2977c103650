package train

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/metrics"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// Trainer is one run: the model, its data and the folder that records it.
type Trainer struct {
	cfg       recipe.Config
	dir       string
	out       io.Writer // log and progress
	task      task.Task
	known     saved.Options // the kinds by which its models are opened
	facts     task.Facts
	dims      model.Dims
	solved    task.Solved // the task, if it is solved in rounds: nothing of optimizers and gradients is there then
	last      int         // step or round
	stream    task.Stream // of training data
	store     *nn.Store
	grads     *nn.Gradients // of a step; nil with per-layer updates
	sink      op.Sink       // where the model's gradients go: grads or layers
	layers    *layerUpdates // nil without
	straight  *straight     // nil without latent values
	session   *model.Session
	optimizer Optimizer
	schedule  Schedule
	averages  *averages      // nil without [train] ema
	teacher   *model.Session // nil without [train.distill]
	state     saved.State
	plan      MemoryPlan
	parent    *checkpoints.Lineage
	inherited map[string]bool                  // arrays that came from the parent
	progress  atomic.Pointer[metrics.Progress] // while Run runs
	unlock    func()                           // gives the folder back, when Run ends
}

// Message prints a line for the user: above the progress bar, if there is one.
// It may be called from any goroutine.
func (t *Trainer) Message(format string, args ...any) {
	if p := t.progress.Load(); p != nil {
		p.Message(format, args...)
		return
	}
	fmt.Fprintf(t.out, format+"\n", args...)
}

// CloseProgress ends the progress bar, if there is one, before the process ends
// in the middle of a run. It may be called from any goroutine.
func (t *Trainer) CloseProgress() {
	if p := t.progress.Load(); p != nil {
		p.Close()
	}
}

// New prepares a fresh run of cfg in dir, which is created when everything is
// known to be in order. A folder with anything in it is refused unless force is
// given, which replaces an earlier run. It is held until Run returns: nobody else
// can begin or continue a run there. Log and progress go to out. known are the tasks, and the kinds of configs that are read,
// without it those that come with the program.
func New(ctx context.Context, cfg recipe.Config, dir string, force bool, out io.Writer, known ...saved.Options) (*Trainer, error) {
	return newRun(ctx, cfg, dir, force, origin{known: saved.Known(known...)}, out)
}

// NewFrom is [New] of a run that reads its data as a model does, with its tokenizer and labels.
func NewFrom(ctx context.Context, l *saved.Model, cfg recipe.Config, dir string, force bool, out io.Writer) (*Trainer, error) {
	return newRun(ctx, cfg, dir, force, origin{l.Known, l}, out)
}

// origin is what the task of a run comes from.
type origin struct {
	known saved.Options
	like  *saved.Model // the run reads its data as this does; nil: by itself
}

// task is that of a config, with what c, a checkpoint of its own run, keeps of its data; of a run like a model with what the
// model keeps.
func (o origin) task(cfg recipe.Config, c *checkpoints.Checkpoint) (task.Task, error) {
	switch {
	case o.like != nil:
		return o.like.Open(cfg)
	case c != nil:
		return o.known.Task(cfg, c)
	}
	return o.known.Task(cfg, nil)
}

func newRun(ctx context.Context, cfg recipe.Config, dir string, force bool, from origin, out io.Writer) (*Trainer, error) {
	if err := vacant(dir, force); err != nil {
		return nil, err
	}
	if err := checkBased(cfg); err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	own, err := from.task(cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	t, err := prepare(ctx, cfg, dir, own, from.known, out)
	if err != nil {
		return nil, err
	}
	if err := t.initialize(); err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	if cfg.Train.InitFrom != "" {
		if err := t.initFrom(cfg.Train.InitFrom); err != nil {
			return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
		}
	}
	if err := t.beginSTF(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	if t.unlock, err = lock(dir, "or choose another folder with -o"); err != nil {
		return nil, err
	}
	err = vacant(dir, force) // somebody else may have begun and ended while this one was prepared
	if err == nil && force {
		err = clean(dir)
	}
	if err == nil {
		err = t.create()
	}
	if err != nil {
		t.unlock()
		return nil, err
	}
	return t, nil
}

// lock holds a run's folder. What else there is to do than to wait is said where somebody else holds it.
func lock(dir, otherwise string) (unlock func(), err error) {
	if unlock, err = checkpoints.Lock(dir); err != nil {
		err = fmt.Errorf("%w: %s is %w: wait until that has ended, %s", task.ErrUsage, dir, err, otherwise)
	}
	return unlock, err
}

// vacant refuses a folder that holds something.
func vacant(dir string, force bool) error {
	empty, err := checkpoints.Empty(dir, "config.toml")
	switch {
	case err != nil:
		return fmt.Errorf("%w: -o %s: %w", task.ErrUsage, dir, err)
	case empty:
		return nil
	case !saved.IsRun(dir):
		return fmt.Errorf("%w: %s is not empty and not a run: choose another folder with -o", task.ErrUsage, dir)
	case !force:
		return fmt.Errorf("%w: %s holds a run already: continue it by: %s; or replace it with --force, or choose another folder with -o", task.ErrUsage, dir, saved.ResumeCommand(dir))
	}
	return nil
}

// clean removes what an earlier run left in its folder, and nothing else.
func clean(dir string) error {
	events, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	for _, path := range append(events, filepath.Join(dir, "checkpoints"), filepath.Join(dir, "metrics.csv"),
		filepath.Join(dir, "log.jsonl"), filepath.Join(dir, "loss.svg"), filepath.Join(dir, "run.json"), filepath.Join(dir, "config.toml")) {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

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
	return resume(ctx, dir, "", nil, origin{l.Known, l}, out)
}

// resume is Resume of a run that newRun began with from.
func resume(ctx context.Context, dir, base string, set []string, from origin, out io.Writer) (t *Trainer, done bool, err error) {
	if !saved.IsRun(dir) {
		return nil, false, fmt.Errorf("%w: %s is not a run: it has no config.toml", task.ErrUsage, dir)
	}
	unlock, err := lock(dir, "or stop it")
	if err != nil {
		return nil, false, err
	}
	if t, done, err = resumeLocked(ctx, dir, base, set, from, out); t == nil || err != nil {
		unlock()
		return nil, done, err
	}
	t.unlock = unlock
	return t, done, nil
}

// resumeLocked is resume of a run that nobody else continues.
func resumeLocked(ctx context.Context, dir, base string, set []string, from origin, out io.Writer) (t *Trainer, done bool, err error) {
	cfg, err := recipe.Load(filepath.Join(dir, "config.toml"), set, from.known.Lists)
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
		own, err := from.task(cfg, nil)
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", task.ErrUsage, err)
		}
		if t, err = prepare(ctx, cfg, dir, own, from.known, out); err == nil {
			if err = t.initialize(); err != nil {
				err = fmt.Errorf("%w: %w", task.ErrUsage, err)
			}
		}
		if err == nil && cfg.Train.InitFrom != "" {
			err = t.initFrom(cmp.Or(base, cfg.Train.InitFrom))
		}
		if err == nil {
			err = t.beginSTF(ctx)
		}
		if err == nil {
			t.Message("no checkpoint yet: starting at step 0")
			err = t.create()
		}
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
	if last := lastStep(cfg, solved); state.Step >= last || exhausted(cfg.Train, state) {
		longer := "train.steps=N"
		if state.Step < last {
			longer = "train.patience=0"
		} else if solved != nil {
			fmt.Fprintf(out, "%s has ended already, with all its rounds\n", dir)
			return nil, true, nil
		}
		fmt.Fprintf(out, "%s has ended already; train it longer by: %s\n", dir, saved.ResumeCommand(dir, "--set", longer))
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
	if t, err = prepare(ctx, cfg, dir, own, from.known, out); err != nil {
		return nil, false, err
	}
	if err := t.restore(c, parent); err != nil {
		if !saved.SameWeights(c.Manifest(), t.store, t.cfg.Adapter()) { // the config has changed, the checkpoint is sound
			err = fmt.Errorf("%w: %w", task.ErrUsage, err)
		}
		return nil, false, err
	}
	if err := setAside(saved.NewerThan(damaged, newest), t.Message); err != nil {
		return nil, false, err
	}
	t.Message("continuing %s at step %d of %d", dir, t.state.Step, t.last)
	t.warnChanges()
	return t, false, t.create()
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

// initialize puts values that the data brings into a new network.
func (t *Trainer) initialize() error {
	if x, ok := t.task.(task.Initializer); ok {
		return x.Init(t.session)
	}
	return nil
}

// prepare builds everything in memory.
func prepare(ctx context.Context, cfg recipe.Config, dir string, own task.Task, known saved.Options, out io.Writer) (*Trainer, error) {
	t := &Trainer{cfg: cfg, dir: dir, out: out, task: own, known: known, schedule: scheduleOf(cfg.Train)}
	plan, err := examine(ctx, cfg, own, known)
	if err != nil {
		return nil, err
	}
	if t.dims, err = own.Dims(); err != nil {
		return nil, err
	}
	t.facts = own.Facts()
	t.plan = plan
	defer plan.limitGarbage()()
	t.Message("data: %s", t.facts.Line)
	t.store = nn.NewStore(tensor.Float32)
	t.state.Corpus = t.facts.Hash
	if t.solved, err = solvedOf(own, cfg); err == nil && t.solved == nil {
		err = t.prepareSteps()
	} else if err == nil {
		t.session, err = cfg.Model.NewSession(t.dims, t.store, model.Options{Seed: cfg.Seed})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	t.last = lastStep(cfg, t.solved)
	t.Message("model: %s, %s, %s parameters; %s", cfg.Model.Name, cfg.Model.Body().Layout(),
		metrics.Count(t.store.Parameters()+t.store.BaseParameters()), plan.Summary())
	return t, nil
}

// prepareSteps builds what steps of an optimizer take: the session with its gradients, the stream, moments and averages.
func (t *Trainer) prepareSteps() (err error) {
	cfg := t.cfg
	t.grads = nn.NewGradients(t.store)
	var layers *nn.LayerGradients
	if t.sink = t.grads; cfg.Train.PerLayerUpdate {
		t.grads, layers = nil, nn.NewLayerGradients(t.store)
		t.sink = layers
	}
	t.straight = newStraight(cfg.Train, t.store)
	if t.teacher, err = openTeacher(cfg.Train.Distill, t.facts.Files, t.dims, t.known); err != nil {
		return err
	}
	if t.session, err = t.newSession(); err == nil {
		err = t.feed()
	}
	if err == nil {
		err = t.straight.begin()
	}
	if err != nil {
		return err
	}
	t.optimizer = newOptimizer(cfg.Train, t.store, func(name string) bool { return !t.straight.owns(name) })
	if layers != nil {
		t.layers = newLayerUpdates(t.store, t.optimizer, layers, t.diverged)
	}
	if cfg.Train.EMA > 0 {
		t.averages = newAverages(cfg.Train.EMA, t.store, t.optimizer.Names())
	}
	t.state.Averaged = t.averages != nil
	return nil
}

// feed starts the stream of training data into the session's programs. The data has been read.
func (t *Trainer) feed() (err error) {
	t.stream, err = task.Batches(context.Background(), t.task, t.session, task.Feed{Mode: model.Train, Split: task.Training, Seed: t.cfg.Seed})
	return err
}

// newSession prepares to run the network over the store.
func (t *Trainer) newSession() (*model.Session, error) {
	n, err := networkOf(t.cfg, t.dims)
	if err != nil {
		return nil, err
	}
	opts := model.Options{Seed: t.cfg.Seed, Linear: t.cfg.Model.Linear, Sink: t.sink, Frozen: t.cfg.Train.Frozen, Sites: stageOutputs(t.cfg.Model.Body())}
	t.straight.apply(&opts)
	return model.NewSession(n, t.store, opts)
}

// trainable is the number of the model's values that train.
func (t *Trainer) trainable() int {
	n := 0
	for _, name := range t.store.Names() {
		if !t.cfg.Train.Frozen(name) {
			n += t.store.Shape(name).TotalSize()
		}
	}
	return n
}

// create writes the run's resolved config and run.json.
func (t *Trainer) create() error {
	text, err := configs.Encode(t.cfg)
	if err != nil {
		return err
	}
	if err := checkpoints.WriteFileAtomic(filepath.Join(t.dir, "config.toml"), text); err != nil {
		return err
	}
	return t.record(text)
}
