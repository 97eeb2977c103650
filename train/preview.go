package train

import (
	"context"
	"errors"
	"fmt"

	"sparrow/model"
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
// is too long for a tokenizer still to be trained, a folder that is in use and an init_from of another shape.
func Look(ctx context.Context, cfg Config) (p Preview, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}()
	if err := checkBased(cfg); err != nil {
		return p, err
	}
	t, err := openTask(cfg, nil)
	if err != nil {
		return p, err
	}
	if p.dims, err = survey(ctx, t); err != nil {
		return p, err
	}
	facts, shapes := t.Facts(), t.Shapes(cfg.Train.BatchSize)
	p.Data = facts.Line
	cfg.Data.SeqLen = elements(shapes[0])
	if err := buildable(cfg, p.dims, memoryLimit()); err != nil {
		return p, err
	}
	if p.Plan, err = planMemory(cfg, p.dims); err != nil {
		return p, err
	}
	p.Plan = p.Plan.inProcess(cfg, facts.Bytes, len(shapes))
	p.Fits = p.Plan.Fits()
	if err := check(t); err != nil {
		return p, err
	}
	return p, checkInitFrom(cfg)
}

// survey finds out the sizes of a task's network, without reading the data where that can be avoided.
func survey(ctx context.Context, t Task) (model.Dims, error) {
	if s, ok := t.(Surveyor); ok {
		if err := s.Survey(ctx); err != nil {
			return model.Dims{}, err
		}
		if dims, err := t.Dims(); !errors.Is(err, ErrUnread) {
			return dims, err
		}
	}
	if err := t.Read(ctx); err != nil {
		return model.Dims{}, err
	}
	return t.Dims()
}

// maxPlanned is how many bytes a plan may have: sums of such numbers do not overflow.
const maxPlanned = 1 << 55

// buildable refuses what cannot even be planned: sizes whose products overflow, and graphs, token buffers and tables of
// angles that are larger than limit, since a plan makes those.
func buildable(cfg Config, dims model.Dims, limit float64) error {
	if err := plausible(cfg, dims, maxPlanned); err != nil {
		return err
	}
	need := float64(cfg.Model.NLayer)*graphBytes + 3*8*float64(cfg.Train.BatchSize)*float64(cfg.Data.SeqLen)
	if cfg.Model.Positions != "learned" {
		need += 4 * float64(dims.Context) * float64(cfg.Model.Attention.RotaryDim(cfg.Model.DModel))
	}
	if need > limit {
		return fmt.Errorf("the graph alone needs more than %s of memory and this machine has %s", bytesText(need), bytesText(limit))
	}
	return nil
}

// elements are the tokens or pixels of a row.
func elements(s model.Shape) int {
	if s.Height > 0 {
		return s.Height * s.Width
	}
	return s.Length
}
