package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rotate emits the turn of rows of two halves, each of whole vectors, by a row of angles each.
func (v variant) rotate() {
	TEXT("cacheRotate"+v.suffix, NOSPLIT, "func(dst, src, cos, sin *float32, rows, vectors int)")
	Doc("cacheRotate" + v.suffix + " turns rows of two halves of whole vectors each, row by row by other angles.")
	Pragma("noescape")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	cos, sin := Load(Param("cos"), GP64()), Load(Param("sin"), GP64())
	rows, vectors := Load(Param("rows"), GP64()), Load(Param("vectors"), GP64())
	half, left := GP64(), GP64()
	MOVQ(vectors, half)
	IMUL3Q(operand.U8(4*v.lanes()), half, half)
	vector := func() reg.VecVirtual {
		if v.wide {
			return ZMM()
		}
		return YMM()
	}
	x1, x2, c, s, y := vector(), vector(), vector(), vector(), vector()
	at := func(p reg.Register) operand.Mem { return operand.Mem{Base: p} }
	second := func(p reg.Register) operand.Mem { return operand.Mem{Base: p, Index: half, Scale: 1} }
	Label("row")
	MOVQ(vectors, left)
	Label("vector")
	VMOVUPS(at(src), x1)
	VMOVUPS(second(src), x2)
	VMOVUPS(at(cos), c)
	VMOVUPS(at(sin), s)
	VMULPS(c, x1, y)
	VFNMADD231PS(s, x2, y)
	VMOVUPS(y, at(dst))
	VMULPS(c, x2, x2)
	VFMADD231PS(s, x1, x2)
	VMOVUPS(x2, second(dst))
	for _, p := range []reg.Register{dst, src, cos, sin} {
		ADDQ(operand.U8(4*v.lanes()), p)
	}
	DECQ(left)
	JNZ(operand.LabelRef("vector"))
	ADDQ(half, dst)
	ADDQ(half, src)
	DECQ(rows)
	JNZ(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}

// decode emits the product of whole vectors of codes and a scale.
func (v variant) decode() {
	TEXT("cacheDecode"+v.suffix, NOSPLIT, "func(dst *float32, codes *int8, scale float32, vectors int)")
	Doc("cacheDecode" + v.suffix + " multiplies codes with a scale.")
	Pragma("noescape")
	dst, codes, left := Load(Param("dst"), GP64()), Load(Param("codes"), GP64()), Load(Param("vectors"), GP64())
	var scale, x reg.VecVirtual = YMM(), YMM()
	if v.wide {
		scale, x = ZMM(), ZMM()
	}
	mem, err := Param("scale").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(mem.Addr, scale)
	Label("vector")
	VPMOVSXBD(operand.Mem{Base: codes}, x)
	VCVTDQ2PS(x, x)
	VMULPS(scale, x, x)
	VMOVUPS(x, operand.Mem{Base: dst})
	ADDQ(operand.U8(v.lanes()), codes)
	ADDQ(operand.U8(4*v.lanes()), dst)
	DECQ(left)
	JNZ(operand.LabelRef("vector"))
	VZEROUPPER()
	RET()
}
