package stf

import (
	"fmt"

	"sparrow/factor"
	"sparrow/nn"
	"sparrow/recipe"
)

// Layers are the dense_sparse layers of a network that the table is about. That there are none is an error, and so is one of
// which a part is frozen.
func Layers(c *recipe.STF, store *nn.Store, frozen func(parameter string) bool) ([]string, error) {
	var names []string
	factored := false
	for _, name := range store.Layers() {
		if _, ok := store.Layer(name).Rule.Of.(nn.DenseSparse); !ok {
			continue
		}
		factored = true
		if !c.Matches(name) {
			continue
		}
		names = append(names, name)
		for _, part := range factorNames(name) {
			if frozen(part) && c.Latent() != nil {
				return nil, fmt.Errorf("[[train.freeze]] freezes %s, which [train.stf] kind = %q changes: want match of [train.stf] to leave that layer out", part, c.Name)
			}
		}
	}
	if !factored {
		return nil, fmt.Errorf("[train.stf]: the network has no layer of kind \"dense_sparse\"; want a [[model.linear]] table that makes some")
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("[train.stf] match = %q: no layer of kind \"dense_sparse\" has such a name", c.Match)
	}
	return names, nil
}

// factorNames are the parameters of a dense_sparse layer: C and D.
func factorNames(layer string) []string { return []string{Codes(layer), dictionary(layer)} }

// Codes is the name of the values of C of a dense_sparse layer.
func Codes(layer string) string { return layer + ".sparse.values" }

// dictionary is that of D.
func dictionary(layer string) string { return layer + ".dictionary.weight" }

// denseSparse is a layer of that kind.
func denseSparse(s *nn.Store, layer string) (nn.Layer, nn.DenseSparse) {
	l := s.Layer(layer)
	return l, l.Rule.Of.(nn.DenseSparse)
}

// factorConfig is the layout of a layer for the factorizer.
func factorConfig(l nn.Layer, sweeps int, seed uint64) factor.DenseSparseConfig {
	k := l.Rule.Of.(nn.DenseSparse)
	c := factor.DenseSparseConfig{
		Block: k.Block, Atoms: k.Atoms, Nonzeros: k.BlockNonzeros(l.In, l.Out), Shared: k.Shared, Sweeps: sweeps, Seed: seed, Axis: factor.AxisIn,
	}
	if k.Axis == "out" {
		c.Axis = factor.AxisOut
	}
	return c
}
