package recipe

import (
	"fmt"

	"sparrow/internal/machine"
	"sparrow/model"
)

// Plausible refuses a config whose weights or activations, of sequences of length tokens, alone exceed limit, which is this
// machine's memory or more.
// It estimates from below and in float64, because for such sizes the plan's own
// integers overflow and its inputs would not fit.
func Plausible(cfg Config, dims model.Dims, length int, limit float64) error {
	n := least(cfg, dims, length)
	weights, activations := n.Weights, n.Activations
	if weights+activations <= limit {
		return nil
	}
	return fmt.Errorf("the run needs more than %s of memory and this machine has %s:\n%s%s", machine.Bytes(weights+activations), machine.Bytes(min(limit, machine.Memory())),
		machine.Table([]machine.Row{{Name: "weights", Bytes: weights}, {Name: "activations", Bytes: activations}}, "more than "), Smaller)
}

// Smaller is the advice of every refused plan.
const Smaller = "try a smaller batch_size, d_model or n_layer, or checkpoint_activations = true"

// maxPlanned is how many bytes a plan may have: sums of such numbers do not overflow.
const maxPlanned = 1 << 55

// Buildable refuses what cannot even be planned: sizes whose products overflow, and graphs, token buffers and tables of
// angles that are larger than limit, since a plan makes those.
func Buildable(cfg Config, dims model.Dims, length int, limit float64) error {
	if err := Plausible(cfg, dims, length, maxPlanned); err != nil {
		return err
	}
	need := least(cfg, dims, length).Graph + 3*8*float64(cfg.Train.BatchSize)*float64(length)
	if need > limit {
		return fmt.Errorf("the graph alone needs more than %s of memory and this machine has %s", machine.Bytes(need), machine.Bytes(limit))
	}
	return nil
}

// least is what a run needs at least of its network; nothing where its body does not say.
func least(cfg Config, dims model.Dims, length int) (n model.Need) {
	if body, ok := cfg.Model.Of.(model.Weighed); ok {
		n = body.Least(dims, cfg.Train.BatchSize, length, len(cfg.Model.Linear) > 0)
	}
	return n
}
