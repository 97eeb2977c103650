package train

import (
	"context"
	"fmt"
	"io"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/kernel"
	"sparrow/nn"
	"sparrow/saved"
)

// validationLoss is what a [DivergedError] calls the loss of an evaluation.
const validationLoss = "validation loss"

// DivergedError ends a run whose loss or gradient, or the loss of its validation
// text, is no number any more.
type DivergedError struct {
	Step      int
	What      string // "loss", "gradient" or "validation loss"
	Value     float64
	Parameter string  // whose gradient it is, if known
	Partial   bool    // per-layer updates may have changed parameters, in memory, by then
	Solved    bool    // step is a round of a solver, which has no learning rate
	Rate      float64 // peak learning rate
	Dir       string  // of the run
	Last      string  // newest checkpoint, "" if none
	Start     string  // where the start has been kept for want of anything better; "": it was not
}

func (e *DivergedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "train: step %d: the %s is %.4g", e.Step, e.What, e.Value)
	if e.Parameter != "" {
		fmt.Fprintf(&b, " (first in the gradient of %s)", e.Parameter)
	}
	switch {
	case e.Solved:
		b.WriteString("; what is on disk is from before this round")
		return b.String()
	case e.What == validationLoss:
		b.WriteString("; what is on disk is from before this step. Try a lower learning_rate or a longer warmup_steps")
	case e.Partial:
		b.WriteString("; per_layer_update may have changed parameters by then, in memory only: what is on disk is from before this step." +
			" Try a lower learning_rate or a longer warmup_steps")
	default:
		b.WriteString("; nothing was updated. Try a lower learning_rate, a longer warmup_steps or a smaller grad_clip")
	}
	if e.Start != "" {
		fmt.Fprintf(&b, ". The best is the start, kept as %s: start again with --force, for example with --set train.learning_rate=%.3g", e.Start, e.Rate/10)
	} else if e.Last != "" {
		fmt.Fprintf(&b, "; the last good state is %s, continue it by: %s", e.Last, saved.ResumeCommand(e.Dir, "--set", fmt.Sprintf("train.learning_rate=%.3g", e.Rate/10)))
	} else {
		fmt.Fprintf(&b, ". There is no checkpoint yet: start again with --force, for example with --set train.learning_rate=%.3g", e.Rate/10)
	}
	return b.String()
}

// finite returns an error when loss or gradient has left the numbers.
func (t *Trainer) finite(loss, gradNorm float64) error {
	if kernel.Finite(loss) && kernel.Finite(gradNorm) {
		return nil
	}
	e := t.diverged("loss", loss)
	if kernel.Finite(loss) {
		e.What, e.Value = "gradient", gradNorm
	}
	if t.layers != nil {
		return e
	}
	for _, name := range t.grads.Names() {
		if !allFinite(t.grads.Get(name)) {
			e.Parameter = name
			break
		}
	}
	return e
}

// diverged is the error of the step in progress.
func (t *Trainer) diverged(what string, value float64) *DivergedError {
	e := &DivergedError{Step: t.state.Step + 1, What: what, Value: value, Rate: t.cfg.Train.LearningRate, Dir: t.dir, Partial: t.layers != nil, Solved: t.solved != nil}
	if all, err := checkpoints.List(t.dir); err == nil && len(all) > 0 {
		e.Last = all[len(all)-1]
	}
	return e
}

// keepStart saves what the run began with as step 0, its best, when an evaluation shows divergence before any was good. It is made again
// from the seed and what the run started from, so that a run that does not diverge neither writes nor holds it.
func (t *Trainer) keepStart(ctx context.Context) error {
	if t.state.BestStep > 0 || t.state.StartBest || t.solved != nil {
		return nil
	}
	s := &Trainer{cfg: t.cfg, dir: t.dir, out: io.Discard, stopping: t.stopping, task: t.task, known: t.known, facts: t.facts, dims: t.dims, group: t.group, store: nn.NewStore(tensor.Float32)}
	s.state.Corpus, s.state.StartBest, s.state.BestLoss = t.facts.Hash, true, t.start
	if t.cfg.Eval.Metric != "loss" {
		s.state.BestMetric = t.startMetric
	}
	err := s.prepareSteps(nil)
	if err == nil {
		err = s.initialize()
	}
	if err == nil && t.cfg.Train.InitFrom != "" {
		err = s.initFrom(t.cfg.Train.InitFrom)
	}
	if err == nil {
		err = s.beginSTF(ctx)
	}
	if err == nil {
		err = s.keep()
	}
	if err != nil {
		return fmt.Errorf("train: the run has diverged, and its start cannot be kept: %w", err)
	}
	t.state.StartBest, t.state.BestLoss, t.state.BestMetric = true, s.state.BestLoss, s.state.BestMetric
	return nil
}

func allFinite(d *tensor.Dense) bool {
	if d.Dtype() == tensor.Float32 {
		return kernel.AllFinite(d.Float32s())
	}
	return kernel.AllFinite(d.Float64s())
}
