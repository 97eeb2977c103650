package main

import (
	"encoding/binary"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Go's assembler knows no instruction of AVX512-BF16: their bytes stand in its place. The operands come in Go's order.

// VDPBF16PS adds to each float32 of acc the products of two pairs of bfloat16.
func VDPBF16PS(x, y, acc reg.VecPhysical) {
	emit("VDPBF16PS", evex(prefixF3, 0x52, x, y, acc), []operand.Op{x, y, acc}, acc)
}

// VCVTNE2PS2BF16 rounds the float32 of lo to the low half of dst and those of hi to the high half.
func VCVTNE2PS2BF16(lo, hi, dst reg.VecPhysical) {
	emit("VCVTNE2PS2BF16", evex(prefixF2, 0x72, lo, hi, dst), []operand.Op{lo, hi}, dst)
}

const (
	prefixF3 = 2
	prefixF2 = 3
)

// evex encodes an instruction of 512 bits over registers of the map 0F38: x is ModRM's r/m, y is EVEX.vvvv, dst is ModRM's reg.
func evex(prefix, opcode byte, x, y, dst reg.VecPhysical) []byte {
	rm, v, r := byte(x.PhysicalIndex()), byte(y.PhysicalIndex()), byte(dst.PhysicalIndex())
	off := func(n, bit byte) byte { return ^n >> bit & 1 } // the prefix holds these bits inverted
	return []byte{
		0x62,
		off(r, 3)<<7 | off(rm, 4)<<6 | off(rm, 3)<<5 | off(r, 4)<<4 | 2,
		^v&0xF<<3 | 1<<2 | prefix,
		2<<5 | off(v, 4)<<3,
		opcode,
		0xC0 | r&7<<3 | rm&7,
	}
}

// emit writes the six bytes of an instruction, with what it reads and writes for avo.
func emit(name string, code []byte, in []operand.Op, out operand.Op) {
	Comment(name)
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []operand.Op{operand.U32(binary.LittleEndian.Uint32(code))}, Inputs: in, Outputs: []operand.Op{out}})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []operand.Op{operand.U16(binary.LittleEndian.Uint16(code[4:]))}})
}
