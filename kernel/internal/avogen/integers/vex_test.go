package main

import "testing"

// TestVexDotProduct compares bytes with those of an assembler that knows the instruction.
func TestVexDotProduct(t *testing.T) {
	for _, c := range []struct {
		signed, unsigned, sums int
		want                   [5]byte
	}{
		{2, 1, 0, [5]byte{0xC4, 0xE2, 0x75, 0x50, 0xC2}},    // {vex} vpdpbusd %ymm2,%ymm1,%ymm0
		{14, 13, 11, [5]byte{0xC4, 0x42, 0x15, 0x50, 0xDE}}, // {vex} vpdpbusd %ymm14,%ymm13,%ymm11
		{14, 12, 3, [5]byte{0xC4, 0xC2, 0x1D, 0x50, 0xDE}},  // {vex} vpdpbusd %ymm14,%ymm12,%ymm3
	} {
		if got := vexDotProduct(c.signed, c.unsigned, c.sums); got != c.want {
			t.Errorf("vexDotProduct(%d, %d, %d) = %x, want %x", c.signed, c.unsigned, c.sums, got, c.want)
		}
	}
}
