package kernel

import (
	"math"
	"slices"
)

// codebook8 is one of the two "dynamic" 8-bit data types of Dettmers, Lewis, Shleifer and Zettlemoyer, "8-bit Optimizers via
// Block-wise Quantization" (ICLR 2022, section 1.3): 256 ascending numbers, dense near zero, that hold 0 and 1.
type codebook8 struct {
	value [256]float32

	// The upper 16 bits of a number's rank (see rankOf) name a cell, which holds at most one limit between two codes. cell is
	// the code at its lower end. From there the code is one more where the rank is above that code's limit.
	cell  [1 << 16]uint8
	limit [256]int32
}

// rankOf orders the bits of float32 numbers as the numbers are; -0 comes just before 0. Positive numbers keep their bits.
func rankOf(bits uint32) int32 {
	return int32(bits ^ uint32(int32(bits)>>31)>>1)
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
	for i := range b.limit {
		b.limit[i] = b.limitOf(i)
	}
	c := 0
	for i := range 1 << 16 { // from the lowest rank to the highest
		cell := int32(i-1<<15) << 16
		for b.limit[c] < cell {
			c++
		}
		b.cell[uint16(cell>>16)] = uint8(c)
	}
	return b
}

// limitOf returns the highest rank of the numbers that get code i: that of the midpoint to the next code. A negative number
// keeps its sign, so the code below 0 ends at -0.
func (b *codebook8) limitOf(i int) int32 {
	switch {
	case i == 255:
		return math.MaxInt32
	case b.value[i+1] == 0:
		return rankOf(signBit)
	}
	middle := (float64(b.value[i]) + float64(b.value[i+1])) / 2
	f := float32(middle)
	if float64(f) > middle {
		f = math.Nextafter32(f, -1)
	}
	return rankOf(math.Float32bits(f))
}

// code returns the code nearest to a number in [-1, 1] (of the unsigned book in [0, 1]) from its rank, of two equally near the
// lower, and of a negative number that is nearest to 0 the code below. The difference does not overflow: the limits of
// negative numbers' codes are negative.
func (b *codebook8) code(rank int32) uint8 {
	c := b.cell[uint16(rank>>16)]
	return c + uint8(uint32(b.limit[c]-rank)>>31)
}

// signedZero is the signed code of 0: 127 codes lie below, 128 above.
const signedZero = 127
