package factor

import (
	"errors"
	"math"
	"testing"

	"sparrow/internal/rng"
)

// randomMatrix has uniform entries.
func uniformMatrix(seed uint64, rows, cols int, low, high float64) *Matrix {
	m := NewMatrix(rows, cols)
	rng.FillUniform(rng.New(seed, "factor/test", 0), m.Data, low, high)
	return m
}

// bestNonNegative tries every set of free unknowns.
func bestNonNegative(x []float64, w *Matrix) float64 {
	best := math.Inf(1)
	for set := range 1 << w.Rows {
		var index []int
		for k := range w.Rows {
			if set>>k&1 == 1 {
				index = append(index, k)
			}
		}
		n := len(index)
		g, c := make([]float64, n*n), make([]float64, n)
		for i, a := range index {
			for j, b := range index {
				for d := range w.Cols {
					g[i*n+j] += w.Row(a)[d] * w.Row(b)[d]
				}
			}
			for d := range w.Cols {
				c[i] += w.Row(a)[d] * x[d]
			}
		}
		if !cholesky(g, n) {
			continue
		}
		choleskySolve(g, n, c)
		ok := true
		rest := append([]float64(nil), x...)
		for i, a := range index {
			ok = ok && c[i] >= 0
			for d := range rest {
				rest[d] -= c[i] * w.Row(a)[d]
			}
		}
		if !ok {
			continue
		}
		sum := 0.0
		for _, v := range rest {
			sum += v * v
		}
		best = min(best, sum)
	}
	return best
}

func TestNonNegative(t *testing.T) {
	for seed := range uint64(20) {
		w := uniformMatrix(seed, 5, 7, -1, 1)
		x := uniformMatrix(100+seed, 9, 7, -1, 1)
		c, err := NonNegative(t.Context(), x, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := c.Mul(w)
		for i := range x.Rows {
			got := 0.0
			for d, v := range x.Row(i) {
				got += (v - p.Row(i)[d]) * (v - p.Row(i)[d])
			}
			for _, v := range c.Row(i) {
				if v < 0 {
					t.Fatalf("seed %d: row %d has the weight %g", seed, i, v)
				}
			}
			if want := bestNonNegative(x.Row(i), w); got > want*(1+1e-9)+1e-12 {
				t.Errorf("seed %d: row %d: squared error %g, want %g", seed, i, got, want)
			}
		}
	}
}

func TestNonNegativeHostile(t *testing.T) {
	for name, w := range map[string]*Matrix{
		"zeros":      NewMatrix(3, 4),
		"equal rows": {3, 4, []float64{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}},
		"one zero":   {2, 4, []float64{0, 0, 0, 0, 1, 0, 2, 0}},
		"orthogonal": {3, 4, []float64{1, 1, 0, 0, 1, -1, 0, 0, 0, 0, 1, 0}},
		"tiny":       {2, 4, []float64{1e-200, 0, 0, 1e-200, 0, 1e-200, 0, 0}},
		"huge":       {2, 4, []float64{1e200, 0, 0, 1e200, 0, 1e200, 0, 0}},
	} {
		x := &Matrix{2, 4, []float64{1, 2, 3, 4, 0, 0, 0, 0}}
		c, err := NonNegative(t.Context(), x, w, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range c.Data {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Errorf("%s: weight %g", name, v)
			}
		}
	}
	if _, err := NonNegative(t.Context(), NewMatrix(2, 3), NewMatrix(2, 4), nil); !errors.Is(err, ErrShape) {
		t.Errorf("different widths: %v", err)
	}
}

func TestOnSimplex(t *testing.T) {
	for seed := range uint64(10) {
		w := uniformMatrix(seed, 4, 5, 0, 1)
		x := uniformMatrix(50+seed, 6, 5, -0.5, 1.5)
		p, err := OnSimplex(t.Context(), x, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range x.Rows {
			sum := 0.0
			for _, v := range p.Row(i) {
				if v < 0 {
					t.Fatalf("seed %d: weight %g", seed, v)
				}
				sum += v
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("seed %d: weights sum to %v", seed, sum)
			}
			// At the nearest point no vertex lies on x's side: (w_k - p W)ᵀ (x - p W) <= 0.
			at := (&Matrix{1, 4, p.Row(i)}).Mul(w)
			for k := range w.Rows {
				dot := 0.0
				for d := range w.Cols {
					dot += (w.Row(k)[d] - at.Data[d]) * (x.Row(i)[d] - at.Data[d])
				}
				if dot > 1e-9 {
					t.Errorf("seed %d: row %d: moving to vertex %d comes nearer: %g", seed, i, k, dot)
				}
			}
		}
	}
	// Points of the hull get their own weights.
	w := uniformMatrix(7, 3, 6, 0, 1)
	want := &Matrix{3, 3, []float64{0.2, 0.5, 0.3, 1, 0, 0, 0, 0.4, 0.6}}
	p, err := OnSimplex(t.Context(), want.Mul(w), w, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range p.Data {
		if math.Abs(v-want.Data[i]) > 1e-6 {
			t.Errorf("weight %d: got %g, want %g", i, v, want.Data[i])
		}
	}
}

func TestSeparableFindsPureRows(t *testing.T) {
	w := uniformMatrix(3, 4, 6, 0, 1)
	for k := range w.Rows {
		sum := 0.0
		for _, v := range w.Row(k) {
			sum += v
		}
		for d := range w.Row(k) {
			w.Row(k)[d] /= sum
		}
	}
	c := uniformMatrix(4, 40, 4, 0.05, 1) // mixtures, but for four rows
	pure := map[int]bool{7: true, 13: true, 22: true, 39: true}
	k := 0
	for i := range 40 {
		if pure[i] {
			clear(c.Row(i))
			c.Row(i)[k] = 3
			k++
		}
	}
	h := c.Mul(w)
	s, err := Separable(t.Context(), h, 4, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range s.Rows {
		if !pure[i] {
			t.Errorf("row %d is chosen, which is a mixture: %v", i, s.Rows)
		}
	}
	got, err := NonNegative(t.Context(), h, s.Vertices, nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := got.Mul(s.Vertices)
	for i, v := range h.Data {
		if math.Abs(rest.Data[i]-v) > 1e-9 {
			t.Fatalf("entry %d: %g, want %g", i, rest.Data[i], v)
		}
	}
}

func TestSeparableShowsLowRank(t *testing.T) {
	h := uniformMatrix(1, 10, 2, 0.1, 1).Mul(uniformMatrix(2, 2, 5, 0.1, 1))
	s, err := Separable(t.Context(), h, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Residuals[1] < 1e-3 || s.Residuals[2] > 1e-12 {
		t.Errorf("residuals %v, want a third of 0", s.Residuals)
	}
	if _, err := Separable(t.Context(), &Matrix{3, 3, []float64{1, 2, 3, 0, 0, 0, 0, 0, 0}}, 2, 0); !errors.Is(err, ErrShape) {
		t.Errorf("one row with anything in it: %v", err)
	}
	if _, err := Separable(t.Context(), &Matrix{1, 2, []float64{1, -1}}, 1, 0); !errors.Is(err, ErrShape) {
		t.Errorf("a negative entry: %v", err)
	}
}

func TestNMF(t *testing.T) {
	x := uniformMatrix(5, 30, 3, 0, 1).Mul(uniformMatrix(6, 3, 8, 0, 1))
	for _, loss := range []Divergence{Frobenius, KL} {
		last := math.Inf(1)
		for _, n := range []int{1, 2, 5, 10, 20, 50, 400} {
			f, err := NMF(t.Context(), x, NMFConfig{Rank: 3, Loss: loss, Iterations: n, Tolerance: 1e-12, Seed: 1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if f.Loss > last*(1+1e-9) {
				t.Errorf("loss %d: rises from %g to %g at %d iterations", loss, last, f.Loss, n)
			}
			last = f.Loss
		}
		if last > 1e-2 {
			t.Errorf("loss %d: %g after 400 iterations on an exact product", loss, last)
		}
	}
	w := uniformMatrix(6, 3, 8, 0, 1)
	f, err := NMF(t.Context(), x, NMFConfig{Rank: 3, Start: w}, nil)
	if err != nil || f.Loss > 1e-12 {
		t.Errorf("from the true factor: loss %v, error %v", f, err)
	}
}

func TestNMFHostile(t *testing.T) {
	for name, x := range map[string]*Matrix{
		"zeros": NewMatrix(4, 3),
		"tiny":  {2, 2, []float64{1e-300, 0, 0, 1e-300}},
		"huge":  {2, 2, []float64{1e300, 0, 0, 1e300}},
	} {
		for _, loss := range []Divergence{Frobenius, KL} {
			f, err := NMF(t.Context(), x, NMFConfig{Rank: 2, Loss: loss}, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, v := range append(f.C.Data, f.W.Data...) {
				if !(v >= 0) || math.IsInf(v, 0) {
					t.Fatalf("%s: loss %d: factor %g", name, loss, v)
				}
			}
		}
	}
}

// TestNonNegativeSmallIntegers meets ties, equal rows and solutions that are exactly zero, of which random numbers have none.
func TestNonNegativeSmallIntegers(t *testing.T) {
	r := rng.New(5, "factor/test", 0)
	for n := range 3000 {
		w, x := NewMatrix(1+r.Intn(4), 3), NewMatrix(1, 3)
		for i := range w.Data {
			w.Data[i] = float64(r.Intn(5) - 2)
		}
		for i := range x.Data {
			x.Data[i] = float64(r.Intn(5) - 2)
		}
		c, err := NonNegative(t.Context(), x, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := 0.0
		for d, v := range c.Mul(w).Data {
			got += (x.Data[d] - v) * (x.Data[d] - v)
		}
		if want := bestNonNegative(x.Data, w); got > want+1e-9 {
			t.Fatalf("problem %d: x %v, W %v: squared error %g, want %g", n, x.Data, w.Data, got, want)
		}
	}
}
