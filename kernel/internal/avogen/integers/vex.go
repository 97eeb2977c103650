package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vexDotProduct are the bytes of VPDPBUSD of 256 bits as AVX encodes it, which Go's assembler does not know: sums += the dot
// products of four bytes each, unsigned times signed. The arguments are numbers of registers.
func vexDotProduct(signed, unsigned, sums int) [5]byte {
	return [5]byte{
		0xC4,
		byte(^(sums>>3)&1)<<7 | 1<<6 | byte(^(signed>>3)&1)<<5 | 0x02, // the registers' upper bits, inverted; 0F 38
		byte(^unsigned&15)<<3 | 1<<2 | 0x01,                           // 256 bits; 66
		0x50,
		0xC0 | byte(sums&7)<<3 | byte(signed&7),
	}
}

// vexVPDPBUSD emits it.
func vexVPDPBUSD(signed, unsigned, sums reg.VecPhysical) {
	Comment(fmt.Sprintf("VPDPBUSD %s, %s, %s", signed.Asm(), unsigned.Asm(), sums.Asm()))
	b := vexDotProduct(number(signed), number(unsigned), number(sums))
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []operand.Op{operand.U32(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)}})
	Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b[4])}})
}

// number is that of a register.
func number(r reg.VecPhysical) int {
	for i, y := range ymm {
		if y == r {
			return i
		}
	}
	panic("not a register of 256 bits: " + r.Asm())
}
