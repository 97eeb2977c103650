package nn

import (
	"math"
	"strings"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Dense returns a store of the same network with every factored linear layer
// folded into its dense weight W = scale B A + S, C D or W0 + scale B A, computed in
// float64 and rounded once. Other parameters are shared, not copied, unless they are in few bits. Names keep
// their order.
func (s *Store) Dense() *Store {
	d := NewStore(s.Dtype)
	done := map[string]bool{}
	for _, name := range s.names {
		layer, ok := s.layerOf(name)
		if !ok || s.layers[layer].Kind == "dense" || name == layer+".bias" {
			if s.InFewBits(name) {
				setFloats(d.add(name, s.shapes[name]), s.float64s(name))
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
		setFloats(d.add(layer+".weight", tensor.Shape{l.Out, l.In}), s.weight(layer))
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
	l := s.layers[layer]
	if l.Kind == "dense_sparse" {
		return s.denseSparseProduct(layer)
	}
	product, sparse := s.parts(layer)
	if b := s.bases[layer+".weight"]; b != nil {
		b.addTo(product)
	}
	if l.Kind != "sltrain" {
		return product
	}
	kernel.ScatterAdd(product, s.indices[layer+".sparse.indices"], sparse)
	return product
}

// parts returns scale B A (or a dense layer's weight) and the values of S.
func (s *Store) parts(layer string) (product, sparse []float64) {
	l := s.layers[layer]
	if l.Kind == "dense" {
		return s.float64s(layer + ".weight"), nil
	}
	if l.Kind == "sltrain" {
		sparse = s.float64s(layer + ".sparse.values")
	}
	scale := s.productScale(layer)
	r := l.Config.Rank
	product = make([]float64, l.Out*l.In)
	kernel.Gemm(false, false, l.Out, l.In, r, scale, s.float64s(layer+".up.weight"), r, s.float64s(layer+".down.weight"), l.In, 0, product, l.In)
	return product, sparse
}

// productScale is the factor of a factored layer's B A.
func (s *Store) productScale(layer string) float64 {
	l := s.layers[layer]
	switch {
	case l.Kind == "low_rank":
		return 1
	case l.Kind == "sltrain" && l.Config.TrainScale:
		return math.Tanh(s.float64s(layer + ".scale")[0])
	}
	return l.Config.Scale()
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
