package recommend

import (
	"math"
	"math/rand/v2"
	"testing"

	"sparrow/factor"
)

// TestRidge: the map is the solution of the dense normal equations, whose intercept is not shrunk, of those that are used alone.
func TestRidge(t *testing.T) {
	const n, d, features, lambda = 30, 3, 5, 1.5
	r := rand.New(rand.NewPCG(6, 6))
	v, x := make([]float32, n*d), factor.NewMatrix(n, features+1)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	for i := range n {
		x.Row(i)[features] = 1
		x.Row(i)[r.IntN(features)] = 1
		x.Row(i)[r.IntN(features)] = 0.5
	}
	of := func(i int, f func(int, float32)) {
		for k, w := range x.Row(i)[:features] {
			if w != 0 {
				f(k, float32(w))
			}
		}
	}
	use := func(i int) bool { return i%4 != 0 }
	ridge, err := NewRidge(v, d, features, of, use, lambda)
	if err != nil {
		t.Fatal(err)
	}
	a := factor.NewMatrix(features+1, features+1)
	for k := range features {
		a.Row(k)[k] = lambda
	}
	b := make([][]float64, d)
	for k := range d {
		b[k] = make([]float64, features+1)
	}
	for i := range n {
		if !use(i) {
			continue
		}
		for p, w := range x.Row(i) {
			for q, z := range x.Row(i) {
				a.Row(p)[q] += w * z
			}
			for k := range d {
				b[k][p] += w * float64(v[i*d+k])
			}
		}
	}
	got := make([]float32, d)
	ridge.Vector(got, func(f func(int, float32)) { of(8, f) })
	for k := range d {
		want := 0.0
		for p, w := range solveDense(a, b[k]) {
			want += w * x.Row(8)[p]
		}
		if !(math.Abs(float64(got[k])-want) <= 1e-6) {
			t.Errorf("vector of a new one: %v at %d, want %v", got[k], k, want)
		}
	}
}
