package factor

import (
	"context"
	"errors"
	"math"
	"testing"

	"sparrow/kernel"
)

// TestOMPErrors: for each number of atoms what is left is the weighted error of OMP's own code with so many, also of zero
// vectors, of vectors that few atoms explain, and of more vectors than a batch has; equal for any number of threads.
func TestOMPErrors(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name              string
		n, b, k, nonzeros int
		rows, cols        bool
		scale             float64
	}{
		{"plain", 70, 6, 10, 6, false, false, 1},
		{"rows", 70, 6, 10, 5, true, false, 1},
		{"columns", 33, 8, 8, 8, false, true, 1e-12},
		{"both", codeBatch + 100, 4, 9, 3, true, true, 1e12},
		{"one atom", 5, 3, 1, 1, true, true, 1},
	} {
		x, d := random(c.n, c.b, 3), atoms(c.k, c.b, 4)
		kernel.Scale(c.scale, x.Data)
		clear(x.Row(1))
		copy(x.Row(2), d.Row(0)) // one atom explains it
		kernel.Scale(c.scale, x.Row(2))
		weights := func(n int, given bool) []float64 {
			if !given {
				return nil
			}
			w := make([]float64, n)
			for i := range w {
				w[i] = float64((7*i)%5) / 3
			}
			return w
		}
		rows, cols := weights(c.n, c.rows), weights(c.b, c.cols)
		got, err := OMPErrors(ctx, x, d, c.nonzeros, rows, cols, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.nonzeros+1 {
			t.Fatalf("%s: %d errors, want %d", c.name, len(got), c.nonzeros+1)
		}
		all := 0.0
		for s := range got {
			want := 0.0
			p := NewMatrix(c.n, c.b)
			if s > 0 {
				codes, err := OMP(ctx, x, d, s, nil)
				if err != nil {
					t.Fatal(err)
				}
				p = codes.Product(d)
			}
			for i := range x.Rows {
				for j, v := range x.Row(i) {
					e := v - p.Row(i)[j]
					e *= e
					if rows != nil {
						e *= rows[i]
					}
					if cols != nil {
						e *= cols[j]
					}
					want += e
				}
			}
			all = max(all, want)
			if math.Abs(got[s]-want) > 1e-12*all {
				t.Errorf("%s: with %d atoms %g is left, want %g", c.name, s, got[s], want)
			}
		}
		kernel.SetThreads(1)
		alone, err := OMPErrors(ctx, x, d, c.nonzeros, rows, cols, nil)
		kernel.SetThreads(0)
		for s := range got {
			if err != nil || alone[s] != got[s] {
				t.Errorf("%s: with %d atoms and one thread %g is left, want %g (%v)", c.name, s, alone[s], got[s], err)
			}
		}
	}
}

// TestOMPErrorsRefusals: what is no input is an error that says so.
func TestOMPErrorsRefusals(t *testing.T) {
	x, d := random(4, 3, 1), atoms(5, 3, 2)
	broken := x.Clone()
	broken.Data[5] = math.Inf(1)
	for _, c := range []struct {
		name       string
		x          *Matrix
		nonzeros   int
		rows, cols []float64
		want       error
	}{
		{"not finite", broken, 2, nil, nil, ErrNotFinite},
		{"nonzeros", x, 6, nil, nil, ErrShape},
		{"row weights", x, 2, make([]float64, 3), nil, ErrShape},
		{"column weights", x, 2, nil, make([]float64, 4), ErrShape},
		{"negative weight", x, 2, nil, []float64{1, -1, 1}, ErrWeight},
		{"weight that is no number", x, 2, []float64{1, 1, math.NaN(), 1}, nil, ErrWeight},
	} {
		if _, err := OMPErrors(context.Background(), c.x, d, c.nonzeros, c.rows, c.cols, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := OMPErrors(ctx, x, d, 2, nil, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}
