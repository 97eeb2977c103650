package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// int8Rounding covers the rounding of a/127 and of its product, in float32.
const int8Rounding = 1 + 1e-4

// TestInt8Error: every element comes back within half a step of its own block,
// signs and the largest element are kept, and zeros are exact.
func TestInt8Error(t *testing.T) {
	for _, n := range []int{1, 255, 256, 257, 5000} {
		for _, unit := range []float64{1, 1e-30, 1e30, 1e-42} {
			t.Run(fmt.Sprintf("%d elements of %g", n, unit), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(n), 1))
				w := make([]float32, n)
				for i := range w {
					w[i] = float32(r.NormFloat64() * unit)
				}
				w[n/2] = 0
				q := NewInt8(n)
				q.Quantize(w)
				got := make([]float64, n)
				Dequantize8(got, q)
				used := false
				for i, x := range w {
					a := float64(q.AbsMax[i/Int8Block])
					if diff := math.Abs(got[i] - float64(x)); diff > a/254*int8Rounding {
						t.Fatalf("element %d: %g comes back as %g, %g off; want at most %g", i, x, got[i], diff, a/254)
					}
					if x == 0 && got[i] != 0 || got[i]*float64(x) < 0 {
						t.Fatalf("element %d: %g comes back as %g", i, x, got[i])
					}
					used = used || q.Codes[i] == 1 || q.Codes[i] == 255
				}
				if n > 1 && !used {
					t.Error("no element has the largest code: the range is not used")
				}
			})
		}
	}
}

// TestInt8Zeros: a block of zeros does not divide by its largest element, and a
// new tensor is one.
func TestInt8Zeros(t *testing.T) {
	q := NewInt8(300)
	for range 2 {
		got := make([]float32, 300)
		got[0] = 7
		Dequantize8(got, q)
		for i, x := range got {
			if x != 0 {
				t.Fatalf("element %d is %g, want 0", i, x)
			}
		}
		q.Quantize(make([]float32, 300))
	}
}

// TestInt8Twice: quantising what was read back changes no code.
func TestInt8Twice(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	w := make([]float32, 1000)
	for i := range w {
		w[i] = float32(r.NormFloat64())
	}
	q, again := NewInt8(len(w)), NewInt8(len(w))
	q.Quantize(w)
	Dequantize8(w, q)
	again.Quantize(w)
	for i := range q.Codes {
		if q.Codes[i] != again.Codes[i] {
			t.Fatalf("element %d: code %d, then %d", i, q.Codes[i], again.Codes[i])
		}
	}
}

func BenchmarkDequantize8(b *testing.B) {
	w := make([]float32, 1<<20)
	q := NewInt8(len(w))
	b.SetBytes(int64(4 * len(w)))
	for b.Loop() {
		Dequantize8(w, q)
	}
}
