package saved

import (
	"fmt"

	"sparrow/checkpoints"
	"sparrow/internal/shell"
	"sparrow/nn"
)

// Taken is what a store has from a checkpoint of another network.
type Taken struct {
	Checkpoint *checkpoints.Checkpoint
	Loaded     []string        // parameters
	Missing    []string        // of the store, and not in the checkpoint
	Unused     []string        // of the checkpoint
	Arrays     map[string]bool // of the store that are the checkpoint's
}

// Take fills a store with the weights of a run or checkpoint that match in name and shape. It wants one at least, and the bases
// of all lora layers.
func Take(path string, s *nn.Store, known ...Options) (*Taken, error) {
	dir, err := Find(path, false)
	if err != nil {
		return nil, err
	}
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	if from, err := Known(known...).Config(c); err == nil && from.Adapter() {
		return nil, fmt.Errorf("init_from = %q: %s holds an adapter without its base: fold the two first by: %s", path, dir, shell.Command("model", "merge", dir, "-o", "NEW"))
	}
	x := &Taken{Checkpoint: c}
	dst, dense := denseArrays(s)
	if x.Loaded, x.Missing, x.Unused, err = matchValues(c, dst); err != nil {
		return nil, err
	}
	if len(x.Loaded) == 0 {
		return nil, fmt.Errorf("init_from = %q: no weight of %s has the name and shape of one of this model", path, dir)
	}
	if err := checkBases(s, dir, x.Missing); err != nil {
		return nil, fmt.Errorf("init_from = %q: %w", path, err)
	}
	if err := unpack(s, dst); err != nil {
		return nil, fmt.Errorf("init_from = %q: %w", path, err)
	}
	x.Arrays, err = dense.settle(s, x.Loaded)
	return x, err
}
