package nn

import (
	"strings"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Dense returns a store of the same network with every factored linear layer
// folded into its dense weight, computed in
// float64 and rounded once. Other parameters are shared, not copied, unless they are in few bits. Names keep
// their order.
func (s *Store) Dense() *Store {
	d := NewStore(s.Dtype)
	done := map[string]bool{}
	for _, name := range s.names {
		layer, ok := s.layerOf(name)
		if !ok || s.layers[layer].Rule.Dense() || name == layer+".bias" {
			if s.InFewBits(name) {
				d.declare(name, s.shapes[name])
				setFloats(d.make(name), s.float64s(name))
				continue
			}
			d.names = append(d.names, name)
			d.shapes[name], d.values[name] = s.shapes[name], s.values[name]
			continue
		}
		if done[layer] {
			continue
		}
		done[layer] = true
		l := s.layers[layer]
		d.declare(layer+".weight", tensor.Shape{l.Out, l.In})
		setFloats(d.make(layer+".weight"), s.weight(layer))
	}
	return d
}

func setFloats(d *tensor.Dense, values []float64) {
	for i, x := range values {
		setFloat(d, i, x)
	}
}

// layerOf finds the linear layer that a parameter belongs to.
func (s *Store) layerOf(parameter string) (string, bool) {
	for name := parameter; ; {
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return "", false
		}
		name = name[:i]
		if _, ok := s.layers[name]; ok {
			return name, true
		}
	}
}

// DenseWeight returns the weight W [Out, In] that the named linear layer stands
// for, row by row, as a copy: a dense layer's own, another's product and sparse
// part together.
func (s *Store) DenseWeight(layer string) []float64 { return s.weight(layer) }

// weight is the dense weight [Out, In] that a layer stands for.
func (s *Store) weight(layer string) []float64 {
	return s.layers[layer].Rule.Of.Matrix(s.arraysOf(layer))
}

// arraysOf are the arrays of a layer by their names in its layout. Parameters in few bits are the values that the layer
// computes with.
func (s *Store) arraysOf(layer string) map[string]Array {
	arrays := map[string]Array{}
	for _, a := range s.layers[layer].Layout().Arrays {
		name := layer + "." + a.Name
		x := Array{Shape: a.Shape}
		switch {
		case a.Places != 0:
			x.Data = s.indices[name]
		case a.Atoms != nil:
			x.Data = s.atoms[name].Index
		case a.Frozen:
			x = s.bases[name].array()
		case s.InFewBits(name):
			x.Data = s.float64s(name)
		case s.Dtype == tensor.Float32:
			x.Data = s.values[name].Float32s()
		default:
			x.Data = s.values[name].Float64s()
		}
		arrays[a.Name] = x
	}
	return arrays
}

// float64s copies a parameter's values.
func (s *Store) float64s(name string) []float64 {
	out := make([]float64, s.shapes[name].TotalSize())
	if q, ok := s.packed[name]; ok && s.Dtype == tensor.Float64 {
		kernel.Dequantize(out, q)
		return out
	} else if ok {
		single := make([]float32, len(out)) // what the layer computes with
		kernel.Dequantize(single, q)
		return widen(out, single)
	}
	v := s.values[name]
	if s.Dtype == tensor.Float64 {
		copy(out, v.Float64s())
		return out
	}
	return widen(out, v.Float32s())
}

func widen(dst []float64, src []float32) []float64 {
	for i, x := range src {
		dst[i] = float64(x)
	}
	return dst
}
