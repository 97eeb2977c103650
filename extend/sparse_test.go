package extend

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"sparrow/factor"
)

// TestSparseProducts: products of a sparse symmetric matrix are those of the dense one, and of a sparse symmetric matrix the leading terms are those of its dense decomposition.
func TestSparseProducts(t *testing.T) {
	const n, rank = 90, 6
	r := rand.New(rand.NewPCG(3, 1))
	full := factor.NewMatrix(n, n)
	for i := range n {
		for j := range i + 1 {
			if r.Float64() < 0.1 || i == j && i < 12 {
				x := r.Float64()
				if i == j && i < 12 {
					x += 20 - 1.5*float64(i) // a spectrum that falls
				}
				full.Data[i*n+j], full.Data[j*n+i] = x, x
			}
		}
	}
	a := &symmetric{start: []int{0}}
	for i := range n {
		for j, x := range full.Row(i) {
			if x != 0 {
				a.index, a.values = append(a.index, int32(j)), append(a.values, x)
			}
		}
		a.start = append(a.start, len(a.index))
	}
	x := factor.NewMatrix(3, n)
	for i := range x.Data {
		x.Data[i] = r.NormFloat64()
	}
	got, want := a.Times(x), x.Mul(full)
	for i := range want.Data {
		if math.Abs(got.Data[i]-want.Data[i]) > 1e-12 {
			t.Fatalf("product %d is %g, want %g", i, got.Data[i], want.Data[i])
		}
	}
	d, err := factor.RandomizedProducts(context.Background(), a, factor.RandomizedConfig{Rank: rank, Power: 4, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	exact, err := factor.ThinSVD(context.Background(), full, nil)
	if err != nil {
		t.Fatal(err)
	}
	if exact, err = exact.Truncate(rank); err != nil {
		t.Fatal(err)
	}
	for i, s := range d.S {
		if math.Abs(s-exact.S[i]) > 1e-3*exact.S[i] {
			t.Errorf("singular value %d is %g, want %g", i, s, exact.S[i])
		}
	}
	difference := d.Product()
	for i, v := range full.Data {
		difference.Data[i] -= v
	}
	if e := difference.Norm(); e > 1.01*exact.Error || math.Abs(e-d.Error) > 0.01*e {
		t.Errorf("an error of %g, said %g, the best is %g", e, d.Error, exact.Error)
	}
	if _, err := factor.RandomizedProducts(context.Background(), a, factor.RandomizedConfig{Rank: n + 1}, nil); !errors.Is(err, factor.ErrShape) {
		t.Errorf("a rank above the size: %v", err)
	}
}
