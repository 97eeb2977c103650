package train

import (
	"context"
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/metrics"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

// solvedOf is the task where it is solved in rounds; nil: it trains by steps. A task that does neither is an error, and so are
// settings that only steps have.
func solvedOf(t task.Task, cfg recipe.Config) (task.Solved, error) {
	if _, ok := t.(task.Stepped); ok {
		return nil, nil
	}
	x, ok := t.(task.Solved)
	if !ok {
		return nil, fmt.Errorf("[task] kind: the task can be evaluated, but neither trains by steps nor is solved in rounds")
	}
	c := cfg.Train
	for _, only := range []struct {
		key string
		set bool
	}{
		{"ema", c.EMA > 0}, {"precision", c.Precision != nil}, {"per_layer_update", c.PerLayerUpdate}, {"freeze", len(c.Freeze) > 0}, {"stf", c.STF != nil}, {"distill", c.Distill != nil},
		{"init_from with lora layers", cfg.Adapter()},
	} {
		if only.set {
			return nil, fmt.Errorf("[train] %s is for tasks that train by steps; this one is solved in rounds: leave it out", only.key)
		}
	}
	return x, nil
}

// lastStep is the number of a run's steps or, of a task that is solved, rounds.
func lastStep(cfg recipe.Config, solved task.Solved) int {
	if solved != nil {
		return solved.Rounds()
	}
	return cfg.Train.Steps
}

// planSolved is the memory of a network that is solved for and evaluated: weights, and activations of a batch of rows of length tokens.
func planSolved(cfg recipe.Config, dims model.Dims, length int) (MemoryPlan, error) {
	store := nn.NewStore(tensor.Float32)
	store.Virtual = true
	s, err := cfg.Model.NewSession(dims, store, model.Options{})
	if err != nil {
		return MemoryPlan{}, err
	}
	p, err := s.Program(model.Score, dims.Shape(cfg.Train.BatchSize, length))
	if err != nil {
		return MemoryPlan{}, err
	}
	return MemoryPlan{Weights: store.Bytes() + store.BaseBytes(), Indices: store.IndexBytes() + p.HeldBytes(), Activations: p.ActivationBytes()}, nil
}

// advance makes a step of the optimizer or a round of the solver.
func (t *Trainer) advance(ctx context.Context) (metrics.Record, error) {
	if t.solved != nil {
		return t.round(context.WithoutCancel(ctx)) // what has begun ends
	}
	return t.step()
}

// round makes one round of a solver, which reads all training data.
func (t *Trainer) round(ctx context.Context) (metrics.Record, error) {
	values, err := t.solved.Solve(ctx, t.state.Step, t.store)
	if err != nil {
		return metrics.Record{}, err
	}
	t.state.Step++
	t.state.Tokens += t.facts.Rows * t.facts.PerRow
	return metrics.Record{Step: t.state.Step, Kind: metrics.KindTrain, Values: append(values, metrics.Value{Name: t.facts.Unit, X: float64(t.state.Tokens)})}, nil
}
