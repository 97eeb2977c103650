package kernel

import (
	"math"
	"testing"
)

// TestQuantizeVector: every element comes back within half a step of 1/127 of the
// largest, which comes back itself; zeros stay zeros.
func TestQuantizeVector(t *testing.T) {
	for name, x := range map[string][]float32{
		"empty": {}, "zeros": {0, 0, 0}, "one": {-3}, "halves": {127, 0.5, 1.5, -0.5, -1.5, 2.5},
		"mixed": {0.1, -0.7, 0.33, 12.5, -12.4999, 1e-9}, "tiny": {1e-40, -2e-40}, "large": {3e38, -1e38},
	} {
		t.Run(name, func(t *testing.T) {
			codes, back := make([]int8, len(x)), make([]float32, len(x))
			scale := QuantizeVector(codes, x)
			DequantizeVector(back, codes, scale)
			var top float64
			for _, v := range x {
				top = max(top, math.Abs(float64(v)))
			}
			for i, v := range x {
				room := top/254 + 1e-6*top
				if top < 1e-37 {
					room = top // the scale itself is rounded to few bits
				}
				if diff := math.Abs(float64(back[i] - v)); !(diff <= room) {
					t.Errorf("element %d: %g became %g, off by %g, allowed %g", i, v, back[i], diff, room)
				}
			}
		})
	}
	codes := make([]int8, 4)
	QuantizeVector(codes, []float64{127, 0.5, 1.5, -127})
	if want := [4]int8{127, 0, 2, -127}; [4]int8(codes) != want {
		t.Errorf("codes %v, want %v", codes, want)
	}
}

// TestDequantizeVector: every instruction set and length gives code * scale, rounded once.
func TestDequantizeVector(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for n := range 70 {
			codes, got := make([]int8, n), make([]float32, n)
			for i := range codes {
				codes[i] = int8(i*37%255 - 127)
			}
			DequantizeVector(got, codes, 0.1)
			for i, c := range codes {
				if want := float32(c) * 0.1; got[i] != want {
					t.Fatalf("length %d element %d: %v, want %v", n, i, got[i], want)
				}
			}
		}
	})
}
