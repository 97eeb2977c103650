package nn

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// A parameter in few bits is two arrays of a file: its codes, and the largest
// magnitude of each block of them (see kernel.Quantized).
const codesSuffix = ".codes"

// Fill gives declared arrays their values, by the names that they have in a
// checkpoint: before the first session, which draws what is missing. Data of the
// type in which the store holds it is adopted, not copied, so it may be a mapped file
// or what another store holds, if nobody trains it. Values that are stored in few bits
// are rounded to those, and codes become values, or the reverse, as the store holds
// them; atoms are unpacked.
//
// missing are the arrays without values, each by the name of its values, that arrays has not in that
// shape and type; unused are those of arrays that the store does not take. Both are
// sorted. Values that no such array can have are an error, which leaves the store
// useless.
func (s *Store) Fill(arrays map[string]Array) (missing, unused []string, err error) {
	f := &filling{arrays: arrays, used: map[string]bool{}}
	for _, name := range s.names {
		if s.filled(name) {
			if f.offered(name) {
				return nil, nil, fmt.Errorf("nn: %s has values already: a store is filled before the first session", name)
			}
			continue
		}
		if err := f.parameter(s, name); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range s.indexNames {
		if s.indices[name] != nil && !f.offered(name) {
			continue
		}
		if x, ok := take[int32](f, name, s.sizes[name]); ok {
			s.indices[name] = x
		}
	}
	for _, name := range s.atomNames {
		a := s.atoms[name]
		if a.Index != nil && !f.offered(name) {
			continue
		}
		packed, ok := take[uint8](f, name, a.PackedLen())
		if !ok {
			continue
		}
		a.Index = make([]uint8, a.Len())
		if err := a.Unpack(packed); err != nil {
			return nil, nil, fmt.Errorf("nn: %s: %w", name, err)
		}
	}
	for _, name := range s.baseNames {
		if s.bases[name].filled() && !f.offered(name) {
			continue
		}
		if err := f.base(s, name); err != nil {
			return nil, nil, err
		}
	}
	for name := range arrays {
		if !f.used[name] {
			unused = append(unused, name)
		}
	}
	slices.Sort(f.missing)
	slices.Sort(unused)
	return f.missing, unused, s.CheckIndices()
}

// filled tells whether a parameter has values.
func (s *Store) filled(name string) bool {
	if q, ok := s.packed[name]; ok {
		return q.Codes != nil
	}
	return s.values[name] != nil
}

// filling is one Fill under way.
type filling struct {
	arrays  map[string]Array
	used    map[string]bool
	missing []string
}

// offered tells whether there is an array of that name, as values or codes.
func (f *filling) offered(name string) bool {
	for _, full := range []string{name, name + codesSuffix} {
		if _, ok := f.arrays[full]; ok {
			return true
		}
	}
	return false
}

// take is the array of that name, if it has such values in that shape.
func take[T any](f *filling, name string, shape ...int) ([]T, bool) {
	a, ok := f.arrays[name]
	x, typed := a.Data.([]T)
	if !ok || !typed || !slices.Equal(a.Shape, shape) {
		f.missing = append(f.missing, name)
		return nil, false
	}
	f.used[name] = true
	return x, true
}

// parameter fills a parameter from its values or its codes.
func (f *filling) parameter(s *Store, name string) error {
	shape := s.shapes[name]
	q, stored := s.quantized[name]
	codes, coded := f.codes(name, shape, q)
	if coded {
		if err := codes.Check(); err != nil {
			return fmt.Errorf("nn: %s: %w", name, err)
		}
	}
	_, packed := s.packed[name]
	switch {
	case coded && packed:
		s.packed[name] = codes
		return nil
	case coded:
		w := make([]float32, shape.TotalSize())
		kernel.Dequantize(w, codes)
		s.adopt(name, w)
		return nil
	case s.Dtype == tensor.Float64:
		if x, ok := take[float64](f, name, shape...); ok {
			s.adopt(name, x)
		}
		return nil
	}
	w, ok := take[float32](f, name, shape...)
	switch {
	case !ok:
	case packed:
		if !kernel.AllFinite(w) {
			return fmt.Errorf("nn: %s: values to be stored as %s are not all finite numbers", name, q.Name())
		}
		s.packed[name] = q.zeros(len(w))
		s.packed[name].Quantize(w)
	case stored:
		w = slices.Clone(w)
		if err := q.Round(w); err != nil {
			return fmt.Errorf("%w: %s", err, name)
		}
		s.adopt(name, w)
	default:
		s.adopt(name, w)
	}
	return nil
}

// codes are those of a parameter of n values that a file holds as the store does.
func (f *filling) codes(name string, shape []int, q Quantization) (kernel.Quantized, bool) {
	if q.Bits == 0 {
		return kernel.Quantized{}, false
	}
	x := q.planned(tensor.Shape(shape).TotalSize())
	a, b := f.arrays[name+codesSuffix], f.arrays[name+absMaxSuffix]
	codes, ok := a.Data.([]uint8)
	scales, scaled := b.Data.([]float32)
	if !ok || !scaled || x.Bytes() != len(codes)+4*len(scales) {
		return kernel.Quantized{}, false
	}
	f.used[name+codesSuffix], f.used[name+absMaxSuffix] = true, true
	x.Codes, x.AbsMax = codes, scales
	return x, true
}

// adopt makes x the values of a parameter.
func (s *Store) adopt(name string, x any) {
	s.values[name] = tensor.New(tensor.WithShape(s.shapes[name]...), tensor.WithBacking(x))
}

// base fills a frozen weight.
func (f *filling) base(s *Store, name string) error {
	b := s.bases[name]
	if codes, ok := f.codes(name, []int{b.Out, b.In}, b.Stored); ok {
		b.Codes = codes
		if err := codes.Check(); err != nil {
			return fmt.Errorf("nn: %s: %w", name, err)
		}
		return nil
	}
	if b.Stored.Bits == 0 && s.Dtype == tensor.Float64 {
		if x, ok := take[float64](f, name, b.Out, b.In); ok {
			b.Weight = tensor.New(tensor.WithShape(b.Out, b.In), tensor.WithBacking(x))
		}
		return nil
	}
	w, ok := take[float32](f, name, b.Out, b.In)
	switch {
	case !ok:
		return nil
	case !kernel.AllFinite(w):
		return fmt.Errorf("nn: %s: the weights of a frozen base are not all finite numbers", name)
	case b.Stored.Bits > 0:
		b.Codes = b.Stored.zeros(len(w))
		b.Codes.Quantize(w)
	default:
		b.Weight = tensor.New(tensor.WithShape(b.Out, b.In), tensor.WithBacking(w))
	}
	return nil
}

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
			if w, ok := from.integers[name]; ok && s.Int8 {
				s.integers[name] = w
			}
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
