package train

import (
	"context"

	"sparrow/model"
)

// Calibration runs a trained network on training data, without dropout, for whoever wants to learn of its weights or
// activations. It shares the weights and never changes them.
type Calibration struct {
	loaded *Loaded
	task   task
	about  about
}

// CalibrationBatch is one run of the network.
type CalibrationBatch struct {
	Program *model.Program // after the run: loss and taps; gradients are in the sink
	Targets int            // terms of the loss, which is their sum
	Lengths []int          // tokens of each row that count; nil: all
}

// Calibrate opens the training split of cfg, which is the model's own config but for seed, [data] and [train] batch_size.
// What the data does not have is an error that matches ErrUsage.
func (l *Loaded) Calibrate(ctx context.Context, cfg Config) (*Calibration, error) {
	cfg.Data.Augment = nil // images as they are
	t, err := openTask(ctx, cfg, l.kept())
	if err != nil {
		return nil, Refusef("calibration: %w", err)
	}
	c := &Calibration{l, t, t.about()}
	if n := l.Session.Dims().Context; c.about.seqLen > n {
		return nil, Refusef("calibration: texts of %d tokens are longer than the network's context of %d", c.about.seqLen, n)
	}
	return c, nil
}

// SHA256 identifies the text.
func (c *Calibration) SHA256() string { return c.about.sha256 }

// Describe tells in one line what the data is.
func (c *Calibration) Describe() string { return c.about.data }

// Begin prepares to run: each run computes the loss and, if opts has a sink for them, gradients.
func (c *Calibration) Begin(opts model.Options) error {
	still := c.loaded.Config.Model
	still.Dropout, still.CheckpointActivations = 0, false
	if still.LAMA != nil {
		lama := *still.LAMA
		lama.Dropout = 0
		still.LAMA = &lama
	}
	if still.FaViT != nil {
		favit := *still.FaViT
		favit.DropPath = 0
		still.FaViT = &favit
	}
	s, err := model.NewSession(still, c.loaded.Session.Dims(), c.loaded.Session.Store(), opts)
	if err != nil {
		return err
	}
	if opts.Sink != nil {
		return c.task.begin(s, s.Train)
	}
	return c.task.begin(s, s.Score)
}

// Next runs the network on the next micro-batch of training data.
func (c *Calibration) Next() (CalibrationBatch, error) {
	p, targets, err := c.task.next()
	if err != nil {
		return CalibrationBatch{}, err
	}
	return CalibrationBatch{p, targets, c.task.lengths()}, p.Run()
}
