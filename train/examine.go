package train

import (
	"context"
	"fmt"
	"slices"

	"sparrow/checkpoints"
	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/saved"
	"sparrow/task"
)

// checkBased refuses a new run whose frozen weights would stay as they were drawn.
func checkBased(c recipe.Config) error {
	i := slices.IndexFunc(c.Model.Linear, recipe.IsBased)
	if i < 0 || c.Train.InitFrom != "" {
		return nil
	}
	return fmt.Errorf("[[model.linear]] match = %q: kind = \"lora\" wants [train] init_from: its base is frozen, and would stay random", c.Model.Linear[i].Match)
}

// checkInitFrom refuses an init_from that leads to no sound checkpoint.
func checkInitFrom(c recipe.Config) error {
	if c.Train.InitFrom == "" {
		return nil
	}
	dir, err := saved.Find(c.Train.InitFrom, false)
	if err == nil {
		_, err = checkpoints.Open(dir)
	}
	if err != nil {
		return fmt.Errorf("init_from: %w", err)
	}
	return nil
}

// examine reads a task's data and plans the memory.
func examine(ctx context.Context, cfg recipe.Config, t task.Task, o saved.Options) (plan MemoryPlan, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", task.ErrUsage, err)
		}
	}()
	if err := t.Read(ctx); err != nil {
		return plan, err
	}
	dims, err := t.Dims()
	if err != nil {
		return plan, err
	}
	if plan, err = planTask(cfg, t, dims, o, recipe.Plausible); err != nil {
		return plan, err
	}
	if err := plan.Fits(); err != nil {
		return plan, err
	}
	return plan, check(t)
}

// planTask is the memory that a run of a task takes; refuse is asked first about what is not worth a plan.
func planTask(cfg recipe.Config, t task.Task, dims model.Dims, o saved.Options, refuse func(recipe.Config, model.Dims, int, float64) error) (plan MemoryPlan, err error) {
	solved, err := solvedOf(t, cfg)
	if err != nil {
		return plan, err
	}
	_, length := t.Longest()
	shapes := []model.Shape{{}}
	if solved == nil {
		shapes = t.(task.Stepped).Shapes(cfg.Train.MicroBatch())
		length = task.Elements(shapes[0])
	}
	if err := refuse(cfg, dims, length, machine.Memory()); err != nil {
		return plan, err
	}
	if solved != nil {
		plan, err = planSolved(cfg, dims, length)
	} else {
		plan, err = planMemory(cfg, dims, shapes[0], o)
	}
	if err != nil {
		return plan, err
	}
	return plan.inProcess(cfg, t.Facts().Bytes, len(shapes)), nil
}

// check asks a task what would fail at the end.
func check(t task.Task) error {
	if c, ok := t.(task.Checker); ok {
		return c.Check()
	}
	return nil
}

// checkFreeze refuses patterns that match none of the parameters' names.
func checkFreeze(c recipe.Train, names []string) error {
	for _, f := range c.Freeze {
		if !slices.ContainsFunc(names, recipe.Train{Freeze: []recipe.Freeze{f}}.Frozen) {
			return fmt.Errorf("[[train.freeze]] match = %q: no parameter has such a name", f.Match)
		}
	}
	return nil
}

// checkQuantized refuses to train parameters that are stored in few bits: their steps would be lost in each checkpoint.
func checkQuantized(c recipe.Train, s *nn.Store) error {
	for _, name := range s.Names() {
		if q := s.Quantization(name); q.Bits > 0 && !c.Frozen(name) {
			return fmt.Errorf(`[[model.linear]] quantize = %q: %s does not train, since its values are stored in %d bits: leave quantize out to train in float32 (init_from takes the values of a quantized checkpoint), train a kind = "lora" layer whose base is %s, or keep the layer as it is by [[train.freeze]]`,
				q.Name(), name, q.Bits, q.Name())
		}
	}
	return nil
}
