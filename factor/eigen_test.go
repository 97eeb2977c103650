package factor

import (
	"context"
	"fmt"
	"math"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

func background() *job { return &job{ctx: context.Background()} }

// random returns a matrix of normal numbers.
func random(rows, cols int, seed uint64) *Matrix {
	m := NewMatrix(rows, cols)
	rng.FillNormal(rng.New(seed, "factor/test", 0), m.Data, 0, 1)
	return m
}

// offIdentity returns the largest element of X Xᵀ - I.
func offIdentity(x *Matrix) float64 {
	g := x.Mul(x.Transpose())
	worst := 0.0
	for i, v := range g.Data {
		if i/g.Cols == i%g.Cols {
			v--
		}
		worst = max(worst, math.Abs(v))
	}
	return worst
}

// eigenTolerance bounds errors relative to the largest eigenvalue: a few hundred roundings.
const eigenTolerance = 1e-13

// Symmetric matrices with spectra that divide and conquer finds hard: X A Xᵀ is diagonal, X orthogonal.
func TestSymmetricEigen(t *testing.T) {
	spectra := map[string]func(i, n int) float64{
		"linear":     func(i, n int) float64 { return float64(n - i) },
		"geometric":  func(i, n int) float64 { return math.Pow(0.5, float64(i)) },
		"identity":   func(int, int) float64 { return 3 },
		"two values": func(i, n int) float64 { return float64(1 + 2*i/n) },
		"zero":       func(int, int) float64 { return 0 },
		"rank one":   func(i, n int) float64 { return math.Max(0, float64(1-i)) },
		"indefinite": func(i, n int) float64 { return math.Cos(float64(i)) },
		"cluster":    func(i, n int) float64 { return 1 + 1e-14*float64(i) },
	}
	for name, value := range spectra {
		for _, n := range []int{1, 2, 3, 31, 33, 64, 65, 130, 201} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				a := NewMatrix(n, n)
				for i := range n {
					a.Data[i*n+i] = value(i, n)
				}
				if q := random(n, n, 1); name != "zero" && name != "identity" {
					orthonormalise(q)
					a = q.Transpose().Mul(a).Mul(q)
					mirror(a.Data, n)
				}
				for _, top := range []int{n, (n + 2) / 3} {
					values, vectors, err := symmetricEigen(background(), a.Clone().Data, n, top)
					if err != nil {
						t.Fatal(err)
					}
					x := &Matrix{top, n, vectors}
					if off := offIdentity(x); off > eigenTolerance {
						t.Errorf("top %d: vectors are orthogonal to %g", top, off)
					}
					scale := max(math.Abs(values[0]), math.Abs(values[n-1]), 1e-300)
					image := x.Mul(a)
					for i := range top {
						for k := range n {
							if off := math.Abs(image.Row(i)[k] - values[i]*x.Row(i)[k]); off > eigenTolerance*scale {
								t.Fatalf("top %d: pair %d of %d has a residual of %g of %g", top, i, n, off, scale)
							}
						}
						if i > 0 && values[i] > values[i-1] {
							t.Fatalf("values %d and %d ascend: %g, %g", i-1, i, values[i-1], values[i])
						}
					}
				}
			})
		}
	}
}

// orthonormalise makes the rows orthonormal by Gram-Schmidt, done twice.
func orthonormalise(q *Matrix) {
	for i := range q.Rows {
		r := q.Row(i)
		for range 2 {
			for k := range i {
				kernel.Axpy(-kernel.Dot(q.Row(k), r), q.Row(k), r)
			}
		}
		kernel.Scale(1/math.Sqrt(kernel.Dot(r, r)), r)
	}
}
