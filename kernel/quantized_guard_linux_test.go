package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestDecodeStaysInside turns codes back that end, like their scales and what they become, at a forbidden page: a read or
// write past the end kills the test.
func TestDecodeStaysInside(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const most = 150
		values, codes, scales := guarded[float32](t, most), guarded[uint8](t, most), guarded[float32](t, most)
		r := rand.New(rand.NewPCG(10, 1))
		for _, bits := range []int{8, 4} {
			for _, block := range []int{8, 9, 16, 64} {
				for n := 1; n <= most; n++ {
					q := randomCodes(r, bits, block, n)
					copy(codes[most-len(q.Codes):], q.Codes)
					copy(scales[most-len(q.AbsMax):], q.AbsMax)
					q.Codes, q.AbsMax = codes[most-len(q.Codes):], scales[most-len(q.AbsMax):]
					Dequantize(values[most-n:], q)
					lo := r.IntN(n)
					decodeRange(values[most-n+lo:], q, lo)
				}
			}
		}
	})
}

// TestGemmQuantizedStaysInside multiplies such codes with a row that ends at a forbidden page, into one that does.
func TestGemmQuantizedStaysInside(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const most = 11 * 128
		codes, scales := guarded[uint8](t, most), guarded[float32](t, most/16)
		x, y := guarded[float32](t, 128), guarded[float32](t, 11)
		for _, bits := range []int{8, 4} {
			for _, block := range []int{16, 32, 64} {
				for n := 1; n <= 11; n++ {
					for _, k := range []int{16, 96, 100, 128} {
						q := NewQuantized(bits, block, n*k)
						q.Quantize(someWeights(n*k, 1))
						copy(codes[most-len(q.Codes):], q.Codes)
						copy(scales[len(scales)-len(q.AbsMax):], q.AbsMax)
						q.Codes, q.AbsMax = codes[most-len(q.Codes):], scales[len(scales)-len(q.AbsMax):]
						GemmQuantized(1, n, k, x[len(x)-k:], k, q, nil, y[len(y)-n:], n)
					}
				}
			}
		}
	})
}
