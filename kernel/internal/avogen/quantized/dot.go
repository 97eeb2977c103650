package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Byte offsets in kernel.codeDotArgs; strides there are in bytes.
const (
	dotCodes    = 8 * iota // first row of codes
	dotScales              // its pieces' largest magnitudes
	dotX                   // the row of float32
	dotOut                 // sums
	dotLDCodes             // from a row of codes to the next
	dotLDScales            // from a row's scales to the next row's
	dotPieces              // of a row, with a scale each
	dotVectors             // 16 codes each, of a piece
	dotGroups              // of rows
)

// dotRows is how many rows of codes are multiplied at a time: enough chains of sums, and few enough registers.
func (v variant) dotRows() int {
	if v.wide {
		return 4
	}
	return 2
}

// ahead is how many bytes of codes in advance memory is asked for: rows side by side are no stream that the hardware follows.
const ahead = 4096

// dot emits out[w] = sum over k of value(codes[w][k]) x[k] for groups of rows of whole pieces with a scale each. Values and
// sums are those of decode and of the dot kernels over float32: 16 lanes a row, added up in the same order.
func (v variant) dot() {
	TEXT("quantizedDot"+v.suffix(), NOSPLIT, "func(args *byte)")
	Doc("quantizedDot" + v.suffix() + " multiplies groups of rows of codes with a row of float32; see codeDotArgs.")
	Pragma("noescape")
	args := Load(Param("args"), GP64())
	field := func(offset int) operand.Mem { return operand.Mem{Base: args, Disp: offset} }
	arg := func(offset int) reg.GPVirtual {
		r := GP64()
		MOVQ(field(offset), r)
		return r
	}
	codes, scales, x, out := arg(dotCodes), arg(dotScales), GP64(), arg(dotOut)
	ldCodes, ldScales := arg(dotLDCodes), arg(dotLDScales)
	row, scale, pieces, left, next := GP64(), GP64(), GP64(), GP64(), GP64()
	ldCodes3, ldScales3 := GP64(), GP64()
	LEAQ(operand.Mem{Base: ldCodes, Index: ldCodes, Scale: 2}, ldCodes3)
	LEAQ(operand.Mem{Base: ldScales, Index: ldScales, Scale: 2}, ldScales3)
	rows, halves := v.dotRows(), 16/v.lanes()
	at := func(base, ld, ld3 reg.GPVirtual, row, disp int) operand.Mem {
		m := operand.Mem{Base: base, Disp: disp}
		switch row {
		case 1, 2:
			m.Index, m.Scale = ld, uint8(row)
		case 3:
			m.Index, m.Scale = ld3, 1
		}
		return m
	}
	d := v.decoder()
	sums := make([][]reg.VecVirtual, rows)
	for w := range sums {
		for range halves {
			sums[w] = append(sums[w], v.vector())
		}
	}

	Label("group")
	MOVQ(codes, row)
	MOVQ(scales, scale)
	MOVQ(field(dotX), x)
	MOVQ(field(dotPieces), pieces)
	LEAQ(operand.Mem{Base: codes, Disp: ahead}, next)
	for _, s := range sums {
		for _, sum := range s {
			v.zero(sum)
		}
	}
	Label("piece")
	var steps []step
	for w := range rows {
		steps = append(steps, d.step(at(scale, ldScales, ldScales3, w, 0)))
	}
	MOVQ(field(dotVectors), left)
	Label("vector")
	PREFETCHT0(operand.Mem{Base: next})
	for h := range halves {
		xs := v.vector()
		VMOVUPS(operand.Mem{Base: x, Disp: 32 * h}, xs)
		for w := range rows {
			value := steps[w].value(at(row, ldCodes, ldCodes3, w, h*v.codeBytes()))
			VFMADD231PS(xs, value, sums[w][h])
		}
	}
	ADDQ(operand.U8(2*v.bits), row)
	ADDQ(operand.U8(64), x)
	ADDQ(operand.U8(2*v.bits*rows), next)
	DECQ(left)
	JNZ(operand.LabelRef("vector"))
	ADDQ(operand.U8(4), scale)
	DECQ(pieces)
	JNZ(operand.LabelRef("piece"))

	for w := range rows {
		v.sum(sums[w], operand.Mem{Base: out, Disp: 4 * w})
	}
	ADDQ(operand.U8(4*rows), out)
	for range rows {
		ADDQ(ldCodes, codes)
		ADDQ(ldScales, scales)
	}
	DECQ(field(dotGroups))
	JNZ(operand.LabelRef("group"))
	VZEROUPPER()
	RET()
}

func (v variant) zero(dst reg.VecVirtual) {
	if v.wide {
		VPXORD(dst, dst, dst)
	} else {
		VXORPS(dst, dst, dst)
	}
}

// sum stores the sum of a row's lanes: it halves them until one is left, adding the upper half to the lower.
func (v variant) sum(lanes []reg.VecVirtual, dst operand.Mem) {
	y := lanes[0].AsY()
	x := lanes[0].AsX()
	t := XMM()
	if v.wide {
		upper := YMM()
		VEXTRACTF64X4(operand.U8(1), lanes[0], upper)
		VADDPS(upper, y, y)
	} else {
		VADDPS(lanes[1], y, y)
	}
	VEXTRACTF128(operand.U8(1), y, t)
	VADDPS(t, x, x)
	VUNPCKHPD(x, x, t)
	VADDPS(t, x, x)
	VMOVSHDUP(x, t)
	VADDSS(t, x, x)
	VMOVSS(x, dst)
}
