package kernel

import (
	"math"
	"slices"
)

// codebook8 is one of the two "dynamic" 8-bit data types of Dettmers, Lewis, Shleifer and Zettlemoyer, "8-bit Optimizers via
// Block-wise Quantization" (ICLR 2022, section 1.3): 256 ascending numbers, dense near zero, that hold 0 and 1.
type codebook8 struct {
	value [256]float32

	// The upper 16 bits of a float32 (sign, exponent, 7 bits of the mantissa) name a cell, so narrow that it holds at most one
	// threshold between two codes. cell is the code at its end near zero. From there the code is one further away from zero
	// where the magnitude is larger than that code's limit; both are compared as bits, which are ordered as the magnitudes.
	cell  [1 << 16]uint8
	limit [256]int32
}

const signBit = 1 << 31

var (
	signedBook   = newCodebook8(true)  // [-0.993, 1], for means of gradients
	unsignedBook = newCodebook8(false) // [0, 1], for means of their squares
)

// newCodebook8 builds the codes of 8 bits of which up to 7 count the decimal exponent. For i = 0..6 the interval [0.1, 1] is
// cut into 2^i (signed) or 2^(i+1) (unsigned) equal parts; their midpoints times 10^(i-6), signed with both signs, are codes;
// 0 and 1 complete the 256.
func newCodebook8(signed bool) *codebook8 {
	codes := []float64{0, 1}
	for i := range 7 {
		parts := 1 << i
		if !signed {
			parts *= 2
		}
		for j := range parts {
			c := math.Pow10(i-6) * (0.1 + 0.9*(float64(j)+0.5)/float64(parts))
			codes = append(codes, c)
			if signed {
				codes = append(codes, -c)
			}
		}
	}
	slices.Sort(codes)
	b := &codebook8{}
	for i, c := range codes {
		b.value[i] = float32(c)
	}
	zero := slices.Index(codes, 0)
	for i := zero; i < 256; i++ {
		b.limit[i] = b.limitBits(i, i+1)
	}
	b.fill(0, zero)
	if signed {
		for i := range zero {
			b.limit[i] = b.limitBits(i, i-1)
		}
		b.fill(1, zero-1) // no negative number is 0: it keeps its sign
	}
	return b
}

// limitBits returns the bits of the largest magnitude that code i is nearest to, if the next one away from zero is j: that of
// the largest float32 not above the midpoint.
func (b *codebook8) limitBits(i, j int) int32 {
	if j < 0 || j > 255 {
		return math.MaxInt32
	}
	middle := math.Abs(float64(b.value[i])+float64(b.value[j])) / 2
	f := float32(middle)
	if float64(f) > middle {
		f = math.Nextafter32(f, 0)
	}
	return int32(math.Float32bits(f))
}

// fill sets the cells of one sign; first is the code of the numbers nearest to zero.
func (b *codebook8) fill(sign, first int) {
	code := first
	for i := range 1 << 15 {
		for b.limit[code] < int32(i)<<16 {
			code += 1 - 2*sign
		}
		b.cell[sign<<15|i] = uint8(code)
	}
}

// code returns the code nearest to x in [-1, 1] (of the unsigned book [0, 1]), of two equally near that nearer zero. A negative
// x keeps its sign: where 0 is nearest it gets the code below.
func (b *codebook8) code(x float32) uint8 {
	bits := math.Float32bits(x)
	c := b.cell[bits>>16]
	further := uint32(b.limit[c]-int32(bits&^signBit)) >> 31
	sign := bits >> 31
	return c + uint8(further^-sign+sign)
}

// signedZero is the signed code of 0: 127 codes lie below, 128 above.
const signedZero = 127
