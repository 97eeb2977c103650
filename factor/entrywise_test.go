package factor

import (
	"context"
	"errors"
	"math"
	"testing"

	"sparrow/internal/rng"
	"sparrow/kernel"
)

// entryWeights are spread over four decades, without a pattern of rows and columns.
func entryWeights(rows, cols int, seed uint64) *Matrix {
	return &Matrix{rows, cols, weights(rows*cols, seed)}
}

// naiveError is the objective as a loop over the entries.
func naiveError(a, f *Matrix, p *LowRank) float64 {
	mean := 0.0
	for _, v := range f.Data {
		mean += v / float64(len(f.Data))
	}
	sum := 0.0
	for i := range a.Rows {
		for j := range a.Cols {
			d := a.Row(i)[j]
			for k := range p.Up.Cols {
				d -= p.Up.Row(i)[k] * p.Down.Row(k)[j]
			}
			sum += (f.Row(i)[j]/mean + DefaultFloor) * d * d
		}
	}
	return math.Sqrt(sum)
}

func TestEntrywiseLowRank(t *testing.T) {
	a, _ := withValues(40, 50, spectra[2].value)
	f := entryWeights(40, 50, 9)
	for j := range 50 {
		f.Row(7)[j] = 0 // a row that does not matter
	}
	p, err := EntrywiseLowRank(context.Background(), a, f, EntrywiseConfig{Rank: 6, Sweeps: 40, Tolerance: 1e-7}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := naiveError(a, f, p); math.Abs(got-p.Error) > 1e-10*got {
		t.Errorf("error %g is reported as %g", got, p.Error)
	}
	if p.Error > 0.9*p.Start {
		t.Errorf("error %g after %d sweeps, %g before", p.Error, p.Sweeps, p.Start)
	}
	// A stationary point: small perturbations do not help.
	for seed := range uint64(20) {
		q := &LowRank{Up: p.Up.Clone(), Down: p.Down.Clone()}
		kernel.Axpy(1e-3, random(40, 6, 300+seed).Data, q.Up.Data)
		kernel.Axpy(1e-3, random(6, 50, 400+seed).Data, q.Down.Data)
		if got := naiveError(a, f, q); got < p.Error {
			t.Errorf("a perturbation has error %g, the result %g", got, p.Error)
		}
	}
}

// The error never rises, whatever the number of sweeps, and bytes do not depend on threads.
func TestEntrywiseFallsAndRepeats(t *testing.T) {
	defer kernel.SetThreads(0)
	a, f := random(30, 25, 1), entryWeights(30, 25, 2)
	last := math.Inf(1)
	for sweeps := 1; sweeps <= 6; sweeps++ {
		kernel.SetThreads(1 + sweeps%3)
		cfg := EntrywiseConfig{Rank: 4, Sweeps: sweeps, Tolerance: 1e-15}
		p, err := EntrywiseLowRank(context.Background(), a, f, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p.Error > last*(1+1e-12) || p.Sweeps != sweeps {
			t.Errorf("%d of %d sweeps: error %g, with one less %g", p.Sweeps, sweeps, p.Error, last)
		}
		last = p.Error
		kernel.SetThreads(2)
		again, err := EntrywiseLowRank(context.Background(), a, f, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range p.Up.Data {
			if again.Up.Data[i] != v {
				t.Fatalf("%d sweeps: Up[%d] depends on the threads", sweeps, i)
			}
		}
	}
}

func TestEntrywiseSpecialCases(t *testing.T) {
	a := random(20, 30, 4)
	for i := range a.Data {
		a.Data[i] *= 1e200
	}
	t.Run("separable weights are the weighted decomposition", func(t *testing.T) {
		row, col := weights(20, 1), weights(30, 2)
		f := NewMatrix(20, 30)
		for i := range f.Data {
			f.Data[i] = row[i/30] * col[i%30]
		}
		p, err := EntrywiseLowRank(context.Background(), a, f, EntrywiseConfig{Rank: 5}, nil)
		if err != nil {
			t.Fatal(err)
		}
		d, err := WeightedSVD(context.Background(), a, 5, Weights{Rows: row, Cols: col}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(p.Error-d.Error) > 1e-4*d.Error {
			t.Errorf("error %g, weighted decomposition %g", p.Error, d.Error)
		}
	})
	t.Run("full rank", func(t *testing.T) {
		p, err := EntrywiseLowRank(context.Background(), a, entryWeights(20, 30, 3), EntrywiseConfig{Rank: 20}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if off := distance(a, p.Up.Mul(p.Down), nil, nil); off > 1e-10*a.Norm() {
			t.Errorf("off by %g of %g", off, a.Norm())
		}
	})
	t.Run("all zero", func(t *testing.T) {
		p, err := EntrywiseLowRank(context.Background(), NewMatrix(4, 5), NewMatrix(4, 5), EntrywiseConfig{Rank: 2}, nil)
		if err != nil || p.Error != 0 {
			t.Errorf("error %v, %v", p, err)
		}
	})
	f := entryWeights(20, 30, 3)
	f.Data[33] = -1
	for _, tc := range []struct {
		name string
		f    *Matrix
		cfg  EntrywiseConfig
		want error
		text string
	}{
		{"negative", f, EntrywiseConfig{Rank: 1}, ErrWeight, "weight (1, 3) is -1"},
		{"shape", NewMatrix(30, 20), EntrywiseConfig{Rank: 1}, ErrShape, "20 x 30"},
		{"rank", NewMatrix(20, 30), EntrywiseConfig{Rank: 21}, ErrShape, "rank 21"},
		{"sweeps", NewMatrix(20, 30), EntrywiseConfig{Rank: 1, Sweeps: -1}, ErrShape, "-1 sweeps"},
	} {
		if _, err := EntrywiseLowRank(context.Background(), a, tc.f, tc.cfg, nil); !errors.Is(err, tc.want) || !contains(err, tc.text) {
			t.Errorf("%s: got %v, want %v with %q", tc.name, err, tc.want, tc.text)
		}
	}
}

func TestCholesky(t *testing.T) {
	for _, n := range []int{1, 2, 9, 40} {
		x := random(n, n+3, uint64(n))
		a := x.Mul(x.Transpose())
		want := make([]float64, n)
		rng.FillNormal(rng.New(1, "factor/cholesky", 0), want, 0, 1)
		b := a.Mul(&Matrix{n, 1, want}).Data
		if !cholesky(a.Data, n) {
			t.Fatalf("%d: not positive definite", n)
		}
		choleskySolve(a.Data, n, b)
		for i := range b {
			if math.Abs(b[i]-want[i]) > 1e-8 {
				t.Errorf("%d: x[%d] = %g, want %g", n, i, b[i], want[i])
			}
		}
	}
	if cholesky([]float64{1, 2, 2, 1}, 2) {
		t.Error("an indefinite matrix passed")
	}
}
