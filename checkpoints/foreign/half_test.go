package foreign

import (
	"math"
	"testing"
)

func TestEveryHalfComesBack(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		if got := ToFloat16(Float16(h)); got != h {
			t.Fatalf("half %04x is %v, which becomes %04x", h, Float16(h), got)
		}
		quiet := h
		if h&0x7f80 == 0x7f80 && h&0x7f != 0 {
			quiet |= 64
		}
		if got := ToBFloat16(BFloat16(h)); got != quiet {
			t.Fatalf("bfloat16 %04x is %v, which becomes %04x", h, BFloat16(h), got)
		}
	}
}

func TestHalvesRoundToEven(t *testing.T) {
	for _, test := range []struct {
		value float64
		half  uint16
	}{
		{1, 0x3c00},
		{1 + 0x1p-11, 0x3c00},           // a tie, down to even
		{1 + 0x3p-11, 0x3c02},           // a tie, up to even
		{1 + 0x1p-11 + 0x1p-20, 0x3c01}, // above a tie
		{65504, 0x7bff},                 // the largest
		{65519.99, 0x7bff},              // still nearer to it
		{65520, 0x7c00},                 // infinite from here on
		{math.Inf(-1), 0xfc00},          //
		{0x1p-24, 0x0001},               // the least
		{0x1p-25, 0x0000},               // a tie, down to even
		{0x1.8p-24, 0x0002},             // a tie, up to even
		{-0x1p-25, 0x8000},              // the sign stays
		{0x1p-14 - 0x1p-26, 0x0400},     // a subnormal that rounds to the least normal
		{2 - 0x1p-11, 0x4000},           // the fraction carries into the exponent
		{math.Copysign(0, -1), 0x8000},  //
		{0x1p-14, 0x0400},               // the least normal
		{-(1 + 0x1p-11 + 1e-5), 0xbc01}, //
	} {
		if got := ToFloat16(float32(test.value)); got != test.half {
			t.Errorf("ToFloat16(%v) = %04x; want %04x", test.value, got, test.half)
		}
	}
	if got := ToFloat16(float32(math.NaN())); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
		t.Errorf("ToFloat16(NaN) = %04x", got)
	}
	for _, test := range []struct {
		bits uint32
		want uint16
	}{{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x7f7fffff, 0x7f80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}} {
		if got := ToBFloat16(math.Float32frombits(test.bits)); got != test.want {
			t.Errorf("ToBFloat16(%08x) = %04x; want %04x", test.bits, got, test.want)
		}
	}
}
