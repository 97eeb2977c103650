package nn

import (
	"slices"

	"gorgonia.org/tensor"
)

// Share gives declared arrays that have no values yet those of the same name in another store of the same type, where both hold them
// alike: the memory is then that of both, so nobody may train either. A frozen base of a lora layer takes the weight of a dense layer.
// Names for which but is true are left out. What is still missing Fill gives, or the first session.
func (s *Store) Share(from *Store, but func(name string) bool) {
	if s.Dtype != from.Dtype {
		return
	}
	for _, name := range s.names {
		if but(name) || s.filled(name) || !slices.Equal(s.shapes[name], from.shapes[name]) || s.quantized[name] != from.quantized[name] {
			continue
		}
		if _, packed := s.packed[name]; packed {
			if q, ok := from.packed[name]; ok {
				s.packed[name] = q
			}
		} else if v := from.values[name]; v != nil {
			s.values[name] = v
		}
	}
	for _, name := range s.baseNames {
		b := s.bases[name]
		if but(name) || b.filled() || !slices.Equal(tensor.Shape{b.Out, b.In}, from.shapes[name]) || b.Stored != from.quantized[name] {
			continue
		}
		if b.Stored.Bits == 0 {
			b.Weight = from.values[name]
		} else if q, ok := from.packed[name]; ok {
			b.Codes = q
		}
	}
	for _, name := range s.indexNames {
		if !but(name) && s.indices[name] == nil && s.sizes[name] == from.sizes[name] {
			s.indices[name] = from.indices[name]
		}
	}
	for _, name := range s.atomNames {
		if x := from.atoms[name]; !but(name) && s.atoms[name].Index == nil && x != nil && x.Len() == s.atoms[name].Len() {
			s.atoms[name].Index = x.Index
		}
	}
}

// filled tells whether the base has values.
func (b *Base) filled() bool { return b.Weight != nil || b.Codes.Codes != nil }

// Filled tells whether the array of that name, a parameter or a frozen base, has values.
func (s *Store) Filled(name string) bool {
	if b := s.bases[name]; b != nil {
		return b.filled()
	}
	return s.filled(name)
}
