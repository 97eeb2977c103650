package train

import (
	"context"
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/data"
)

// checkBases refuses a new run whose frozen weights would stay as they were drawn.
func (c Config) checkBases() error {
	i := slices.IndexFunc(c.Model.Linear, isLoRA)
	if i < 0 || c.Train.InitFrom != "" {
		return nil
	}
	return fmt.Errorf("[[model.linear]] match = %q: kind = \"lora\" wants [train] init_from: its base is frozen, and would stay random", c.Model.Linear[i].Match)
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
		return fmt.Errorf("init_from: %w", err)
	}
	return nil
}

// examine opens the data, read as a checkpoint did if from is not nil, and plans
// the memory.
func examine(ctx context.Context, cfg Config, from *kept) (t task, plan MemoryPlan, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}()
	if t, err = openTask(ctx, cfg, from); err != nil {
		return nil, MemoryPlan{}, err
	}
	a := t.about()
	cfg.Data.SeqLen = a.seqLen
	if err = plausible(cfg, a.dims, memoryLimit()); err != nil {
		return t, plan, err
	}
	if plan, err = planMemory(cfg, a.dims); err != nil {
		return t, plan, err
	}
	plan = plan.inProcess(cfg, a)
	if err := plan.Fits(); err != nil {
		return t, plan, err
	}
	return t, plan, cfg.checkSample(a.tokenizer)
}

// checkSample refuses at the start a sample that would fail at the end: a prompt
// that cannot be read, and a text for which there is no room.
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
	perToken := c.Model.NLayer * c.Model.Attention.CacheBytesPerToken(c.Model.DModel, tensor.Float32, false)
	if err := cacheFits(float64(len(ids))+float64(c.room(len(ids), c.Sample.Tokens)), perToken); err != nil {
		return fmt.Errorf("[sample] tokens = %d: %w", c.Sample.Tokens, err)
	}
	return nil
}

// room is how many tokens, up to most, may follow a prompt.
func (c Config) room(prompt, most int) int {
	if n := c.longest(); n > 0 {
		return min(most, n-prompt)
	}
	return most
}

// cacheFits refuses a text whose key/value cache this machine has no memory for.
// Its length is a float64 because a sum of such integers may overflow.
func cacheFits(tokens float64, bytesPerToken int) error {
	if need := tokens * float64(bytesPerToken); need > memoryLimit() {
		return fmt.Errorf("the key/value cache needs %s and this machine has %s", bytesText(need), bytesText(memoryLimit()))
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
