package train

import (
	"context"
	"fmt"
	"slices"

	"sparrow/checkpoints"
	"sparrow/data"
)

// Examine checks all of a config that can be checked without memory for a model
// and without a folder for the run: what it accepts, [New] accepts, except for a
// folder that is in use and an init_from of another shape.
func Examine(ctx context.Context, cfg Config) (*data.Dataset, MemoryPlan, error) {
	d, plan, err := examine(ctx, cfg, nil)
	if err == nil {
		err = cfg.checkInitFrom()
	}
	return d, plan, err
}

// checkInitFrom refuses an init_from that leads to no sound checkpoint.
func (c Config) checkInitFrom() error {
	if c.Train.InitFrom == "" {
		return nil
	}
	dir, err := Find(c.Train.InitFrom, false)
	if err == nil {
		_, err = checkpoints.Open(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: init_from: %w", ErrUsage, err)
	}
	return nil
}

// examine opens the data, with the given tokenizer if it is not nil, and plans
// the memory.
func examine(ctx context.Context, cfg Config, tokenizer data.Tokenizer) (d *data.Dataset, plan MemoryPlan, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}()
	if tokenizer == nil {
		d, err = data.Open(ctx, cfg.Data)
	} else {
		d, err = data.OpenWith(ctx, cfg.Data, tokenizer)
	}
	if err != nil {
		return nil, MemoryPlan{}, err
	}
	if plan, err = PlanMemory(cfg, d.Tokenizer.VocabSize()); err != nil {
		return d, plan, err
	}
	plan = plan.inProcess(cfg, d.TextBytes())
	if err := plan.Fits(); err != nil {
		return d, plan, err
	}
	return d, plan, cfg.checkSample(d.Tokenizer)
}

// checkSample refuses at the start a prompt that would fail at the end.
func (c Config) checkSample(tokenizer data.Tokenizer) error {
	if c.Sample.Prompt == "" {
		return nil
	}
	ids, err := tokenizer.Encode(c.Sample.Prompt)
	if err != nil {
		return fmt.Errorf("[sample] prompt = %q: %w", c.Sample.Prompt, err)
	}
	if n := c.longest(); n > 0 && len(ids) >= n {
		return fmt.Errorf("[sample] prompt = %q is %d tokens long; learned positions end at %d: want a shorter one", c.Sample.Prompt, len(ids), n)
	}
	return nil
}

// checkFreeze refuses patterns that match none of the parameters' names.
func (c LoopConfig) checkFreeze(names []string) error {
	for _, f := range c.Freeze {
		if !slices.ContainsFunc(names, LoopConfig{Freeze: []FreezeConfig{f}}.frozen) {
			return fmt.Errorf("[[train.freeze]] match = %q: no parameter has such a name", f.Match)
		}
	}
	return nil
}
