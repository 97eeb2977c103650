package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveSoftmax is softmax(scale*x) and its log-sum-exp in float64, -Inf entries left out.
func naiveSoftmax(x []float32, scale float64) (p []float64, lse float64) {
	largest := math.Inf(-1)
	for _, v := range x {
		if !math.IsInf(float64(v), -1) {
			largest = math.Max(largest, scale*float64(v))
		}
	}
	p = make([]float64, len(x))
	sum := 0.0
	for i, v := range x {
		if !math.IsInf(float64(v), -1) {
			p[i] = math.Exp(scale*float64(v) - largest)
			sum += p[i]
		}
	}
	if sum == 0 {
		return p, largest
	}
	for i := range p {
		p[i] /= sum
	}
	return p, largest + math.Log(sum)
}

func TestSoftmaxRow(t *testing.T) {
	// The exponent scale*x - max, up to 40 in size, is rounded to float32: 2e-6. The sum over the longest row adds its own rounding.
	const tolerance = 1e-5
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(4, 1))
		for _, n := range lengths {
			for _, scale := range []float32{1, 0.125, 0, -0.5} {
				x := randomValues(rng, n, false)
				for i := range x {
					if rng.IntN(4) == 0 {
						x[i] = float32(math.Inf(-1))
					}
				}
				want, wantLSE := naiveSoftmax(x, float64(scale))
				got := make([]float32, n)
				lse := SoftmaxRow(got, x, scale)
				if !near(float64(lse), wantLSE, 1, tolerance) {
					t.Errorf("SoftmaxRow, n = %d, scale %v: lse %v, want %v", n, scale, lse, wantLSE)
				}
				if got := LogSumExp(x, scale); !near(float64(got), wantLSE, 1, tolerance) {
					t.Errorf("LogSumExp, n = %d, scale %v: got %v, want %v", n, scale, got, wantLSE)
				}
				for i := range got {
					masked := math.IsInf(float64(x[i]), -1)
					if masked && got[i] != 0 || math.Abs(float64(got[i])-want[i]) > tolerance*want[i]+1e-30 {
						t.Fatalf("SoftmaxRow, n = %d, scale %v, at %d of %v: got %v, want %v", n, scale, i, x[i], got[i], want[i])
					}
				}
				in := slices.Clone(x)
				SoftmaxRow(in, in, scale)
				if !sameBits(in, got) {
					t.Errorf("SoftmaxRow, n = %d, scale %v: in place differs", n, scale)
				}
			}
		}
	})
}

func TestSoftmaxEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tc := range []struct {
		name    string
		x, want []float32
		lse     float32
	}{
		{"empty", []float32{}, []float32{}, -inf},
		{"all masked", []float32{-inf, -inf, -inf}, []float32{0, 0, 0}, -inf},
		{"one left", []float32{-inf, 7, -inf}, []float32{0, 1, 0}, 7},
		{"large", []float32{1e38, 1e38}, []float32{0.5, 0.5}, 1e38},
		{"far apart", []float32{-3e38, 3e38}, []float32{0, 1}, 3e38},
		{"NaN", []float32{1, nan, 2}, []float32{nan, nan, nan}, nan},
		{"NaN among masked", []float32{-inf, nan}, []float32{nan, nan}, nan},
		{"infinity", []float32{1, inf}, []float32{nan, nan}, nan},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				got := make([]float32, len(tc.x))
				lse := SoftmaxRow(got, tc.x, 1)
				if !sameBits(got, tc.want) || !sameBits([]float32{lse}, []float32{tc.lse}) {
					t.Errorf("SoftmaxRow(%v) = %v, lse %v; want %v, lse %v", tc.x, got, lse, tc.want, tc.lse)
				}
				if got := LogSumExp(tc.x, 1); !sameBits([]float32{got}, []float32{tc.lse}) {
					t.Errorf("LogSumExp(%v) = %v, want %v", tc.x, got, tc.lse)
				}
			})
		})
	}
}

// TestSoftmaxGrad checks ds = scale*p*(dp - sum p dp) against finite differences of L = sum_j dp[j]*softmax(scale*s)[j].
func TestSoftmaxGrad(t *testing.T) {
	const h, tolerance = 1e-6, 1e-8
	const n, scale = 9, 0.7
	rng := rand.New(rand.NewPCG(4, 2))
	s, dp, p, ds := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range s {
		s[i], dp[i] = rng.NormFloat64(), rng.NormFloat64()
	}
	loss := func() float64 {
		SoftmaxRow(p, s, scale)
		return Dot(p, dp)
	}
	delta := loss()
	SoftmaxGradRow(ds, p, dp, delta, scale)
	for i := range s {
		old := s[i]
		s[i] = old + h
		up := loss()
		s[i] = old - h
		down := loss()
		s[i] = old
		if want := (up - down) / (2 * h); math.Abs(ds[i]-want) > tolerance {
			t.Errorf("ds[%d] = %v, want %v", i, ds[i], want)
		}
	}
}
