package kernel

import "math"

// Int8Block is the number of consecutive elements that share a scale.
const Int8Block = 256

// Int8 is a tensor in 8 bits an element and one float32 a block of Int8Block
// consecutive elements (the last block may be shorter): with a the largest
// magnitude of the block,
//
//	code = 128 + round(127 w / a)      1 to 255, halves to even
//	w'   = (code - 128) a / 127        0 in a block of zeros
//
// so that |w - w'| is at most a / 254, and rounding.
type Int8 struct {
	Codes  []uint8
	AbsMax []float32 // a of each block
}

// NewInt8 is a tensor of n zeros.
func NewInt8(n int) Int8 {
	q := Int8{make([]uint8, n), make([]float32, (n+Int8Block-1)/Int8Block)}
	for i := range q.Codes {
		q.Codes[i] = 128
	}
	return q
}

// Quantize sets q to w, of the same length and finite throughout.
func (q Int8) Quantize(w []float32) {
	for k := range q.AbsMax {
		lo, hi := k*Int8Block, min(len(w), (k+1)*Int8Block)
		var top float32
		for _, x := range w[lo:hi] {
			top = max(top, x, -x)
		}
		q.AbsMax[k] = top
		for i, x := range w[lo:hi] {
			code := uint8(128)
			if top > 0 {
				code = uint8(128 + math.RoundToEven(127*float64(x)/float64(top)))
			}
			q.Codes[lo+i] = code
		}
	}
}

// int8Values are the numbers that the codes stand for, in units of a / 127.
var int8Values = func() (v [256]float32) {
	for i := range v {
		v[i] = float32(i - 128)
	}
	return v
}()

// Dequantize8 writes the tensor's values to dst.
func Dequantize8[T Float](dst []T, q Int8) {
	Ranges(len(q.AbsMax), 64, func(first, last int) {
		for k := first; k < last; k++ {
			lo, hi := k*Int8Block, min(len(dst), (k+1)*Int8Block)
			scale := T(q.AbsMax[k]) / 127
			codes, out := q.Codes[lo:hi], dst[lo:hi]
			for i, c := range codes {
				out[i] = T(int8Values[c]) * scale
			}
		}
	})
}
