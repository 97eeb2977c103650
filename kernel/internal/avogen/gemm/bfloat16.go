package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bfloat16Rows emits the packing of an operand whose rows run along k.
func bfloat16Rows() {
	TEXT("bfloat16RowsAVX512", NOSPLIT, "func(dst, src *byte, dstStride, srcStride, rows, blocks uintptr, mask uint64)")
	Doc("bfloat16RowsAVX512 rounds rows of 32*blocks float32 to bfloat16, and of the block after them what mask selects: it fills",
		"that with zeros to 64 bytes. A mask of 0 leaves it out. AVX512-BF16.")
	Pragma("noescape")
	Load(Param("dst"), reg.RDI)
	Load(Param("src"), reg.RSI)
	Load(Param("dstStride"), reg.R8)
	Load(Param("srcStride"), reg.R9)
	Load(Param("rows"), reg.RBX)
	Load(Param("blocks"), reg.RDX)
	Load(Param("mask"), reg.RAX)
	columnMasks(32)
	Label("row")
	MOVQ(reg.RDI, reg.R10)
	MOVQ(reg.RSI, reg.R11)
	MOVQ(reg.RDX, reg.RCX)
	TESTQ(reg.RCX, reg.RCX)
	JZ(operand.LabelRef("rest"))
	Label("block")
	VMOVUPS(operand.Mem{Base: reg.R11}, reg.Z0)
	VMOVUPS(operand.Mem{Base: reg.R11, Disp: 64}, reg.Z1)
	VCVTNE2PS2BF16(reg.Z0, reg.Z1, reg.Z2)
	VMOVUPS(reg.Z2, operand.Mem{Base: reg.R10})
	ADDQ(operand.U8(64), reg.R10)
	ADDQ(operand.U32(128), reg.R11)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef("block"))
	Label("rest")
	TESTQ(reg.RAX, reg.RAX)
	JZ(operand.LabelRef("next"))
	VMOVUPS_Z(operand.Mem{Base: reg.R11}, reg.K1, reg.Z0)
	VMOVUPS_Z(operand.Mem{Base: reg.R11, Disp: 64}, reg.K2, reg.Z1)
	VCVTNE2PS2BF16(reg.Z0, reg.Z1, reg.Z2)
	VMOVUPS(reg.Z2, operand.Mem{Base: reg.R10})
	Label("next")
	ADDQ(reg.R8, reg.RDI)
	ADDQ(reg.R9, reg.RSI)
	DECQ(reg.RBX)
	JNZ(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}

// columnMasks sets K1 and K2 to the bits of RAX that select the two vectors of a row; one vector has K1 alone.
func columnMasks(columns int) {
	KMOVW(reg.EAX, reg.K1)
	if columns > 16 {
		MOVQ(reg.RAX, reg.RCX)
		SHRQ(operand.U8(16), reg.RCX)
		KMOVW(reg.ECX, reg.K2)
	}
}

// interleave is the order of 16-bit words that puts the halves of a vector together: 0 16 1 17 ...
var interleave operand.Mem

// bfloat16Columns emits the packing of an operand whose rows run along the tile: two rows become one of pairs.
func bfloat16Columns(vectors int) {
	if interleave.Base == nil {
		interleave = GLOBL("interleaveWords", attr.RODATA|attr.NOPTR)
		for i := range 16 {
			DATA(4*i, operand.U32(uint32(i)|uint32(i+16)<<16))
		}
	}
	name := fmt.Sprintf("bfloat16Columns%dAVX512", 16*vectors)
	TEXT(name, NOSPLIT, "func(dst, src *byte, dstStride, srcStride, rows, strips, dstNext, srcNext uintptr, mask uint64)")
	Doc(fmt.Sprintf("%s rounds strips of rows of up to %d float32, which mask selects, to bfloat16, and writes each two rows as one", name, 16*vectors),
		fmt.Sprintf("of pairs of %d bytes, zeros for what mask leaves out and for the row that an odd number lacks. The first row of a strip", 64*vectors),
		"is dstNext and srcNext bytes behind that of the strip before. AVX512-BF16.")
	Pragma("noescape")
	Load(Param("dst"), reg.RDI)
	Load(Param("src"), reg.RSI)
	Load(Param("dstStride"), reg.R8)
	Load(Param("srcStride"), reg.R9)
	Load(Param("rows"), reg.RBX)
	Load(Param("strips"), reg.RDX)
	Load(Param("mask"), reg.RAX)
	columnMasks(16 * vectors)
	Load(Param("dstNext"), reg.R12)
	Load(Param("srcNext"), reg.R13)
	VMOVDQU64(interleave, reg.Z15)
	masks := []reg.OpmaskPhysical{reg.K1, reg.K2}
	load := func(v, row int) {
		src := operand.Mem{Base: reg.R11, Disp: 64 * v}
		if row == 1 {
			src.Index, src.Scale = reg.R9, 1
		}
		VMOVUPS_Z(src, masks[v], zmm[2*v+row])
	}
	store := func() {
		for v := range vectors {
			VCVTNE2PS2BF16(zmm[2*v], zmm[2*v+1], zmm[8+v])
		}
		for v := range vectors {
			VPERMW(zmm[8+v], reg.Z15, zmm[8+v])
			VMOVDQU64(zmm[8+v], operand.Mem{Base: reg.R10, Disp: 64 * v})
		}
	}
	Label("strip")
	MOVQ(reg.RDI, reg.R10)
	MOVQ(reg.RSI, reg.R11)
	MOVQ(reg.RBX, reg.RCX)
	SUBQ(operand.U8(2), reg.RCX)
	JL(operand.LabelRef("odd"))
	Label("two")
	for v := range vectors {
		load(v, 0)
		load(v, 1)
	}
	store()
	ADDQ(reg.R8, reg.R10)
	LEAQ(operand.Mem{Base: reg.R11, Index: reg.R9, Scale: 2}, reg.R11)
	SUBQ(operand.U8(2), reg.RCX)
	JGE(operand.LabelRef("two"))
	Label("odd")
	ADDQ(operand.U8(2), reg.RCX)
	JZ(operand.LabelRef("next"))
	for v := range vectors {
		load(v, 0)
		VPXORD(zmm[2*v+1], zmm[2*v+1], zmm[2*v+1])
	}
	store()
	Label("next")
	ADDQ(reg.R12, reg.RDI)
	ADDQ(reg.R13, reg.RSI)
	DECQ(reg.RDX)
	JNZ(operand.LabelRef("strip"))
	VZEROUPPER()
	RET()
}

// bfloat16Round emits the rounding of float32 in place, for processors without the instructions.
func bfloat16Round() {
	TEXT("bfloat16RoundAVX2", NOSPLIT, "func(x *byte, blocks uintptr)")
	Doc("bfloat16RoundAVX2 rounds 8*blocks float32 to the nearest bfloat16, of two the even one; denormals become zeros.")
	Pragma("noescape")
	Load(Param("x"), reg.RDI)
	Load(Param("blocks"), reg.RCX)
	one, half, top, exponent, quiet := reg.Y15, reg.Y14, reg.Y13, reg.Y12, reg.Y11
	for _, c := range []struct {
		value uint32
		dst   reg.VecPhysical
		low   reg.VecPhysical
	}{{1, one, reg.X15}, {0x7FFF, half, reg.X14}, {0xFFFF0000, top, reg.X13}, {0x7F800000, exponent, reg.X12}, {0x400000, quiet, reg.X11}} {
		MOVL(operand.U32(c.value), reg.EAX)
		VMOVD(reg.EAX, c.low)
		VPBROADCASTD(c.low, c.dst)
	}
	VPXOR(reg.Y10, reg.Y10, reg.Y10)
	Label("block")
	VMOVUPS(operand.Mem{Base: reg.RDI}, reg.Y0)
	VPSRLD(operand.U8(16), reg.Y0, reg.Y1)
	VPAND(one, reg.Y1, reg.Y1)
	VPADDD(half, reg.Y1, reg.Y1)
	VPADDD(reg.Y0, reg.Y1, reg.Y1)
	VCMPPS(operand.U8(3), reg.Y0, reg.Y0, reg.Y2) // not a number
	VPOR(quiet, reg.Y0, reg.Y3)
	VBLENDVPS(reg.Y2, reg.Y3, reg.Y1, reg.Y1)
	VPAND(exponent, reg.Y0, reg.Y2)
	VPCMPEQD(reg.Y10, reg.Y2, reg.Y2) // zero or denormal: the sign stays
	VPSRLD(operand.U8(31), reg.Y0, reg.Y3)
	VPSLLD(operand.U8(31), reg.Y3, reg.Y3)
	VBLENDVPS(reg.Y2, reg.Y3, reg.Y1, reg.Y1)
	VPAND(top, reg.Y1, reg.Y1)
	VMOVUPS(reg.Y1, operand.Mem{Base: reg.RDI})
	ADDQ(operand.U8(32), reg.RDI)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef("block"))
	VZEROUPPER()
	RET()
}
