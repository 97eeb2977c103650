package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// copyRows emits the copy of strided strips of narrow rows, the packing of an operand whose rows
// already run along the micro-tile. Widths are in bytes, so it serves both element types.
func copyRows() {
	TEXT("copyRowsAVX2", NOSPLIT, "func(dst, src *byte, dstStride, srcStride, rows, width uintptr, mask *byte, strips, dstNext, srcNext uintptr)")
	Doc("copyRowsAVX2 copies strips of rows of width bytes (at most 128, a multiple of 4): the first of",
		"each strip is dstNext and srcNext bytes behind that of the strip before. It reads no byte",
		"outside the rows, but writes up to 31 bytes after each: what is written later repairs that, so",
		"dst needs 32 spare bytes at its end. mask selects the 4-byte words of the last 32 bytes.")
	Pragma("noescape")
	Load(Param("dst"), reg.R13)
	Load(Param("src"), reg.R14)
	Load(Param("dstStride"), reg.R8)
	Load(Param("srcStride"), reg.R9)
	Load(Param("rows"), reg.RBX)
	Load(Param("width"), reg.RDX)
	Load(Param("mask"), reg.RAX)
	Load(Param("strips"), reg.R10)
	Load(Param("dstNext"), reg.R11)
	Load(Param("srcNext"), reg.R12)
	VMOVUPS(operand.Mem{Base: reg.RAX}, reg.Y15)
	for n := 1; n < 4; n++ {
		CMPQ(reg.RDX, operand.U8(32*n))
		JLE(operand.LabelRef(fmt.Sprintf("strip%d", n)))
	}
	for n := 4; n >= 1; n-- {
		Label(fmt.Sprintf("strip%d", n))
		MOVQ(reg.R13, reg.RDI)
		MOVQ(reg.R14, reg.RSI)
		MOVQ(reg.RBX, reg.RCX)
		Label(fmt.Sprintf("vectors%d", n))
		for i := range n {
			src := operand.Mem{Base: reg.RSI, Disp: 32 * i}
			if i < n-1 {
				VMOVUPS(src, ymm[i])
			} else {
				VMASKMOVPS(src, reg.Y15, ymm[i])
			}
		}
		for i := range n {
			VMOVUPS(ymm[i], operand.Mem{Base: reg.RDI, Disp: 32 * i})
		}
		ADDQ(reg.R9, reg.RSI)
		ADDQ(reg.R8, reg.RDI)
		DECQ(reg.RCX)
		JNZ(operand.LabelRef(fmt.Sprintf("vectors%d", n)))
		ADDQ(reg.R11, reg.R13)
		ADDQ(reg.R12, reg.R14)
		DECQ(reg.R10)
		JNZ(operand.LabelRef(fmt.Sprintf("strip%d", n)))
		VZEROUPPER()
		RET()
	}
}

// transposeHead starts a routine that transposes strips of `rows` rows.
func transposeHead(name string, rows int) {
	TEXT(name, NOSPLIT, "func(dst, src *byte, dstStride, srcStride, blocks uintptr)")
	Doc(fmt.Sprintf("%s writes %d rows of %d*blocks elements (srcStride bytes apart) as columns:", name, rows, rows),
		fmt.Sprintf("row k of dst (dstStride bytes apart) gets element k of the %d rows.", rows))
	Pragma("noescape")
	Load(Param("dst"), reg.RDI)
	Load(Param("src"), reg.RSI)
	Load(Param("dstStride"), reg.R8)
	Load(Param("srcStride"), reg.R9)
	Load(Param("blocks"), reg.RCX)
	LEAQ(operand.Mem{Base: reg.R9, Index: reg.R9, Scale: 2}, reg.R10) // 3 source rows
	LEAQ(operand.Mem{Base: reg.R8, Index: reg.R8, Scale: 2}, reg.R11) // 3 target rows
	Label("block")
}

// strideRow addresses rows 0..3 from base, one of four consecutive rows.
func strideRow(base, stride, stride3 reg.GPPhysical, i int) operand.Mem {
	switch i {
	case 0:
		return operand.Mem{Base: base}
	case 3:
		return operand.Mem{Base: base, Index: stride3, Scale: 1}
	}
	return operand.Mem{Base: base, Index: stride, Scale: uint8(i)}
}

// transpose32 emits the 8x8 transpose of 4-byte elements: unpack pairs, shuffle quads, swap halves.
func transpose32() {
	transposeHead("transposeF32AVX2", 8)
	LEAQ(operand.Mem{Base: reg.RSI, Index: reg.R9, Scale: 4}, reg.RDX)
	// Rows i and i+4 share a register's halves from the start, which saves the final swap.
	for i := range 4 {
		lo, hi := strideRow(reg.RSI, reg.R9, reg.R10, i), strideRow(reg.RDX, reg.R9, reg.R10, i)
		VMOVUPS(lo, reg.X15)
		VINSERTF128(operand.U8(1), hi, reg.Y15, ymm[i]) // columns 0..3
		lo.Disp, hi.Disp = 16, 16
		VMOVUPS(lo, reg.X14)
		VINSERTF128(operand.U8(1), hi, reg.Y14, ymm[i+4]) // columns 4..7
	}
	for h := range 2 {
		r := ymm[4*h : 4*h+4]
		VUNPCKLPS(r[1], r[0], reg.Y8) // 0a 1a 0b 1b
		VUNPCKHPS(r[1], r[0], reg.Y9)
		VUNPCKLPS(r[3], r[2], reg.Y10)
		VUNPCKHPS(r[3], r[2], reg.Y11)
		VUNPCKLPD(reg.Y10, reg.Y8, r[0]) // column a of all 8 rows
		VUNPCKHPD(reg.Y10, reg.Y8, r[1])
		VUNPCKLPD(reg.Y11, reg.Y9, r[2])
		VUNPCKHPD(reg.Y11, reg.Y9, r[3])
		for i := range 4 {
			VMOVUPS(r[i], strideRow(reg.RDI, reg.R8, reg.R11, i))
		}
		LEAQ(operand.Mem{Base: reg.RDI, Index: reg.R8, Scale: 4}, reg.RDI)
	}
	transposeTail()
}

// transpose64 emits the 4x4 transpose of 8-byte elements.
func transpose64() {
	transposeHead("transposeF64AVX2", 4)
	for i := range 2 {
		lo, hi := strideRow(reg.RSI, reg.R9, reg.R10, i), strideRow(reg.RSI, reg.R9, reg.R10, i+2)
		VMOVUPD(lo, reg.X15)
		VINSERTF128(operand.U8(1), hi, reg.Y15, ymm[i]) // columns 0 and 1
		lo.Disp, hi.Disp = 16, 16
		VMOVUPD(lo, reg.X14)
		VINSERTF128(operand.U8(1), hi, reg.Y14, ymm[i+2]) // columns 2 and 3
	}
	for h := range 2 {
		VUNPCKLPD(ymm[2*h+1], ymm[2*h], reg.Y8)
		VUNPCKHPD(ymm[2*h+1], ymm[2*h], reg.Y9)
		VMOVUPD(reg.Y8, strideRow(reg.RDI, reg.R8, reg.R11, 2*h))
		VMOVUPD(reg.Y9, strideRow(reg.RDI, reg.R8, reg.R11, 2*h+1))
	}
	LEAQ(operand.Mem{Base: reg.RDI, Index: reg.R8, Scale: 4}, reg.RDI)
	transposeTail()
}

func transposeTail() {
	ADDQ(operand.U8(32), reg.RSI)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef("block"))
	VZEROUPPER()
	RET()
}
