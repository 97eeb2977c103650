package nn

import (
	"math"

	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// Factored says whether a layer has a product of factors B A.
func (l Layer) Factored() bool { return l.Kind != "dense" && l.Kind != "dense_sparse" }

// ProductNorm is the Frobenius norm of a factored layer's scale B A, which is never formed:
//
//	||B A||² = trace(Aᵀ Bᵀ B A) = sum over (Bᵀ B) o (A Aᵀ)
//
// in float64, R² (in + out) multiply-adds. It is 0 for a dense layer.
func (s *Store) ProductNorm(layer string) float64 {
	l := s.layers[layer]
	if !l.Factored() {
		return 0
	}
	r := l.Config.Rank
	up, down := make([]float64, r*r), make([]float64, r*r)
	if s.InFewBits(layer + ".up.weight") {
		gram(up, s.float64s(layer+".up.weight"), r, true)
		gram(down, s.float64s(layer+".down.weight"), r, false)
	} else if s.Dtype == tensor.Float32 {
		gram(up, s.values[layer+".up.weight"].Float32s(), r, true)
		gram(down, s.values[layer+".down.weight"].Float32s(), r, false)
	} else {
		gram(up, s.values[layer+".up.weight"].Float64s(), r, true)
		gram(down, s.values[layer+".down.weight"].Float64s(), r, false)
	}
	// Rounding can take the square of a product that vanishes below zero.
	return math.Abs(s.productScale(layer)) * math.Sqrt(max(0, kernel.Dot(up, down)))
}

// SparseNorm is the Frobenius norm of the sparse part of a layer; 0 if it has none.
func (s *Store) SparseNorm(layer string) float64 {
	if s.layers[layer].Kind != "sltrain" {
		return 0
	}
	v := s.values[layer+".sparse.values"]
	if s.Dtype == tensor.Float32 {
		return math.Sqrt(kernel.SumSquares(v.Float32s()))
	}
	return math.Sqrt(kernel.SumSquares(v.Float64s()))
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
