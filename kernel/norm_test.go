package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

const normEps = 1e-5

// normCase holds one norm's operands in both types.
type normCase struct {
	rows, cols int
	x, dy      []float64 // [rows,cols]
	w, b       []float64 // [cols]
}

func newNormCase(seed uint64, rows, cols int) normCase {
	rng := rand.New(rand.NewPCG(5, seed))
	values := func(n int, size, shift float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(float32(shift + size*rng.NormFloat64()))
		}
		return x
	}
	return normCase{rows, cols, values(rows*cols, 2, 0.5), values(rows*cols, 1, 0), values(cols, 0.3, 1), values(cols, 0.3, 0)}
}

// naive returns y in float64, from the equation. With rms it is RMSNorm: no mean, no b.
func (c normCase) naive(x, w, b []float64, rms bool) []float64 {
	y := make([]float64, len(x))
	for i := range c.rows {
		row := x[i*c.cols : (i+1)*c.cols]
		mean, variance := 0.0, 0.0
		for _, v := range row {
			if !rms {
				mean += v / float64(c.cols)
			}
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(c.cols)
		}
		for j, v := range row {
			y[i*c.cols+j] = (v - mean) / math.Sqrt(variance+normEps) * w[j]
			if !rms && b != nil {
				y[i*c.cols+j] += b[j]
			}
		}
	}
	return y
}

func to32(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func checkClose[T Float](t *testing.T, name string, got []T, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance*max(1, math.Abs(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", name, i, got[i], want[i])
		}
	}
}

var normSizes = [][2]int{{0, 4}, {1, 1}, {2, 3}, {3, 8}, {2, 17}, {3, 33}, {5, 64}, {2, 100}, {4, 257}, {2, 1024}}

func TestNormForward(t *testing.T) {
	const tolerance = 3e-6
	eachISA(t, func(t *testing.T) {
		for _, size := range normSizes {
			c := newNormCase(uint64(size[1]), size[0], size[1])
			x, w, b := to32(c.x), to32(c.w), to32(c.b)
			y, mean, rstd := make([]float32, len(x)), make([]float32, c.rows), make([]float32, c.rows)
			RMSNorm(y, x, w, rstd, c.rows, c.cols, normEps)
			checkClose(t, "RMSNorm y", y, c.naive(c.x, c.w, nil, true), tolerance)
			LayerNorm(y, x, w, b, mean, rstd, c.rows, c.cols, normEps)
			checkClose(t, "LayerNorm y", y, c.naive(c.x, c.w, c.b, false), tolerance)
			LayerNorm(y, x, w, nil, mean, rstd, c.rows, c.cols, normEps)
			checkClose(t, "LayerNorm y without b", y, c.naive(c.x, c.w, nil, false), tolerance)
			inPlace := slices.Clone(x)
			LayerNorm(inPlace, inPlace, w, nil, mean, rstd, c.rows, c.cols, normEps)
			if !sameBits(inPlace, y) {
				t.Errorf("LayerNorm %v in place differs", size)
			}
		}
	})
}

// TestLayerNormOffset checks rows whose mean is far larger than their spread: the two-pass variance must survive it.
func TestLayerNormOffset(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		x := make([]float32, 64)
		for i := range x {
			x[i] = 4096 + float32(i%2)
		}
		y, w, stat := make([]float32, 64), slices.Repeat([]float32{1}, 64), make([]float32, 2)
		LayerNorm(y, x, w, nil, stat[:1], stat[1:], 1, 64, 0)
		for i, v := range y {
			if want := float32(2*(i%2) - 1); v != want {
				t.Fatalf("y[%d] = %v, want %v", i, v, want)
			}
		}
	})
}

// TestNormGrad64 checks the float64 gradients against central differences of L = sum dy*y through the naive forward.
func TestNormGrad64(t *testing.T) {
	const tolerance = 1e-7
	for _, rms := range []bool{true, false} {
		for _, size := range [][2]int{{1, 1}, {3, 5}, {2, 17}} {
			c := newNormCase(7, size[0], size[1])
			x, w, b := slices.Clone(c.x), slices.Clone(c.w), slices.Clone(c.b)
			loss := func() float64 { return Dot(c.naive(x, w, b, rms), c.dy) }
			g := c.grads(rms)
			checkDifferences(t, "dx", loss, x, g.dx, tolerance)
			checkDifferences(t, "dw", loss, w, g.dw, tolerance)
			if !rms {
				checkDifferences(t, "db", loss, b, g.db, tolerance)
			}
		}
	}
}

// checkDifferences compares a gradient with central differences of loss in the entries of x.
func checkDifferences(t *testing.T, name string, loss func() float64, x, grad []float64, tolerance float64) {
	t.Helper()
	const h = 1e-5
	for i := range x {
		old := x[i]
		x[i] = old + h
		up := loss()
		x[i] = old - h
		down := loss()
		x[i] = old
		if want := (up - down) / (2 * h); math.Abs(grad[i]-want) > tolerance*max(1, math.Abs(want)) {
			t.Errorf("%s[%d] = %v, want %v", name, i, grad[i], want)
		}
	}
}

type normGrads struct{ dx, dw, db []float64 }

// grads runs the float64 kernels.
func (c normCase) grads(rms bool) normGrads {
	g := normGrads{make([]float64, len(c.x)), make([]float64, c.cols), make([]float64, c.cols)}
	y, mean, rstd := make([]float64, len(c.x)), make([]float64, c.rows), make([]float64, c.rows)
	if rms {
		RMSNorm(y, c.x, c.w, rstd, c.rows, c.cols, normEps)
		RMSNormGrad(g.dx, g.dw, c.dy, c.x, c.w, rstd, c.rows, c.cols)
	} else {
		LayerNorm(y, c.x, c.w, c.b, mean, rstd, c.rows, c.cols, normEps)
		LayerNormGrad(g.dx, g.dw, g.db, c.dy, c.x, c.w, mean, rstd, c.rows, c.cols)
	}
	return g
}

// TestNormGrad32 compares the float32 gradients with the float64 ones: in place, accumulating, and with parts skipped.
func TestNormGrad32(t *testing.T) {
	const tolerance = 1e-5
	eachISA(t, func(t *testing.T) {
		for _, size := range normSizes {
			c := newNormCase(uint64(size[1]), size[0], size[1])
			x, w, dy := to32(c.x), to32(c.w), to32(c.dy)
			y, mean, rstd := make([]float32, len(x)), make([]float32, c.rows), make([]float32, c.rows)
			for _, rms := range []bool{true, false} {
				want := c.grads(rms)
				for i := range want.dw { // the parameters' gradients accumulate on 1
					want.dw[i]++
					want.db[i]++
				}
				run := func(dx, dw, db, dy []float32) {
					if rms {
						RMSNorm(y, x, w, rstd, c.rows, c.cols, normEps)
						RMSNormGrad(dx, dw, dy, x, w, rstd, c.rows, c.cols)
					} else {
						LayerNorm(y, x, w, nil, mean, rstd, c.rows, c.cols, normEps)
						LayerNormGrad(dx, dw, db, dy, x, w, mean, rstd, c.rows, c.cols)
					}
				}
				dx, dw, db := slices.Clone(dy), slices.Repeat([]float32{1}, c.cols), slices.Repeat([]float32{1}, c.cols)
				run(dx, dw, db, dx)
				checkClose(t, "dx in place", dx, want.dx, tolerance)
				checkClose(t, "dw", dw, want.dw, tolerance)
				if !rms {
					checkClose(t, "db", db, want.db, tolerance)
				}
				clear(dx)
				run(dx, nil, nil, dy)
				checkClose(t, "dx without dw", dx, want.dx, tolerance)
			}
		}
	})
}
