package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// quantizedRounding covers the rounding of what comes back to float32.
const quantizedRounding = 1 + 1e-5

// someWeights are n normal numbers of a unit, one of them 0.
func someWeights(n int, unit float64) []float32 {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(r.NormFloat64() * unit)
	}
	w[n/2] = 0
	return w
}

// everyQuantized calls do with 8 and 4 bits, blocks that are odd, short and longer than the tensor, and sizes around them.
func everyQuantized(t *testing.T, do func(t *testing.T, bits, block, n int)) {
	for _, bits := range []int{8, 4} {
		for _, block := range []int{7, 64, 256} {
			for _, n := range []int{1, 2, 63, 64, 65, 255, 256, 257, 5000} {
				t.Run(fmt.Sprintf("%d bits, blocks of %d, %d elements", bits, block, n), func(t *testing.T) { do(t, bits, block, n) })
			}
		}
	}
}

// TestQuantizedError: every element comes back within half a step of its own block, signs are kept, and zeros and the
// largest element are exact; the size is what the documentation says.
func TestQuantizedError(t *testing.T) {
	everyQuantized(t, func(t *testing.T, bits, block, n int) {
		top := map[int]float64{8: 127, 4: 7}[bits]
		for _, unit := range []float64{1, 1e-30, 1e30, 1e-42} {
			w := someWeights(n, unit)
			q := NewQuantized(bits, block, n)
			q.Quantize(w)
			if err := q.Check(); err != nil {
				t.Fatal(err)
			}
			got, single := make([]float64, n), make([]float32, n)
			Dequantize(got, q)
			Dequantize(single, q)
			for i, x := range w {
				a := float64(q.AbsMax[i/block])
				// Below 1e-38 float32 has few digits: half of its smallest step more.
				if diff := math.Abs(got[i] - float64(x)); diff > a/(2*top)*quantizedRounding+1e-45 {
					t.Fatalf("element %d: %g comes back as %g, %g off; want at most %g", i, x, got[i], diff, a/(2*top))
				}
				if x == 0 && got[i] != 0 || got[i]*float64(x) < 0 || float32(got[i]) != single[i] {
					t.Fatalf("element %d: %g comes back as %g and %g", i, x, got[i], single[i])
				}
				if math.Abs(float64(x)) == a && single[i] != x {
					t.Fatalf("element %d: %g, the largest of its block, comes back as %g", i, x, single[i])
				}
			}
		}
		q := NewQuantized(bits, block, n)
		if got, want := q.Bytes(), (n*bits+7)/8+4*((n+block-1)/block); got != want || len(q.Codes)+4*len(q.AbsMax) != want {
			t.Errorf("%d bytes, %d of codes and %d scales; want %d", got, len(q.Codes), len(q.AbsMax), want)
		}
	})
}

// TestQuantizedZeros: a block of zeros does not divide by its largest element, and a new tensor is one.
func TestQuantizedZeros(t *testing.T) {
	everyQuantized(t, func(t *testing.T, bits, block, n int) {
		q := NewQuantized(bits, block, n)
		for range 2 {
			if err := q.Check(); err != nil {
				t.Fatal(err)
			}
			got := make([]float32, n)
			got[0] = 7
			Dequantize(got, q)
			for i, x := range got {
				if x != 0 {
					t.Fatalf("element %d is %g, want 0", i, x)
				}
			}
			q.Quantize(make([]float32, n))
		}
	})
}

// TestQuantizedTwice: quantizing what was read back changes no code and no scale, so a file can be read and written.
func TestQuantizedTwice(t *testing.T) {
	everyQuantized(t, func(t *testing.T, bits, block, n int) {
		for _, unit := range []float64{1, 3e-7, 1e38 / 4, 1e-42} {
			w := someWeights(n, unit)
			q, again := NewQuantized(bits, block, n), NewQuantized(bits, block, n)
			q.Quantize(w)
			Dequantize(w, q)
			again.Quantize(w)
			if !slices.Equal(q.Codes, again.Codes) || !slices.Equal(q.AbsMax, again.AbsMax) {
				t.Fatalf("unit %g: codes and scales change the second time", unit)
			}
		}
	})
}

// TestQuantizedCheck: bytes that Quantize never makes are refused.
func TestQuantizedCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		bits   int
		damage func(q *Quantized)
		want   string
	}{
		{"a code of 0", 8, func(q *Quantized) { q.Codes[3] = 0 }, "code 3 is 0, want 1 to 255"},
		{"a half byte of 0", 4, func(q *Quantized) { q.Codes[1] &= 15 }, "code 3 is 0, want 1 to 15"},
		{"padding", 4, func(q *Quantized) { q.Codes[34] |= 16 }, "upper half of the last byte"},
		{"negative scale", 8, func(q *Quantized) { q.AbsMax[1] = -1 }, "scale 1 is -1, want"},
		{"infinite scale", 4, func(q *Quantized) { q.AbsMax[0] = float32(math.Inf(1)) }, "scale 0 is +Inf"},
		{"no number", 4, func(q *Quantized) { q.AbsMax[0] = float32(math.NaN()) }, "scale 0 is NaN"},
		{"too short", 8, func(q *Quantized) { q.Codes = q.Codes[1:] }, "68 bytes of codes and 2 scales, want 69 and 2"},
	} {
		q := NewQuantized(c.bits, 64, 69)
		q.Quantize(someWeights(69, 1))
		c.damage(&q)
		if err := q.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func BenchmarkDequantize(b *testing.B) {
	for _, bits := range []int{8, 4} {
		b.Run(fmt.Sprintf("%d bits", bits), func(b *testing.B) {
			w := make([]float32, 1<<20)
			q := NewQuantized(bits, 64, len(w))
			b.SetBytes(int64(4 * len(w)))
			for b.Loop() {
				Dequantize(w, q)
			}
		})
	}
}
