package factor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// atoms returns a random dictionary of unit norm.
func atoms(k, b int, seed uint64) *Matrix {
	d := random(k, b, seed)
	for i := range k {
		kernel.Scale(1/math.Sqrt(kernel.Dot(d.Row(i), d.Row(i))), d.Row(i))
	}
	return d
}

// naiveOMP is the textbook loop for one vector: residual, correlation, least squares by normal equations.
func naiveOMP(x []float64, d *Matrix, s int) (chosen []int, residual []float64) {
	residual = append([]float64(nil), x...)
	for range s {
		best, largest := -1, 0.0
		for k := range d.Rows {
			v := 0.0
			for t, r := range residual {
				v += r * d.Row(k)[t]
			}
			taken := false
			for _, c := range chosen {
				taken = taken || c == k
			}
			if math.Abs(v) > largest && !taken {
				best, largest = k, math.Abs(v)
			}
		}
		chosen = append(chosen, best)
		n := len(chosen)
		g, b := make([]float64, n*n), make([]float64, n)
		for i, p := range chosen {
			for j, q := range chosen {
				g[i*n+j] = kernel.Dot(d.Row(p), d.Row(q))
			}
			b[i] = kernel.Dot(d.Row(p), x)
		}
		cholesky(g, n)
		choleskySolve(g, n, b)
		copy(residual, x)
		for i, p := range chosen {
			kernel.Axpy(-b[i], d.Row(p), residual)
		}
	}
	return chosen, residual
}

// checkCodes fails unless every vector has its distinct atoms, ascending, with finite coefficients.
func checkCodes(t *testing.T, c *Codes, atoms int) {
	t.Helper()
	if len(c.Index) != c.Vectors*c.Nonzeros || len(c.Values) != len(c.Index) {
		t.Fatalf("%d indices and %d values for %d vectors of %d", len(c.Index), len(c.Values), c.Vectors, c.Nonzeros)
	}
	for i := range c.Vectors {
		index, values := c.row(i)
		for k, at := range index {
			if at < 0 || int(at) >= atoms || k > 0 && at <= index[k-1] || values[k]-values[k] != 0 {
				t.Fatalf("vector %d has atoms %v of %d with coefficients %v", i, index, atoms, values)
			}
		}
	}
}

func TestOMPAgainstNaive(t *testing.T) {
	for _, size := range []struct{ b, k, s int }{{8, 8, 1}, {8, 20, 3}, {16, 128, 4}, {5, 3, 3}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			x, d := random(150, size.b, 1), atoms(size.k, size.b, 2)
			c, err := OMP(context.Background(), x, d, size.s, nil)
			if err != nil {
				t.Fatal(err)
			}
			checkCodes(t, c, size.k)
			product := c.Product(d)
			for i := range x.Rows {
				chosen, residual := naiveOMP(x.Row(i), d, size.s)
				index, _ := c.row(i)
				for _, k := range chosen {
					found := false
					for _, at := range index {
						found = found || int(at) == k
					}
					if !found {
						t.Fatalf("vector %d: atoms %v, the naive loop has %v", i, index, chosen)
					}
				}
				for k, r := range residual {
					if got := x.Row(i)[k] - product.Row(i)[k]; math.Abs(got-r) > 1e-12 {
						t.Fatalf("vector %d: residual %g at %d, the naive loop has %g", i, got, k, r)
					}
				}
			}
		})
	}
}

func TestOMPProperties(t *testing.T) {
	t.Run("more atoms are never worse", func(t *testing.T) {
		x, d := random(100, 12, 3), atoms(30, 12, 4)
		last := math.Inf(1)
		for s := 1; s <= 14; s++ { // beyond the width of 12, coefficients are 0
			c, err := OMP(context.Background(), x, d, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			checkCodes(t, c, 30)
			now := distance(x, c.Product(d), nil, nil)
			if now > last+1e-12 {
				t.Errorf("%d atoms: error %g, with one less %g", s, now, last)
			}
			last = now
		}
		if last > 1e-10 {
			t.Errorf("all directions leave %g", last)
		}
	})
	t.Run("recovers sparse vectors in an orthonormal dictionary", func(t *testing.T) {
		d := random(24, 24, 5)
		orthonormalise(d)
		want := newCodes(80, 5)
		r := rng.New(1, "factor/sparse", 0)
		for i := range want.Vectors {
			index, values := want.row(i)
			for k := range index {
				index[k] = int32(4*k + r.Intn(4))
				values[k] = 1 + r.Float64()
			}
		}
		got, err := OMP(context.Background(), want.Product(d), d, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.Index {
			if got.Index[i] != want.Index[i] || math.Abs(got.Values[i]-want.Values[i]) > 1e-12 {
				t.Fatalf("entry %d: atom %d with %g, want %d with %g", i, got.Index[i], got.Values[i], want.Index[i], want.Values[i])
			}
		}
	})
	t.Run("hostile", func(t *testing.T) {
		twins := atoms(10, 6, 6)
		copy(twins.Row(4), twins.Row(3))
		for k, v := range twins.Row(3) {
			twins.Row(5)[k] = -v
		}
		clear(twins.Row(9))
		x := random(50, 6, 7)
		clear(x.Row(0))
		copy(x.Row(1), twins.Row(3))
		for k := range x.Row(2) {
			x.Row(2)[k] *= 1e200
			x.Row(3)[k] *= 1e-100
		}
		for s := 1; s <= 10; s++ {
			c, err := OMP(context.Background(), x, twins, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			checkCodes(t, c, 10)
			if index, values := c.row(1); s == 3 {
				if index[2] != 3 || values[2] != 1 && math.Abs(values[2]-1) > 1e-14 {
					t.Errorf("an atom itself is coded as %v, %v", index, values)
				}
			}
		}
	})
	bad := atoms(4, 3, 1)
	bad.Row(2)[0] += 1
	for _, tc := range []struct {
		name string
		d    *Matrix
		s    int
		text string
	}{
		{"not unit", bad, 1, "atom 2 has norm"},
		{"width", atoms(4, 2, 1), 1, "width 2 for vectors of width 3"},
		{"too many", atoms(4, 3, 1), 5, "5 nonzeros for 4 atoms"},
		{"none", atoms(4, 3, 1), 0, "0 nonzeros"},
	} {
		if _, err := OMP(context.Background(), random(2, 3, 1), tc.d, tc.s, nil); !errors.Is(err, ErrShape) || !contains(err, tc.text) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}
