package interchange

import (
	"fmt"
	"slices"

	"sparrow/checkpoints"
	"sparrow/checkpoints/foreign"
	"sparrow/kernel"
	"sparrow/nn"
)

// Types are in what a checkpoint can hold the matrices of an import.
var Types = []string{"float32", "int8", "int4"}

// Store says that the matrices of linear layers are to be held in a type of [Types]: rounded in blocks of 64 values, with embeddings
// those of embeddings too. Norms and biases stay as they are.
func (m *Model) Store(dtype string, embeddings bool) error {
	if !slices.Contains(Types, dtype) {
		return fmt.Errorf("%w: type %q is unknown; want float32, int8 or int4", ErrSource, dtype)
	}
	m.Network.Linear = nil
	if embeddings && dtype == "float32" {
		return fmt.Errorf("%w: embeddings can be rounded to int8 or int4, not to float32", ErrSource)
	}
	if dtype != "float32" {
		rule := nn.Rule{Match: "*", Storage: nn.Storage{Quantize: dtype}}
		if embeddings {
			rule.Embeddings = &embeddings
		}
		rule.Name, rule.Of = "dense", nn.Dense{}
		m.Network.Linear = []nn.Rule{rule}
	}
	return nil
}

// Arrays are those of the network, converted one after the other; after, which may be nil, is told of each. They may share the
// source's memory, so that they are to be written before the source is closed. Values that are no finite numbers are an error.
func (m *Model) Arrays(after func(done, total int)) ([]checkpoints.Array, error) {
	store, err := m.declared()
	if err != nil {
		return nil, err
	}
	var all []checkpoints.Array
	names := store.Names()
	for i, name := range names {
		shape := store.Shape(name)
		values, err := m.values(name, shape)
		if err != nil {
			return nil, err
		}
		if !kernel.AllFinite(values) {
			return nil, fmt.Errorf("%w: %s: tensor %s has values that are no finite numbers", ErrSource, m.source.Path, foreign.Quote(m.family.origin(m, name).name))
		}
		q := store.Quantization(name)
		if q.Bits == 0 {
			all = append(all, checkpoints.Array{Name: name, Shape: shape, Data: values})
		} else {
			codes := kernel.NewQuantized(q.Bits, q.Block, len(values))
			codes.Quantize(values)
			if q.Bits == 4 {
				shape = []int{len(codes.Codes)}
			}
			all = append(all, checkpoints.Array{Name: name + ".codes", Shape: shape, Data: codes.Codes},
				checkpoints.Array{Name: name + ".absmax", Shape: []int{len(codes.AbsMax)}, Data: codes.AbsMax})
		}
		if after != nil {
			after(i+1, len(names))
		}
	}
	return all, nil
}
