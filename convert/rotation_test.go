package convert

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"sparrow/factor"
	"sparrow/internal/rng"
)

func random(rows, cols int, seed uint64) *factor.Matrix {
	r := rand.New(rand.NewPCG(seed, 1))
	m := factor.NewMatrix(rows, cols)
	for i := range m.Data {
		m.Data[i] = r.NormFloat64()
	}
	return m
}

// turn is the matrix R(n) of a head with those frequencies, in the layout of op.Rotary.
func turn(f []float64, n int) *factor.Matrix {
	r := factor.NewMatrix(2*len(f), 2*len(f))
	for i, w := range f {
		sin, cos := math.Sincos(w * float64(n))
		j := i + len(f)
		r.Row(i)[i], r.Row(i)[j] = cos, -sin
		r.Row(j)[i], r.Row(j)[j] = sin, cos
	}
	return r
}

// weights are those of newTurns, from their definition.
func weights(context int) []float64 {
	w := make([]float64, context)
	sum := 0.0
	for n := range w {
		w[n] = distanceWeight(n, context)
		sum += w[n]
	}
	for n := range w {
		w[n] /= sum
	}
	return w
}

func nearly(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.12g, want %.12g", what, got, want)
	}
}

// TestMeanOfTurns compares with the sum over distances.
func TestMeanOfTurns(t *testing.T) {
	const context = 9
	rows, cols := frequencies(6, 100), frequencies(4, 100)
	x := random(6, 8, 1) // two heads of columns
	for _, back := range []bool{false, true} {
		sign := 1
		if back {
			sign = -1
		}
		got := newTurns(rows, cols, context).mean(x, back)
		want := factor.NewMatrix(6, 8)
		for n, w := range weights(context) {
			for h := range 2 {
				y := turn(rows, sign*n).Mul(columns(x, h, 4)).Mul(turn(cols, sign*n).Transpose())
				for i := range y.Rows {
					for j, v := range y.Row(i) {
						want.Row(i)[4*h+j] += w * v
					}
				}
			}
		}
		for i := range want.Data {
			nearly(t, "mean", got.Data[i], want.Data[i], 1e-12)
		}
	}
}

// someCircuits are those of a random layer with two groups of two heads.
func someCircuits() circuits {
	return circuits{q: random(16, 12, 2), k: random(8, 12, 3), v: random(8, 12, 4), o: random(12, 16, 5), heads: 4, groups: 2, width: 4, root: random(12, 12, 6)}
}

// lost is the sum of squares that rotatingBasis makes small, relative to that without features, from its definition.
func (c circuits) lost(b basis, theta float64, context int) float64 {
	lost, whole := 0.0, 0.0
	old, own := frequencies(c.width, theta), frequencies(b.encode.Rows, theta)
	for h := range c.heads {
		q := c.head(h).Mul(c.root).Transpose() // [D, K]
		g := c.group(h)
		k := block(c.k, g, c.width).Mul(c.root)
		maps := block(b.decode, g, c.width) // [K, C]
		features := b.encode.Mul(c.k).Mul(c.root)
		for n, w := range weights(context) {
			want := q.Mul(turn(old, -n)).Mul(k)
			got := q.Mul(maps).Mul(turn(own, -n)).Mul(features)
			for i, x := range want.Data {
				lost += w * (x - got.Data[i]) * (x - got.Data[i])
				whole += w * x * x
			}
		}
	}
	return lost / whole
}

// TestRotatingBasis: what it says to keep is kept, by the definition of the sum of squares; no small change of either
// factor keeps more; more features do.
func TestRotatingBasis(t *testing.T) {
	const theta, length = 50, 11
	c := someCircuits()
	before := 1.0
	for _, features := range []int{2, 4, 8} {
		b, err := c.rotatingBasis(context.Background(), newRotation(c.width, features, theta, length), features, rng.New(1, "test", 0))
		if err != nil {
			t.Fatal(err)
		}
		lost := c.lost(b, theta, length)
		nearly(t, "lost", 1-b.kept, lost, 1e-9)
		if !(lost < before) {
			t.Errorf("%d features lose %g, fewer lose %g", features, lost, before)
		}
		before = lost
		for seed := range uint64(4) {
			near := b
			near.encode, near.decode = b.encode.Clone(), b.decode.Clone()
			changed, by := near.encode, random(features, 8, seed)
			if seed%2 == 0 {
				changed, by = near.decode, random(8, features, seed)
			}
			for i, x := range by.Data {
				changed.Data[i] += 1e-2 * x
			}
			if got := c.lost(near, theta, length); got < lost {
				t.Errorf("%d features: a change of a factor loses %g, less than %g", features, got, lost)
			}
		}
	}
}

// TestSharedBasis: with room for all of it the circuits are exact; with less, what is kept is what the singular values
// of all circuits side by side say (Eckart and Young).
func TestSharedBasis(t *testing.T) {
	c := someCircuits()
	ctx := context.Background()
	// All value-output circuits below each other, [H D, D], as the layer's inputs see them.
	stack := factor.NewMatrix(c.heads*12, 12)
	out := c.o.Transpose()
	for h := range c.heads {
		circuit := block(out, h, c.width).Transpose().Mul(block(c.v, c.group(h), c.width)).Mul(c.root)
		copy(block(stack, h, 12).Data, circuit.Data)
	}
	d, err := factor.ThinSVD(ctx, stack, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, features := range []int{1, 3, 8} {
		b, err := sharedBasis(ctx, c.v, c.outputMetrics(), c.root, features)
		if err != nil {
			t.Fatal(err)
		}
		nearly(t, "kept", b.kept, energy(d.S[:features])/energy(d.S), 1e-12)
		lost := 0.0
		back := b.decode.Mul(b.encode)
		for h := range c.heads {
			o := block(out, h, c.width).Transpose() // [D, K]
			got := o.Mul(block(back, c.group(h), c.width)).Mul(c.v).Mul(c.root)
			for i, x := range block(stack, h, 12).Data {
				lost += (x - got.Data[i]) * (x - got.Data[i])
			}
		}
		nearly(t, "lost", lost/energy(d.S), 1-b.kept, 1e-12)
	}
}
