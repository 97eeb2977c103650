package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Bits of float32: the smallest largest magnitude of a piece that is not taken for zeros, infinity, and a number that is none.
const (
	least    = 0x0D800000
	infinity = 0x7F800000
	none     = 0x7FC00000
)

// round emits what rounds a row to 8 bits, in pieces of vectors of 16; see roundPiece.
func round(wide bool) {
	name := "integerRoundAVX2"
	if wide {
		name = "integerRoundAVX512"
	}
	TEXT(name, NOSPLIT, "func(dst *byte, x *float32, pieces, vectors, zero int)")
	Doc(name + " rounds pieces of 16 vectors of float32 to 8 bits; see roundPiece.")
	Pragma("noescape")
	dst, x := Load(Param("dst"), GP64()), Load(Param("x"), GP64())
	pieces, vectors := Load(Param("pieces"), GP64()), Load(Param("vectors"), GP64())
	zero := Load(Param("zero"), GP64())
	from, left, bits, scale := GP64(), GP64(), GP32(), GP32()
	vector := func() reg.VecVirtual {
		if wide {
			return ZMM()
		}
		return YMM()
	}
	parts := 2
	if wide {
		parts = 1
	}
	mask, largest, sum, factor, v := vector(), vector(), vector(), vector(), vector()
	VPBROADCASTD(magnitude, mask)
	clear := func(r reg.VecVirtual) {
		if wide {
			VPXORD(r, r, r)
		} else {
			VPXOR(r, r, r)
		}
	}
	// fold leaves a function of all lanes in the first.
	fold := func(r reg.VecVirtual, f func(a, b, c operand.Op)) reg.VecVirtual {
		if wide {
			upper := YMM()
			VEXTRACTI64X4(operand.U8(1), r, upper)
			f(upper, r.AsY(), r.AsY())
		}
		t := XMM()
		VEXTRACTI128(operand.U8(1), r.AsY(), t)
		f(t, r.AsX(), r.AsX())
		VPSHUFD(operand.U8(0x0E), r.AsX(), t)
		f(t, r.AsX(), r.AsX())
		VPSHUFD(operand.U8(0x01), r.AsX(), t)
		f(t, r.AsX(), r.AsX())
		return r.AsX().(reg.VecVirtual)
	}

	Label("piece")
	clear(largest)
	MOVQ(x, from)
	MOVQ(vectors, left)
	Label("largest")
	for h := range parts {
		src := operand.Mem{Base: from, Disp: 32 * h}
		if wide {
			VPANDD(src, mask, v)
		} else {
			VPAND(src, mask, v)
		}
		VPMAXSD(v, largest, largest)
	}
	ADDQ(operand.U8(64), from)
	DECQ(left)
	JNZ(operand.LabelRef("largest"))
	m := fold(largest, func(a, b, c operand.Op) { VPMAXSD(a, b, c) })
	VMOVD(m, bits)
	a, t := XMM(), XMM()
	CMPL(bits, operand.U32(infinity))
	JCC(operand.LabelRef("none"))
	CMPL(bits, operand.U32(least))
	JCS(operand.LabelRef("zeros"))
	VMOVSS(top, t)
	VDIVSS(t, m, a) // the scale
	VMOVD(a, scale)
	VDIVSS(m, t, a) // its inverse
	VBROADCASTSS(a, factor)
	JMP(operand.LabelRef("codes"))
	Label("none")
	MOVL(operand.U32(none), scale)
	clear(factor)
	JMP(operand.LabelRef("codes"))
	Label("zeros")
	XORL(scale, scale)
	clear(factor)

	Label("codes")
	clear(sum)
	MOVQ(vectors, left)
	MOVQ(dst, from)
	Label("code")
	for h := range parts {
		VMULPS(operand.Mem{Base: x, Disp: 32 * h}, factor, v)
		VCVTPS2DQ(v, v)
		VPADDD(v, sum, sum)
		to := operand.Mem{Base: from, Disp: 4 + 8*h}
		if wide {
			VPMOVDB(v, to)
			continue
		}
		VEXTRACTI128(operand.U8(1), v, t)
		VPACKSSDW(t, v.AsX(), t)
		VPACKSSWB(t, t, t)
		VMOVQ(t, to)
	}
	ADDQ(operand.U8(64), x)
	ADDQ(operand.U8(16), from)
	DECQ(left)
	JNZ(operand.LabelRef("code"))
	s := fold(sum, func(a, b, c operand.Op) { VPADDD(a, b, c) })
	VMOVD(s, bits)
	IMULL(zero.(reg.GPVirtual).As32(), bits)
	MOVL(bits, operand.Mem{Base: dst})
	MOVL(scale, operand.Mem{Base: from, Disp: 4})
	LEAQ(operand.Mem{Base: from, Disp: 8}, dst)
	DECQ(pieces)
	JNZ(operand.LabelRef("piece"))
	VZEROUPPER()
	RET()
}
