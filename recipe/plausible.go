package recipe

import (
	"fmt"

	"sparrow/internal/machine"
	"sparrow/model"
)

// GraphBytes is less than the graph of one block takes.
const GraphBytes = 20e3

// Plausible refuses a config whose weights or activations, of sequences of length tokens, alone exceed limit, which is this
// machine's memory or more.
// It estimates from below and in float64, because for such sizes the plan's own
// integers overflow and its inputs would not fit.
func Plausible(cfg Config, dims model.Dims, length int, limit float64) error {
	d, layers, vocab := float64(cfg.Model.DModel), float64(cfg.Model.NLayer), float64(dims.VocabSize)
	hidden := float64(cfg.Model.DFF)
	if hidden == 0 {
		hidden = 2 * d
	}
	tokens := float64(cfg.Train.BatchSize) * float64(length)
	blocks := layers * (2*d*hidden + cfg.Model.Attention.Parameters(cfg.Model.DModel))
	if len(cfg.Model.Linear) > 0 {
		blocks = layers * 2 * d // factored layers may be small; the norms are not
	}
	weights := 4 * (vocab*d + blocks)
	scores := vocab // of each token
	if s, ok := cfg.Model.Body().(model.Sequence); !ok || !s.Causal() {
		scores = 0 // of each text, or of few tokens
	}
	activations := tokens*(3*8+4*(d+hidden+scores)) + layers*GraphBytes
	context := float64(dims.Context)
	if cfg.Model.Positions == "learned" {
		weights += 4 * context * d
	} else {
		activations += 4 * context * float64(cfg.Model.Attention.RotaryDim(cfg.Model.DModel)) // the table of angles
	}
	if body, ok := cfg.Model.Body().(model.Weighed); ok {
		weights, activations = body.Least(dims)
		activations *= float64(cfg.Train.BatchSize)
	}
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
	need := float64(cfg.Model.NLayer)*GraphBytes + 3*8*float64(cfg.Train.BatchSize)*float64(length)
	if cfg.Model.Positions != "learned" {
		need += 4 * float64(dims.Context) * float64(cfg.Model.Attention.RotaryDim(cfg.Model.DModel))
	}
	if need > limit {
		return fmt.Errorf("the graph alone needs more than %s of memory and this machine has %s", machine.Bytes(need), machine.Bytes(limit))
	}
	return nil
}
