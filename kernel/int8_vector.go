package kernel

import "math"

// QuantizeVector writes x, finite throughout, in 8 bits an element and returns the
// scale: with a the largest magnitude,
//
//	code = round(127 x / a)      -127 to 127, halves to even
//	x'   = code a / 127          0 in a vector of zeros
//
// so that |x - x'| is at most a / 254, and rounding. It returns a / 127.
func QuantizeVector[T Float](codes []int8, x []T) float32 {
	x = x[:len(codes)]
	var top T
	for _, v := range x {
		top = max(top, v, -v)
	}
	if top == 0 {
		clear(codes)
		return 0
	}
	factor := 127 / float64(top)
	for i, v := range x {
		codes[i] = int8(math.RoundToEven(float64(v) * factor))
	}
	return float32(float64(top) / 127)
}

// DequantizeVector writes code * scale to dst.
func DequantizeVector[T Float](dst []T, codes []int8, scale float32) {
	dst = dst[:len(codes)]
	if isFloat32[T]() {
		n := vecDequantize(f32(dst), codes, scale)
		dst, codes = dst[n:], codes[n:]
	}
	s := T(scale)
	for i, c := range codes {
		dst[i] = T(c) * s
	}
}
