package train

import (
	"context"
	"errors"
	"fmt"

	"sparrow/model"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// Preview is what a run would be.
type Preview struct {
	Data string // one line
	Plan MemoryPlan
	Fits error // nil, or why this machine would refuse the run

	dims model.Dims
}

// Look checks a config and plans its memory without memory for a model, so that runs can be planned that this machine
// could not hold. The corpus is read only if its vocabulary cannot be known without (tokenizer = "char"). What it
// accepts, [New] accepts, except for a run that does not fit, a text that cannot be read or is too short, a prompt that
// is too long for a tokenizer still to be trained, a folder that is in use and an init_from of another shape. known are kinds as
// New has them.
func Look(ctx context.Context, cfg recipe.Config, known ...saved.Options) (p Preview, err error) {
	return look(ctx, cfg, origin{known: saved.Known(known...)})
}

// LookFrom is [Look] of a run that [NewFrom] would begin.
func LookFrom(ctx context.Context, l *saved.Model, cfg recipe.Config) (Preview, error) {
	return look(ctx, cfg, origin{known: l.Known, like: l})
}

func look(ctx context.Context, cfg recipe.Config, from origin) (p Preview, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", task.ErrUsage, err)
		}
	}()
	if err := checkBased(cfg); err != nil {
		return p, err
	}
	o := from.known
	t, err := from.task(cfg, nil)
	if err != nil {
		return p, err
	}
	if p.dims, err = survey(ctx, t); err != nil {
		return p, err
	}
	p.Data = t.Facts().Line
	if p.Plan, err = planTask(cfg, t, p.dims, o, recipe.Buildable); err != nil {
		return p, err
	}
	p.Fits = p.Plan.Fits()
	if err := check(t); err != nil {
		return p, err
	}
	return p, checkInitFrom(cfg)
}

// survey finds out the sizes of a task's network, without reading the data where that can be avoided.
func survey(ctx context.Context, t task.Task) (model.Dims, error) {
	if s, ok := t.(task.Surveyor); ok {
		if err := s.Survey(ctx); err != nil {
			return model.Dims{}, err
		}
		if dims, err := t.Dims(); !errors.Is(err, task.ErrUnread) {
			return dims, err
		}
	}
	if err := t.Read(ctx); err != nil {
		return model.Dims{}, err
	}
	return t.Dims()
}
