package compress

import (
	"context"
	"fmt"
	"math"

	"sparrow/model"
	"sparrow/train"
)

// momentBatch is how many texts run at once where no gradient is wanted.
const momentBatch = 4

// calibrate fills stats with what the methods need, from the cache or from a pass over calibration data.
func (s *subject) calibrate(ctx context.Context) error {
	n := s.needs()
	if n.fisher {
		err := s.cached(ctx, "fisher", s.targets, s.cfg.Compress.Calibration.FisherBatch, func(c *collector) (map[string]*Statistics, error) {
			f := newFisherSums(s.targets, false)
			total, err := c.run(f.options(s.loaded.Session.Store()), func(train.CalibrationBatch) error { return nil })
			f.finish(total)
			return f.layers, err
		}, s.stats)
		if err != nil {
			return err
		}
		for _, t := range s.targets {
			if err := s.stats[t.Name].check(t.Name); err != nil {
				return err
			}
		}
	}
	if !n.moments {
		return nil
	}
	return s.cached(ctx, "moments", s.targets, momentBatch, func(c *collector) (map[string]*Statistics, error) {
		m := newMoments(s.targets)
		_, err := c.run(m.options(), func(b train.CalibrationBatch) error { return m.add(b.Program, b.Lengths) })
		m.finish()
		return m.layers, err
	}, s.stats)
}

// groupEntries bounds how many weights have Fisher information of their own in memory at once: 8 bytes each.
const groupEntries = 1 << 25

// entries returns the Fisher information of each weight of a target, which it computes for as many of the layers from
// that on as fit into memory.
func (s *subject) entries(ctx context.Context, t Target) ([]float64, error) {
	if got := s.group[t.Name]; got != nil {
		return got.Entries, nil
	}
	var group []Target
	n := 0
	for _, x := range s.targets {
		if len(group) == 0 && x.Name != t.Name || !newMethod(x.Method, s.cfg.Compress).needs().entries {
			continue
		}
		if n += x.DenseParams(); n > groupEntries && len(group) > 0 {
			break
		}
		group = append(group, x)
	}
	s.group = map[string]*Statistics{}
	for _, x := range group {
		s.group[x.Name] = &Statistics{}
	}
	err := s.cached(ctx, "entries", group, s.cfg.Compress.Calibration.FisherBatch, func(c *collector) (map[string]*Statistics, error) {
		f := newFisherSums(group, true)
		total, err := c.run(f.options(s.loaded.Session.Store()), func(train.CalibrationBatch) error { return nil })
		f.finish(total)
		return f.layers, err
	}, s.group)
	if err != nil {
		return nil, err
	}
	return s.group[t.Name].Entries, nil
}

// collector runs calibration data through the network.
type collector struct {
	ctx   context.Context
	s     *subject
	data  *train.Calibration
	kind  string
	batch int // texts a run
}

// run goes on until enough texts were seen and returns the number of their targets.
func (c *collector) run(opts model.Options, after func(train.CalibrationBatch) error) (int, error) {
	if err := c.data.Begin(opts); err != nil {
		return 0, err
	}
	steps := (c.s.cfg.Compress.Calibration.Examples + c.batch - 1) / c.batch
	unit := "texts"
	if c.s.loaded.Images != nil {
		unit = "images"
	}
	fmt.Fprintf(c.s.out, "%s: %d layers over %d %s (%s)\n", c.kind, len(c.s.targets), steps*c.batch, unit, c.data.Describe())
	progress := train.NewProgress(c.s.out, steps, 0)
	progress.Counts(unit)
	defer progress.Close()
	targets, loss := 0, 0.0
	for i := range steps {
		if err := c.ctx.Err(); err != nil {
			return 0, err
		}
		b, err := c.data.Next()
		if err != nil {
			return 0, err
		}
		if loss += b.Program.Loss(); math.IsNaN(loss) || math.IsInf(loss, 0) {
			return 0, fmt.Errorf("compress: the loss on the calibration data is %v; want a model whose weights and losses are finite", loss)
		}
		if err := after(b); err != nil {
			return 0, err
		}
		targets += b.Targets
		progress.Step(i+1, loss/float64(max(targets, 1)), math.NaN())
	}
	if targets == 0 {
		return 0, refusef("calibration: %d %s have no target of the loss", steps*c.batch, unit)
	}
	return targets, nil
}
