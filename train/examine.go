package train

import (
	"context"
	"fmt"
	"slices"

	"sparrow/checkpoints"
	"sparrow/nn"
)

// checkBased refuses a new run whose frozen weights would stay as they were drawn.
func checkBased(c Config) error {
	i := slices.IndexFunc(c.Model.Linear, isBased)
	if i < 0 || c.Train.InitFrom != "" {
		return nil
	}
	return fmt.Errorf("[[model.linear]] match = %q: kind = \"lora\" wants [train] init_from: its base is frozen, and would stay random", c.Model.Linear[i].Match)
}

// checkInitFrom refuses an init_from that leads to no sound checkpoint.
func checkInitFrom(c Config) error {
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

// examine reads a task's data and plans the memory.
func examine(ctx context.Context, cfg Config, t Task) (plan MemoryPlan, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}()
	if err := t.Read(ctx); err != nil {
		return plan, err
	}
	dims, err := t.Dims()
	if err != nil {
		return plan, err
	}
	shapes := t.Shapes(cfg.Train.BatchSize)
	cfg.Data.SeqLen = elements(shapes[0])
	if err = plausible(cfg, dims, memoryLimit()); err != nil {
		return plan, err
	}
	if plan, err = planMemory(cfg, dims); err != nil {
		return plan, err
	}
	plan = plan.inProcess(cfg, t.Facts().Bytes, len(shapes))
	if err := plan.Fits(); err != nil {
		return plan, err
	}
	return plan, check(t)
}

// check asks a task what would fail at the end.
func check(t Task) error {
	if c, ok := t.(Checker); ok {
		return c.Check()
	}
	return nil
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
func checkFreeze(c LoopConfig, names []string) error {
	for _, f := range c.Freeze {
		if !slices.ContainsFunc(names, LoopConfig{Freeze: []FreezeConfig{f}}.frozen) {
			return fmt.Errorf("[[train.freeze]] match = %q: no parameter has such a name", f.Match)
		}
	}
	return nil
}

// checkQuantized refuses to train parameters that are stored in few bits: their steps would be lost in each checkpoint.
func checkQuantized(c LoopConfig, s *nn.Store) error {
	for _, name := range s.Names() {
		if q := s.Quantization(name); q.Bits > 0 && !c.frozen(name) {
			return fmt.Errorf(`[[model.linear]] quantize = %q: %s does not train, since its values are stored in %d bits: leave quantize out to train in float32 (init_from takes the values of a quantized checkpoint), train a kind = "lora" layer whose base is %s, or keep the layer as it is by [[train.freeze]]`,
				q.Name(), name, q.Bits, q.Name())
		}
	}
	return nil
}
