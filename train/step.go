package train

import (
	"errors"

	"sparrow/metrics"
	"sparrow/model"
	"sparrow/train/optim"
)

// step makes one update: the gradient of the loss summed over all micro-batches,
// divided once by the number of targets. A run that is to stop drops what it has of the step.
func (t *Trainer) step() (metrics.Record, error) {
	c := t.cfg.Train
	rate := t.schedule.At(t.state.Step)
	sums := t.shards.begin(c)
	count, first := 0, t.state.MicroBatch
	var activations []float64
	for micro := range c.Micros() {
		if micro > 0 && t.stopping() {
			t.state.MicroBatch = first
			return metrics.Record{}, t.interrupted()
		}
		program, targets, err := t.stream.Next()
		if err != nil {
			return metrics.Record{}, err
		}
		program.SetStep(t.state.MicroBatch)
		t.state.MicroBatch++
		count += targets
		if !sums.owns(micro) {
			continue
		}
		if t.teacher != nil {
			if err := model.Teach(program, t.teacher, model.Lesson(t.teacher.Network())); err != nil {
				return metrics.Record{}, err
			}
		}
		if t.layers != nil {
			t.layers.begin(t.state.Step+1, rate, 1/float64(count))
		} else {
			sums.micro(t.grads, micro)
			t.stf.Add(micro > 0)
		}
		if err := program.Run(); err != nil {
			if diverged := new(DivergedError); errors.As(err, &diverged) {
				return metrics.Record{}, diverged // without the names of the operators it came through
			}
			return metrics.Record{}, err
		}
		if sums.looks(micro) {
			activations = t.activations(program)
		}
		if err := sums.add(micro, program.Loss()); err != nil {
			return metrics.Record{}, err
		}
	}
	loss, err := t.gather(sums)
	if err != nil {
		return metrics.Record{}, err
	}
	scale := 1 / float64(count)
	loss *= scale
	gradNorm := t.gradNorm() * scale
	if err := t.finite(loss, gradNorm); err != nil {
		return metrics.Record{}, err
	}
	if c.GradClip > 0 {
		scale *= min(1, c.GradClip/(gradNorm+1e-6)) // as torch.nn.utils.clip_grad_norm_
	}
	if t.layers == nil {
		optim.UpdateAll(t.optimizer, t.grads, t.state.Step+1, rate, scale)
		if err := t.zero.Wait(); err != nil {
			return metrics.Record{}, err
		}
	}
	swaps, err := t.stf.Update(t.grads, t.state.Step+1, rate, scale)
	if err != nil {
		return metrics.Record{}, err
	}
	t.state.Step++
	t.stf.Note(&t.state, swaps, c.Steps)
	if t.averages != nil {
		t.averages.Update(t.state.Step)
	}
	t.state.Tokens += count
	t.state.Cursor = t.stream.Cursor()
	values := []metrics.Value{{Name: "loss", X: loss}, {Name: "learning_rate", X: rate}, {Name: "grad_norm", X: gradNorm}, {Name: t.facts.Unit, X: float64(t.state.Tokens)}}
	if t.state.Step == 1 || t.due(t.cfg.Eval.Every) {
		values = append(values, t.factorNorms(1/float64(count))...)
		values = append(values, t.stageNorms(activations, 1/float64(count))...)
		latent, err := t.stf.Values(t.state.Swaps)
		if err != nil {
			return metrics.Record{}, err
		}
		values = append(values, latent...)
	}
	if err := t.turn(); err != nil {
		return metrics.Record{}, err
	}
	return metrics.Record{Step: t.state.Step, Kind: metrics.KindTrain, Values: values}, nil
}

// due says whether the step just done is one of those that come every so often, or the last.
func (t *Trainer) due(every int) bool {
	return t.state.Step == t.last || every > 0 && t.state.Step%every == 0
}

// gradNorm is the norm of the gradients of the last run.
func (t *Trainer) gradNorm() float64 {
	if t.layers != nil {
		return t.layers.norm()
	}
	return t.stf.Norm(optim.GradNorm(t.grads))
}
