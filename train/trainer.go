package train

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/group"
	"sparrow/kernel"
	"sparrow/metrics"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
	"sparrow/train/optim"
	"sparrow/train/stf"
)

// Trainer is one run: the model, its data and the folder that records it.
type Trainer struct {
	cfg         recipe.Config
	dir         string
	out         io.Writer // log and progress
	task        task.Task
	known       saved.Options // the kinds by which its models are opened
	facts       task.Facts
	dims        model.Dims
	solved      task.Solved // the task, if it is solved in rounds: nothing of optimizers and gradients is there then
	last        int         // step or round
	stream      task.Stream // of training data
	store       *nn.Store
	grads       *nn.Gradients   // of a step; nil with per-layer updates
	sink        op.Sink         // where the model's gradients go: grads or layers
	layers      *layerUpdates   // nil without
	stf         *stf.Factorizer // nil without latent values
	session     *model.Session
	optimizer   optim.Optimizer
	schedule    optim.Schedule
	averages    *optim.Averages // nil without [train] ema
	teacher     *model.Session  // nil without [train.distill]
	state       saved.State
	stopping    func() bool   // whether Run was asked to stop
	start       float64       // validation loss before the first step; 0: not measured
	trainLoss   float64       // of the last step
	startMetric float64       // [eval] metric before the first step
	classes     *task.Classes // of the last evaluation; nil: there are none
	plan        MemoryPlan
	parent      *checkpoints.Lineage
	inherited   map[string]bool                   // arrays that came from the parent
	progress    atomic.Pointer[progress.Progress] // while Run runs
	unlock      func()                            // gives the folder back, when Run ends
	group       *group.Group                      // processes that share each step; nil: this one alone
	zero        *optim.Shared                     // the optimizer, if its state is dealt to the group; else nil
	shards      *shards                           // nil without [train] shards
	asked       func() bool                       // whether this process was asked to stop
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

// Step is how many updates the run has made; what Run asks may ask it.
func (t *Trainer) Step() int { return t.state.Step }

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
	return newRun(ctx, cfg, dir, force, origin{known: l.Known, like: l}, out)
}

// origin is what the task of a run comes from.
type origin struct {
	known saved.Options
	like  *saved.Model // the run reads its data as this does; nil: by itself
	group *group.Group // nil: this process alone
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
	leads := from.group.Rank() == 0
	if leads {
		if err := vacant(dir, force); err != nil {
			return nil, err
		}
	}
	if err := checkBased(cfg); err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	own, err := from.task(cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	t, err := prepare(ctx, cfg, dir, own, from, out, nil)
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
	if t.unlock = func() {}; !leads {
		return t, nil
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

// initialize puts values that the data brings into a new network.
func (t *Trainer) initialize() error {
	if x, ok := t.task.(task.Initializer); ok {
		return x.Init(t.session)
	}
	return nil
}

// prepare builds everything in memory. fill, if there is one, gives the declared store its values, of which else the first ones are
// drawn.
func prepare(ctx context.Context, cfg recipe.Config, dir string, own task.Task, from origin, out io.Writer, fill func(*nn.Store) error) (*Trainer, error) {
	t := &Trainer{cfg: cfg, dir: dir, out: out, stopping: func() bool { return false }, task: own, known: from.known, group: from.group}
	plan, err := examine(ctx, cfg, own, from.known)
	if err != nil {
		return nil, err
	}
	if t.dims, err = own.Dims(); err != nil {
		return nil, err
	}
	t.facts = own.Facts()
	t.plan = plan
	if err := t.countSteps(); err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	t.schedule = optim.ScheduleOf(t.cfg.Train)
	defer plan.limitGarbage()()
	t.Message("data: %s", t.facts.Line)
	if per := t.pass(); per > 0 {
		t.Message("one pass over the training data: %d steps", per)
	}
	t.store = nn.NewStore(tensor.Float32)
	t.state.Corpus = t.facts.Hash
	if t.solved, err = solvedOf(own, cfg); err == nil && t.solved == nil {
		err = t.prepareSteps(fill)
	} else if err == nil && t.group.Size() > 1 {
		err = fmt.Errorf("[task] kind = %q is solved in rounds, by one process; this is one of %d", cfg.Task.Kind, t.group.Size())
	} else if err == nil {
		t.session, err = t.newSession(fill)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", task.ErrUsage, err)
	}
	t.last = lastStep(t.cfg, t.solved)
	if cfg.Train.Reads() == kernel.BFloat16 && !kernel.BFloat16Native() {
		t.Message("precision: bfloat16, which this processor does not multiply (%s): values are rounded to it and multiplied in float32, slower than precision = \"float32\"", kernel.ISA())
	}
	t.Message("model: %s, %s, %s parameters; %s", cfg.Model.Name, cfg.Model.Body().Layout(),
		metrics.Count(t.store.Parameters()+t.store.BaseParameters()), plan.Summary())
	return t, nil
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
