package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestReductions compares each reduction with a float64 loop, relative to the sum of the terms' sizes.
func TestReductions(t *testing.T) {
	const tolerance = 5e-7 // each of the partial sums rounds a few dozen times at the longest length here
	for _, tc := range []struct {
		name string
		got  func(x, y []float32) float64
		term func(x, y float64) float64
	}{
		{"Dot", func(x, y []float32) float64 { return float64(Dot(x, y)) }, func(x, y float64) float64 { return x * y }},
		{"Sum", func(x, _ []float32) float64 { return float64(Sum(x)) }, func(x, _ float64) float64 { return x }},
		{"SumSquares", func(x, _ []float32) float64 { return SumSquares(x) }, func(x, _ float64) float64 { return x * x }},
		{"sumSquaresAround", func(x, _ []float32) float64 { return float64(sumSquaresAround(x, 0.5)) },
			func(x, _ float64) float64 { return (x - 0.5) * (x - 0.5) }},
		{"expSum", func(x, _ []float32) float64 { return float64(expSum(x, 0.5, 1)) }, func(x, _ float64) float64 { return math.Exp(0.5*x - 1) }},
		{"ExpShift", func(x, _ []float32) float64 { return float64(ExpShift(make([]float32, len(x)), x, 0.5, 1)) },
			func(x, _ float64) float64 { return math.Exp(0.5*x - 1) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(3, 1))
				for _, n := range lengths {
					x, y := randomValues(rng, n, false), randomValues(rng, n, false)
					want, size := 0.0, 0.0
					for i := range x {
						v := tc.term(float64(x[i]), float64(y[i]))
						want += v
						size += math.Abs(v)
					}
					// Over the long slice the portable loop has eight partial sums of 8,000 terms each.
					limit := tolerance * size
					if n > 1000 {
						limit *= 20
					}
					if got := tc.got(x, y); !(math.Abs(got-want) <= limit) {
						t.Errorf("%s, n = %d: got %v, want %v within %.3g", tc.name, n, got, want, limit)
					}
				}
			})
		})
	}
}

func TestMaxValue(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 2))
		for _, n := range lengths[1:] {
			x := randomValues(rng, n, false)
			for i := range x {
				x[i] = -1 - x[i]*x[i] // negative: a stray 0 past the end would win
			}
			if got, want := MaxValue(x), slices.Max(x); got != want {
				t.Errorf("n = %d: got %v, want %v", n, got, want)
			}
			at := rng.IntN(n)
			x[at] = -0.5
			if got := MaxValue(x); got != -0.5 {
				t.Errorf("n = %d, largest at %d: got %v, want -0.5", n, at, got)
			}
		}
		for _, tc := range []struct {
			name string
			x    []float32
			want float32
		}{
			{"empty", nil, -inf},
			{"all masked", []float32{-inf, -inf, -inf}, -inf},
			{"NaN skipped", []float32{nan, -3, nan}, -3},
			{"NaN only", []float32{nan}, -inf},
			{"infinity", []float32{1, inf, 2}, inf},
		} {
			if got := MaxValue(tc.x); got != tc.want {
				t.Errorf("%s: MaxValue(%v) = %v, want %v", tc.name, tc.x, got, tc.want)
			}
		}
	})
}

func TestAllFinite(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths {
			x := slices.Repeat([]float32{math.MaxFloat32}, n)
			if !AllFinite(x) {
				t.Errorf("n = %d of the largest float32: got false, want true", n)
			}
			for _, at := range []int{0, n / 2, n - 1} {
				for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					if n == 0 {
						continue
					}
					old := x[at]
					x[at] = float32(bad)
					if AllFinite(x) {
						t.Errorf("n = %d with %v at %d: got true, want false", n, bad, at)
					}
					x[at] = old
				}
			}
		}
	})
	if AllFinite([]float64{1, math.Inf(-1)}) || !AllFinite([]float64{math.MaxFloat64, 0}) {
		t.Error("AllFinite is wrong for float64")
	}
}

func TestColSum(t *testing.T) {
	const tolerance = 1e-6
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 3))
		for _, rows := range []int{0, 1, 3, 4, 5, 11} {
			for _, cols := range []int{1, 7, 16, 33} {
				for _, add := range []bool{false, true} {
					x, dst := randomValues(rng, rows*cols, false), randomValues(rng, cols, false)
					want, size := make([]float64, cols), make([]float64, cols)
					for j := range want {
						if add {
							want[j] = float64(dst[j])
						}
						for i := range rows {
							want[j] += float64(x[i*cols+j])
							size[j] += math.Abs(float64(x[i*cols+j]))
						}
					}
					ColSum(dst, x, rows, cols, add)
					for j := range want {
						if math.Abs(float64(dst[j])-want[j]) > tolerance*(1+size[j]) {
							t.Fatalf("ColSum of %d x %d, add %v, column %d: got %v, want %v", rows, cols, add, j, dst[j], want[j])
						}
					}
				}
			}
		}
	})
}

// TestSumSquaresSameBits checks the promise that the gradient norm is the same number on every instruction set.
func TestSumSquaresSameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range lengths {
		x := randomValues(rng, n, false)
		want := 0.0
		for rest := x; len(rest) > 0; rest = rest[min(len(rest), squaresBlock):] {
			want += goSumSquares(rest[:min(len(rest), squaresBlock)])
		}
		eachISA(t, func(t *testing.T) {
			if got := SumSquares(x); got != want {
				t.Errorf("n = %d: got %v, want %v to the last bit", n, got, want)
			}
		})
	}
}

func TestFinite(t *testing.T) {
	for _, x := range []float64{0, -1, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		if !Finite(x) {
			t.Errorf("Finite(%g) is false", x)
		}
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if Finite(x) {
			t.Errorf("Finite(%g) is true", x)
		}
	}
}
