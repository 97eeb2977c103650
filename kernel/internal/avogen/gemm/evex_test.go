package main

import (
	"bytes"
	"testing"

	"github.com/mmcloughlin/avo/reg"
)

// TestEVEX compares with the bytes that GNU as writes.
func TestEVEX(t *testing.T) {
	for _, tc := range []struct {
		name      string
		prefix    byte
		opcode    byte
		x, y, dst reg.VecPhysical
		want      []byte
	}{
		{"vdpbf16ps %zmm25,%zmm24,%zmm0", prefixF3, 0x52, reg.Z25, reg.Z24, reg.Z0, []byte{0x62, 0x92, 0x3e, 0x40, 0x52, 0xc1}},
		{"vcvtne2ps2bf16 %zmm2,%zmm1,%zmm0", prefixF2, 0x72, reg.Z2, reg.Z1, reg.Z0, []byte{0x62, 0xf2, 0x77, 0x48, 0x72, 0xc2}},
		{"vdpbf16ps %zmm7,%zmm3,%zmm31", prefixF3, 0x52, reg.Z7, reg.Z3, reg.Z31, []byte{0x62, 0x62, 0x66, 0x48, 0x52, 0xff}},
		{"vcvtne2ps2bf16 %zmm30,%zmm18,%zmm9", prefixF2, 0x72, reg.Z30, reg.Z18, reg.Z9, []byte{0x62, 0x12, 0x6f, 0x40, 0x72, 0xce}},
	} {
		if got := evex(tc.prefix, tc.opcode, tc.x, tc.y, tc.dst); !bytes.Equal(got, tc.want) {
			t.Errorf("%s: got % x, want % x", tc.name, got, tc.want)
		}
	}
}
