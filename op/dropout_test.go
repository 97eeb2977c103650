package op

import (
	"math"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// dropped is dropout of ones with an upstream gradient of twos.
func dropped(p float64, seed uint64, n int) subject {
	ones, twos := array{[]int{1, n}, make([]float64, n)}, make([]float64, n)
	for i := range twos {
		ones.data[i], twos[i] = 1, 2
	}
	return subject{name: "dropout", floats: map[string]array{"x": ones}, ints: map[string][]int{"step": {0}}, dy: twos,
		build: func(g *graph) *G.Node { return Dropout(g.tape, g.x("x"), g.i("step"), p, seed) }}
}

// TestDropoutRate counts the elements that survive: their number is binomial, and
// 5 standard deviations are allowed. Survivors are scaled so that the mean stays,
// and the gradient goes through the same elements.
func TestDropoutRate(t *testing.T) {
	const n = 200_000
	for _, p := range []float64{0.01, 0.1, 0.5, 0.9} {
		for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
			r := dropped(p, 1, n).compile(t, dtype).result(t)
			kept := 0
			for i, y := range r.y {
				if y != 0 {
					kept++
					if math.Abs(y-1/(1-p)) > 1e-6*y {
						t.Fatalf("p=%v: a survivor is scaled by %v, want %v", p, y, 1/(1-p))
					}
				}
				if dx := r.grads["x"][i]; dx != 2*y {
					t.Fatalf("p=%v: gradient %v where the output is %v, want twice as much", p, dx, y)
				}
			}
			if deviation := math.Sqrt(n * p * (1 - p)); math.Abs(float64(kept)-n*(1-p)) > 5*deviation {
				t.Errorf("p=%v %v: %d of %d elements kept, want %.0f +- %.0f", p, dtype, kept, n, n*(1-p), 5*deviation)
			}
		}
	}
}

// agreement is the share of elements that two masks have in common.
func agreement(a, b []float64) float64 {
	same := 0
	for i := range a {
		if (a[i] == 0) == (b[i] == 0) {
			same++
		}
	}
	return float64(same) / float64(len(a))
}

// Masks of two steps, and of two layers, are independent; those of one step and
// layer are equal, also on another number of threads.
func TestDropoutMasks(t *testing.T) {
	const n = 100_000
	m := dropped(0.5, 7, n).compile(t, tensor.Float32)
	at := func(step int) []float64 {
		m.ints["step"].Ints()[0] = step
		return m.result(t).y
	}
	first := at(0)
	for _, step := range []int{1, 2, 1 << 40} {
		if a := agreement(first, at(step)); math.Abs(a-0.5) > 0.01 {
			t.Errorf("masks of steps 0 and %d agree in %.3f of the elements, want 0.5", step, a)
		}
	}
	for _, seed := range []uint64{0, 6, 8, 1 << 60} {
		other := dropped(0.5, seed, n).compile(t, tensor.Float32).result(t).y
		if a := agreement(first, other); math.Abs(a-0.5) > 0.01 {
			t.Errorf("masks of seeds 7 and %d agree in %.3f of the elements, want 0.5", seed, a)
		}
	}
	// One layer's step must not be another's: seed 7 at step 1 is not seed 8 at step 0.
	if a := agreement(at(1), dropped(0.5, 8, n).compile(t, tensor.Float32).result(t).y); math.Abs(a-0.5) > 0.01 {
		t.Errorf("masks of (7, 1) and (8, 0) agree in %.3f of the elements, want 0.5", a)
	}
	t.Cleanup(func() { kernel.SetThreads(0) })
	for _, threads := range []int{1, 2, 4} {
		kernel.SetThreads(threads)
		if !slices.Equal(at(0), first) {
			t.Errorf("another mask on %d threads", threads)
		}
	}
}

// Neighbours in the mask are independent: of pairs, a quarter is dropped.
func TestDropoutNeighbours(t *testing.T) {
	const n = 200_000
	y := dropped(0.5, 3, n).compile(t, tensor.Float32).result(t).y
	for _, distance := range []int{1, 2, 64, 1024} {
		both := 0
		for i := distance; i < n; i++ {
			if y[i] == 0 && y[i-distance] == 0 {
				both++
			}
		}
		if share := float64(both) / float64(n-distance); math.Abs(share-0.25) > 0.01 {
			t.Errorf("elements %d apart are dropped together in %.3f of the cases, want 0.25", distance, share)
		}
	}
}

// The mask is a function of the index: a longer value, cut into other pieces of
// parallel work, begins with the same mask.
func TestDropoutPrefix(t *testing.T) {
	const n = 2*elementGrain + 5
	long := dropped(0.3, 3, 3*n).compile(t, tensor.Float32).result(t).y
	for _, size := range []int{1, 2, elementGrain - 1, elementGrain + 1, n} {
		same(t, "prefix", dropped(0.3, 3, size).compile(t, tensor.Float32).result(t).y, long[:size], 0)
	}
}

func TestDropoutEnds(t *testing.T) {
	everything := dropped(1, 1, 100).compile(t, tensor.Float32).result(t)
	same(t, "y at p=1", everything.y, make([]float64, 100), 0)
	same(t, "dx at p=1", everything.grads["x"], make([]float64, 100), 0)
	for name, training := range map[string]bool{"p=0": true, "no training": false} {
		tp := NewTape(tensor.Float32, training)
		x := tp.Input("x", tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(2, 2)))
		p := 0.5
		if training {
			p = 0
		}
		if Dropout(tp, x, nil, p, 1) != x {
			t.Errorf("%s: dropout is not the identity", name)
		}
	}
}
