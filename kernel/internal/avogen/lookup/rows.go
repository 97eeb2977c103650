package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// variant is an instruction set.
type variant struct {
	suffix string
	wide   bool // AVX-512: 16 lanes, masks
}

// Byte offsets in kernel.lookupArgs; strides there are in bytes, but for that of the codes.
const (
	argRows           = 8 * iota // the first row
	argLd                        // from a row to the next
	argValues                    //
	argIndex                     //
	argStride                    // from a row's term to its next, in values and indices
	argTerms                     //
	argDictionary                //
	argWidth                     // from an atom to the next
	argCount                     // of rows
	argMask                      // lanes in use
	argMaskBytes                 // the same as sign bits (AVX2)
	argGradDictionary            //
	argGradValues                //
)

// body is the code for one vector's width of columns.
type body struct {
	variant
	mask                        reg.Register
	args                        reg.GPVirtual
	rows, values, index, stride reg.GPVirtual
	dictionary, width           reg.GPVirtual
	row, at, left, atom         reg.GPVirtual
}

func (v variant) vector() reg.VecVirtual {
	if v.wide {
		return ZMM()
	}
	return YMM()
}

// each emits f over all terms of every row, between before and after: at is the place of the term's code, atom its atom's
// offset.
func (v variant) each(name, doc string, before, term, after func(body)) {
	TEXT(name+v.suffix, NOSPLIT, "func(args *byte)")
	Doc(name + v.suffix + " " + doc + "; see lookupArgs.")
	Pragma("noescape")
	b := body{variant: v, args: Load(Param("args"), GP64()).(reg.GPVirtual), row: GP64(), at: GP64(), left: GP64(), atom: GP64()}
	arg := func(offset int) reg.GPVirtual {
		r := GP64()
		MOVQ(b.arg(offset), r)
		return r
	}
	b.rows, b.values, b.index, b.stride = arg(argRows), arg(argValues), arg(argIndex), arg(argStride)
	b.dictionary, b.width = arg(argDictionary), arg(argWidth)
	if v.wide {
		k, t := K(), arg(argMask)
		KMOVW(t.As32(), k)
		b.mask = k
	} else {
		m, t := YMM(), arg(argMaskBytes)
		VMOVUPS(operand.Mem{Base: t}, m)
		b.mask = m
	}
	XORQ(b.row, b.row)
	Label("row")
	before(b)
	MOVQ(b.row, b.at)
	MOVQ(b.arg(argTerms), b.left)
	Label("term")
	MOVBQZX(operand.Mem{Base: b.index, Index: b.at, Scale: 1}, b.atom)
	IMULQ(b.width, b.atom)
	term(b)
	ADDQ(b.stride, b.at)
	DECQ(b.left)
	JNZ(operand.LabelRef("term"))
	after(b)
	ADDQ(b.arg(argLd), b.rows)
	INCQ(b.row)
	CMPQ(b.row, b.arg(argCount))
	JLT(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}

// rows emits the sums of atoms: a row is the sum over its terms of a value times an atom.
func (v variant) rows() {
	var sum reg.VecVirtual
	v.each("lookupRows", "computes rows as sums of values times atoms",
		func(b body) { sum = b.vector(); b.zero(sum) },
		func(b body) {
			value, atom := b.vector(), b.vector()
			VBROADCASTSS(b.code(b.values), value)
			b.load(b.at0(b.dictionary), atom)
			VFMADD231PS(atom, value, sum)
		},
		func(b body) { b.store(sum, operand.Mem{Base: b.rows}) })
}

// rowsGrad emits their gradients: gradDictionary[atom] += value * row and gradValues += <row, atom>.
func (v variant) rowsGrad() {
	var row, gradDictionary, gradValues reg.Register
	v.each("lookupRowsGrad", "adds the gradients of sums of atoms, given those of the rows",
		func(b body) {
			r, d, g := b.vector(), GP64(), GP64()
			b.load(operand.Mem{Base: b.rows}, r)
			MOVQ(b.arg(argGradDictionary), d)
			MOVQ(b.arg(argGradValues), g)
			row, gradDictionary, gradValues = r, d, g
		},
		func(b body) {
			value, grad, atom, upper := b.vector(), b.vector(), b.vector(), b.vector()
			VBROADCASTSS(b.code(b.values), value)
			place := b.at0(gradDictionary)
			b.load(place, grad)
			VFMADD231PS(row, value, grad)
			b.store(grad, place)
			b.load(b.at0(b.dictionary), atom)
			VMULPS(row, atom, atom)
			if b.wide {
				VEXTRACTF64X4(operand.U8(1), atom, upper.AsY())
				VADDPS(upper.AsY(), atom.AsY(), atom.AsY())
			}
			VEXTRACTF128(operand.U8(1), atom.AsY(), upper.AsX())
			VADDPS(upper.AsX(), atom.AsX(), atom.AsX())
			VPERMILPD(operand.U8(1), atom.AsX(), upper.AsX())
			VADDPS(upper.AsX(), atom.AsX(), atom.AsX())
			VPERMILPS(operand.U8(1), atom.AsX(), upper.AsX())
			VADDSS(upper.AsX(), atom.AsX(), atom.AsX())
			VADDSS(b.code(gradValues), atom.AsX(), atom.AsX())
			VMOVSS(atom.AsX(), b.code(gradValues))
		},
		func(body) {})
}

func (b body) arg(offset int) operand.Mem { return operand.Mem{Base: b.args, Disp: offset} }

// code is the place of this term in an array of floats, at0 that of its atom in a dictionary.
func (b body) code(base reg.Register) operand.Mem {
	return operand.Mem{Base: base, Index: b.at, Scale: 4}
}

func (b body) at0(base reg.Register) operand.Mem {
	return operand.Mem{Base: base, Index: b.atom, Scale: 1}
}

func (b body) load(src operand.Mem, dst reg.Register) {
	if b.wide {
		VMOVUPS_Z(src, b.mask, dst)
	} else {
		VMASKMOVPS(src, b.mask, dst)
	}
}

func (b body) store(src reg.Register, dst operand.Mem) {
	if b.wide {
		VMOVUPS(src, b.mask, dst)
	} else {
		VMASKMOVPS(src, b.mask, dst)
	}
}

func (b body) zero(dst reg.Register) {
	if b.wide {
		VPXORD(dst, dst, dst)
	} else {
		VXORPS(dst, dst, dst)
	}
}
