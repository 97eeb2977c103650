package foreign

import "math"

// Float16 is the value of an IEEE 754 half: sign, 5 bits of exponent, 10 of fraction.
func Float16(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 31
	fraction := uint32(h) & 1023
	switch exponent {
	case 0: // 0 or subnormal: fraction * 2^-24, which a float32 holds exactly
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31: // infinity or NaN, whose payload is kept
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// ToFloat16 rounds to the nearest half, ties to even, as numpy does; what is beyond the largest becomes infinite.
func ToFloat16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000: // NaN; the payload's high bits stay, and it stays a NaN
		payload := uint16(bits>>13) & 1023
		if payload == 0 {
			payload = 1
		}
		return sign | 0x7c00 | payload
	case bits >= 0x477ff000: // from 65520 on
		return sign | 0x7c00
	case bits < 0x38800000: // below 2^-14, the least normal half: multiples of 2^-24
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(bits))*0x1p24))
	}
	bits -= (127 - 15) << 23
	return sign | uint16((bits+0xfff+bits>>13&1)>>13)
}

// BFloat16 is the value of a bfloat16, the upper half of a float32.
func BFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBFloat16 rounds to the nearest bfloat16, ties to even. A NaN becomes a quiet one, as ggml makes it.
func ToBFloat16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 64
	}
	return uint16((uint64(bits) + 0x7fff + uint64(bits>>16&1)) >> 16)
}
