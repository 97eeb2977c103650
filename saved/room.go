package saved

import (
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
)

// maxContext bounds how many positions a checkpoint may ask a table of angles for, beyond what any text has.
const maxContext = 1 << 24

// checkDims refuses a checkpoint whose config, tokenizer or images.json has sizes for which this machine has no memory, before
// anything of such a size is made. A virtual model needs none for its weights.
func (l *Model) checkDims(virtual bool) error {
	cfg, limit := l.Config, machine.Memory()
	cfg.Train.BatchSize = 1 // using a model needs no more
	if l.Dims.Context > maxContext {
		return fmt.Errorf("a text may have %d tokens; want at most %d", l.Dims.Context, maxContext)
	}
	if err := recipe.Buildable(cfg, l.Dims, 1, limit); err != nil {
		return err
	}
	if _, images := cfg.Model.Body().(model.Weighed); virtual && !images { // whose maps take memory in any case
		return nil
	}
	return recipe.Plausible(cfg, l.Dims, 1, limit)
}

// declare names the arrays of the network, and refuses one that those of the checkpoint cannot fill.
func (l *Model) declare(opts model.Options, more float64) (*nn.Store, error) {
	network, err := l.Config.Model.Network(l.Dims)
	if err != nil {
		return nil, err
	}
	store := nn.NewStore(tensor.Float32)
	if err := model.Declare(network, store, l.Config.Model.Represented(opts)); err != nil {
		return nil, err
	}
	want := 0.0 // in float64: the sizes may overflow
	for _, name := range store.Names() {
		n := 1.0
		for _, dim := range store.Shape(name) {
			n *= float64(dim)
		}
		want += n
	}
	for _, name := range store.BaseNames() {
		b := store.Base(name)
		want += float64(b.Out) * float64(b.In)
	}
	if have := mostValues(l.Files) + mostValues(l.Base) + more; want > have {
		return nil, fmt.Errorf("its config is of a network of %.0f values, and its arrays hold at most %.0f; want those of one model", want, have)
	}
	return store, nil
}

// mostValues is how many values the arrays of a checkpoint can stand for: a byte holds two at most.
func mostValues(c *checkpoints.Checkpoint) (most float64) {
	if c == nil {
		return 0
	}
	for _, f := range c.Manifest().Files {
		if f.Name != "model.npz" {
			continue
		}
		for _, e := range f.Entries {
			n := 1.0
			if e.DType == "uint8" {
				n = 2
			}
			for _, dim := range e.Shape {
				n *= float64(dim)
			}
			most += n
		}
	}
	return most
}
