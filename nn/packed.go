package nn

import (
	G "gorgonia.org/gorgonia"

	"sparrow/kernel"
	"sparrow/op"
)

// pack notes a parameter that stays in few bits, if it is not there yet and its operator can read it so.
func (s *Store) pack(name string, a Spec) {
	if s.Packed && a.Packs && s.shapes[name] == nil {
		s.packed[name] = a.Stored.planned(a.size())
	}
}

// zeroCodes makes the codes of a parameter that stays in few bits; they stand for zeros.
func (s *Store) zeroCodes(name string) {
	q := s.packed[name]
	s.packed[name] = kernel.NewQuantized(q.Bits, q.Block, q.Elements)
}

// InFewBits tells whether the named parameter is in few bits in memory too: then Get has no tensor of it, and Codes are its
// values.
func (s *Store) InFewBits(name string) bool {
	_, ok := s.packed[name]
	return ok
}

// memory is what the named parameter takes.
func (s *Store) memory(name string) int {
	if q, ok := s.packed[name]; ok {
		return q.Bytes()
	}
	return s.shapes[name].TotalSize() * int(s.Dtype.Size())
}

// linear is y = x Wᵀ + b for a weight as the store holds it; bias may be nil.
func (w Weight) linear(x *G.Node, bias *Weight) *G.Node {
	if q, ok := w.b.Store.packed[w.name]; ok {
		return op.QuantizedLinear(w.b.Tape, x, q, w.shape[0], bias.use())
	}
	return op.Linear(x, w.Use(), bias.use())
}

// value is the weight as a value of the graph, for operators without a backward pass.
func (w Weight) value() *G.Node {
	if q, ok := w.b.Store.packed[w.name]; ok {
		return op.Dequantized(w.b.Tape, w.name+absMaxSuffix, q, w.shape[0], w.shape[1])
	}
	return w.Use().Node
}

const absMaxSuffix = ".absmax" // of the input of a graph that stands for a packed weight's scales
