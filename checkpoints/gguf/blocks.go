package gguf

import (
	"math"

	"sparrow/checkpoints/foreign"
)

// Blocks of 32: a half d, in the _1 types a half m too, the fifth bits in Q5, then the codes. The first 16
// codes in 4 bits are the low halves of the 16 bytes, the last 16 the high halves. A value is d (q - 8), d (q - 16), d q + m or,
// in Q8_0, d q. Every product is rounded before it is added, so that no machine fuses the two.

func half(b []byte) float32 { return foreign.Float16(le.Uint16(b)) }

func putHalf(b []byte, v float32) { le.PutUint16(b, foreign.ToFloat16(v)) }

func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		d := half(src)
		for i, b := range src[2:18] {
			dst[i] = d * float32(int(b&15)-8)
			dst[i+16] = d * float32(int(b>>4)-8)
		}
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[20:] {
		d, m := half(src), half(src[2:])
		for i, b := range src[4:20] {
			dst[i] = float32(d*float32(b&15)) + m
			dst[i+16] = float32(d*float32(b>>4)) + m
		}
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[22:] {
		d, high := half(src), le.Uint32(src[2:])
		for i, b := range src[6:22] {
			dst[i] = d * float32(int(b&15)+int(high>>i&1)<<4-16)
			dst[i+16] = d * float32(int(b>>4)+int(high>>(i+16)&1)<<4-16)
		}
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[24:] {
		d, m, high := half(src), half(src[2:]), le.Uint32(src[4:])
		for i, b := range src[8:24] {
			dst[i] = float32(d*float32(int(b&15)+int(high>>i&1)<<4)) + m
			dst[i+16] = float32(d*float32(int(b>>4)+int(high>>(i+16)&1)<<4)) + m
		}
	}
}

func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[34:] {
		d := half(src)
		for i, b := range src[2:34] {
			dst[i] = float32(int8(b)) * d
		}
	}
}

// extreme is the value of the largest magnitude, the first of several.
func extreme(values []float32) (most float32) {
	for _, v := range values {
		if abs(v) > abs(most) {
			most = v
		}
	}
	return most
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// inverse is 1/d, 0 for 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// code is the whole number below v, which is not negative, at most most.
func code(v float32, most int) int {
	if !(v < float32(most)) { // also what a scale below the least normal number makes infinite or NaN
		return most
	}
	return int(v)
}

// The scale is the extreme value over the least code, -8 or -16, so that this value is kept best.

func encodeQ4_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[18:], src[32:] {
		d := extreme(src[:32]) / -8
		id := inverse(d)
		putHalf(dst, d)
		for i := range 16 {
			low := code(float32(src[i]*id)+8.5, 15)
			high := code(float32(src[i+16]*id)+8.5, 15)
			dst[2+i] = byte(low | high<<4)
		}
	}
}

func encodeQ5_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[22:], src[32:] {
		d := extreme(src[:32]) / -16
		id := inverse(d)
		putHalf(dst, d)
		var fifth uint32
		for i := range 16 {
			low := code(float32(src[i]*id)+16.5, 31)
			high := code(float32(src[i+16]*id)+16.5, 31)
			dst[6+i] = byte(low&15 | high<<4)
			fifth |= uint32(low>>4)<<i | uint32(high>>4)<<(i+16)
		}
		le.PutUint32(dst[2:], fifth)
	}
}

// Q8_0 rounds halves away from zero.
func encodeQ8_0(dst []byte, src []float32) {
	for ; len(src) > 0; dst, src = dst[34:], src[32:] {
		d := abs(extreme(src[:32])) / 127
		id := inverse(d)
		putHalf(dst, d)
		for i, v := range src[:32] {
			dst[2+i] = byte(int8(max(-127, min(127, math.Round(float64(v*id))))))
		}
	}
}
