package factor

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sparrow/kernel"
)

// holes returns marks of which a share is known.
func holes(n int, share float64, seed uint64) []bool {
	r := rand.New(rand.NewPCG(seed, 2))
	known := make([]bool, n)
	for i := range known {
		known[i] = r.Float64() < share
	}
	return known
}

// A planted product is found again from a third of its entries, also where they were never seen.
func TestMissingLowRankRecovers(t *testing.T) {
	a := random(300, 4, 1).Mul(random(4, 40, 2))
	known := holes(len(a.Data), 0.35, 3)
	spoiled := a.Clone()
	for i, yes := range known {
		if !yes {
			spoiled.Data[i] = math.NaN() // is not read
		}
	}
	got, err := MissingLowRank(context.Background(), spoiled, known, MissingConfig{Rank: 4, Sweeps: 40, Ridge: 1e-9}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := got.Up.Mul(got.Down)
	for i, v := range a.Data {
		if d := math.Abs(p.Data[i] - v); d > 1e-5 {
			t.Fatalf("entry %d (known %v) is %v, want %v", i, known[i], p.Data[i], v)
		}
	}
	if gram := got.Down.Mul(got.Down.Transpose()); offIdentity(gram) > 1e-12 {
		t.Error("the rows of Down are not orthonormal")
	}
	moments := got.Up.Transpose().Mul(got.Up)
	for i := range 4 {
		for k := range 4 {
			if i != k && math.Abs(moments.Row(i)[k]) > 1e-9*moments.Row(0)[0] {
				t.Errorf("columns %d and %d of Up are not orthogonal", i, k)
			}
		}
		if i > 0 && moments.Row(i)[i] > moments.Row(i - 1)[i-1] {
			t.Error("the columns of Up are not in falling order")
		}
	}
}

// Each half step solves its ridge regression, checked by the gradient written as plain sums, and never raises the sum.
func TestMissingHalfSolves(t *testing.T) {
	const ridge = 0.3
	a, known := random(30, 12, 4), holes(360, 0.5, 5)
	up, right := random(30, 3, 6), random(12, 3, 7)
	objective := func() float64 {
		e := missingError(a, known, up, right)
		return e*e + ridge*(kernel.SumSquares(up.Data)+kernel.SumSquares(right.Data))
	}
	before := objective()
	missingHalf(a, known, up, right, ridge)
	for i := range 30 {
		for k := range 3 {
			slope := ridge * up.Row(i)[k]
			for c := range 12 {
				if known[i*12+c] {
					fit := 0.0
					for l := range 3 {
						fit += up.Row(i)[l] * right.Row(c)[l]
					}
					slope += (fit - a.Row(i)[c]) * right.Row(c)[k]
				}
			}
			if math.Abs(slope) > 1e-12 {
				t.Fatalf("row %d: gradient %v, want 0", i, slope)
			}
		}
	}
	if after := objective(); !(after < before) {
		t.Errorf("the sum went from %v to %v", before, after)
	}
}

// Zero-filling, what the paper does, is far from the planted space; alternating least squares is near it.
func TestMissingBeatsZeroFilling(t *testing.T) {
	a := random(400, 3, 8).Mul(smooth(3, 60, 9))
	known := holes(len(a.Data), 0.2, 10)
	zeroed := NewMatrix(a.Rows, a.Cols)
	for i, yes := range known {
		if yes {
			zeroed.Data[i] = a.Data[i] + 0.02*random(1, 1, uint64(i)).Data[0]
		}
	}
	plain, err := TruncatedSVD(context.Background(), zeroed, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	filled, err := MissingLowRank(context.Background(), zeroed, known, MissingConfig{Rank: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	far, near := distance(a, plain.Product(), nil, nil), distance(a, filled.Up.Mul(filled.Down), nil, nil)
	if !(near < far/4) {
		t.Errorf("error %v after alternating, %v by zero-filling", near, far)
	}
}

func TestMissingEmptyLinesAndThreads(t *testing.T) {
	a := random(50, 20, 11)
	known := holes(len(a.Data), 0.4, 12)
	for c := range 20 {
		known[7*20+c] = false
	}
	for i := range 50 {
		known[i*20+3] = false
	}
	run := func() *LowRank {
		l, err := MissingLowRank(context.Background(), a, known, MissingConfig{Rank: 5}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	one := run()
	if up := one.Up.Row(7); kernel.SumSquares(up) != 0 {
		t.Errorf("a row that knows nothing is %v, want zeros", up)
	}
	for k := range 5 {
		if v := one.Down.Row(k)[3]; math.Abs(v) > 1e-12 {
			t.Errorf("a column that nobody knows has %v", v)
		}
	}
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	kernel.SetThreads(3)
	if three := run(); !slices.Equal(one.Up.Data, three.Up.Data) || !slices.Equal(one.Down.Data, three.Down.Data) {
		t.Error("three threads give other bits")
	}
}

func TestMissingErrors(t *testing.T) {
	a := random(5, 4, 13)
	all := holes(20, 2, 1)
	ctx := context.Background()
	bad := a.Clone()
	bad.Data[6] = math.Inf(1)
	for name, c := range map[string]struct {
		a     *Matrix
		known []bool
		cfg   MissingConfig
		want  error
	}{
		"nil":    {nil, all, MissingConfig{Rank: 2}, ErrShape},
		"rank":   {a, all, MissingConfig{Rank: 5}, ErrShape},
		"marks":  {a, all[:19], MissingConfig{Rank: 2}, ErrShape},
		"sweeps": {a, all, MissingConfig{Rank: 2, Sweeps: -1}, ErrShape},
		"ridge":  {a, all, MissingConfig{Rank: 2, Ridge: math.NaN()}, ErrShape},
		"inf":    {bad, all, MissingConfig{Rank: 2}, ErrNotFinite},
	} {
		if _, err := MissingLowRank(ctx, c.a, c.known, c.cfg, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, _, err := SymmetricEigen(ctx, a, 1); !errors.Is(err, ErrShape) {
		t.Errorf("a matrix that is not square: got %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := MissingLowRank(stopped, a, all, MissingConfig{Rank: 2}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %v", err)
	}
}
