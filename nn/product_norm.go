package nn

import (
	"math"

	"sparrow/kernel"
)

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
