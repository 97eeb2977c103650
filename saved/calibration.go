package saved

import (
	"context"

	"sparrow/model"
	"sparrow/task"
)

// Calibrate feeds the model with training data of a task, without dropout, for whoever wants to learn of its weights or
// activations: each run computes the loss and, if opts has a sink for them, gradients. It shares the weights and never changes
// them. What the data does not have is an error that matches ErrUsage.
func (l *Model) Calibrate(ctx context.Context, t task.Task, rows int, seed uint64, opts model.Options) (task.Stream, error) {
	if err := t.Read(ctx); err != nil {
		return nil, task.Refusef("calibration: %w", err)
	}
	x, ok := t.(task.Stepped)
	if !ok {
		return nil, task.Refusef("calibration: the task is solved in rounds, and feeds no batches to learn from")
	}
	if longest, n := task.Elements(x.Shapes(rows)[0]), l.Dims.Context; longest > n {
		return nil, task.Refusef("calibration: texts of %d tokens are longer than the network's context of %d", longest, n)
	}
	s, err := l.Config.Model.NewSession(l.Dims, l.Session.Store(), opts)
	if err != nil {
		return nil, err
	}
	f := task.Feed{Mode: model.Score, Split: task.Training, Rows: rows, Seed: seed}
	if opts.Sink != nil {
		f.Mode = model.Calibrate
	}
	return x.Batches(ctx, s, f)
}
