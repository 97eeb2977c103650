package nn

import (
	"math"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
	"sparrow/op"
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
			d.steady[name] = s.steady[name]
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

// WeightOf is the matrix W [out, in] of a linear layer without a bias as a value of
// the graph, for operators without a backward pass. A dense layer's is its
// parameter. What codes stand for is made anew in every run, and so is another
// layer's matrix, from the rows of an identity: as much work as in rows of
// activations. Either may be asked for once in a graph.
func WeightOf(b *Builder, l Linear, in int) *G.Node {
	if d, ok := l.(interface{ matrix() *G.Node }); ok {
		return d.matrix()
	}
	identity := tensor.New(tensor.Of(b.Tape.Dtype), tensor.WithShape(in, in))
	for i := range in {
		if b.Tape.Dtype == tensor.Float32 {
			identity.Float32s()[i*in+i] = 1
		} else {
			identity.Float64s()[i*in+i] = 1
		}
	}
	rows := l.Forward(b.Tape.Input(b.Name("identity"), identity)) // [in, out]
	return op.Transpose(b.Tape, rows)
}

// ProductNorm is the Frobenius norm of a factored layer's scale B A, which is never formed:
//
//	||B A||² = trace(Aᵀ Bᵀ B A) = sum over (Bᵀ B) o (A Aᵀ)
//
// in float64, R² (in + out) multiply-adds. It is 0 for a layer without factors.
func (s *Store) ProductNorm(layer string) float64 {
	k, ok := s.layers[layer].Factored()
	if !ok {
		return 0
	}
	r, w := k.Width(), s.arraysOf(layer)
	up, down := make([]float64, r*r), make([]float64, r*r)
	gramOf(up, w["up.weight"], r, true)
	gramOf(down, w["down.weight"], r, false)
	// Rounding can take the square of a product that vanishes below zero.
	return math.Abs(k.ProductScale(w)) * math.Sqrt(max(0, kernel.Dot(up, down)))
}

// SparseNorm is the Frobenius norm of the sparse values of a factored layer; 0 if it has none.
func (s *Store) SparseNorm(layer string) float64 {
	v, ok := s.arraysOf(layer)["sparse.values"]
	if _, factored := s.layers[layer].Factored(); !ok || !factored {
		return 0
	}
	if x, ok := v.Data.([]float32); ok {
		return math.Sqrt(kernel.SumSquares(x))
	}
	return math.Sqrt(kernel.SumSquares(v.Data.([]float64)))
}

func gramOf(g []float64, a Array, r int, byRows bool) {
	if x, ok := a.Data.([]float32); ok {
		gram(g, x, r, byRows)
		return
	}
	gram(g, a.Data.([]float64), r, byRows)
}

// gram sets g [r, r] to Fᵀ F of F [n, r], or if not byRows to F Fᵀ of F [r, n], a few rows or columns of F at a time,
// so that no float64 copy of F is made.
func gram[T kernel.Float](g []float64, f []T, r int, byRows bool) {
	const block = 256
	n := len(f) / r
	part := make([]float64, r*block)
	for lo := 0; lo < n; lo += block {
		m := min(block, n-lo)
		if byRows {
			for i, x := range f[lo*r : (lo+m)*r] {
				part[i] = float64(x)
			}
			kernel.Gemm(true, false, r, r, m, 1, part, r, part, r, 1, g, r)
			continue
		}
		for i := range r {
			for j, x := range f[i*n+lo : i*n+lo+m] {
				part[i*m+j] = float64(x)
			}
		}
		kernel.Gemm(false, true, r, r, m, 1, part, m, part, m, 1, g, r)
	}
}
