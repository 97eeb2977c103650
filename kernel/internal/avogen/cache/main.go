// Command cache writes the assembly of attention over cached keys and values: a few queries' dot
// products with rows in memory, and sums of such rows with a few queries' weights. Each row is
// loaded once for several queries, and while it is used, what is needed next is fetched.
//
// Run it through `go generate` in package kernel.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, v := range []variant{
		{suffix: "F32AVX2"}, {suffix: "I8AVX2", codes: true},
		{suffix: "F32AVX512", wide: true}, {suffix: "I8AVX512", wide: true, codes: true},
	} {
		v.scores()
		v.values()
	}
	for _, v := range []variant{{suffix: "AVX2"}, {suffix: "AVX512", wide: true}} {
		v.rotate()
		v.decode()
	}
	Generate()
}

// variant is one type of cached rows on one instruction set.
type variant struct {
	suffix string
	wide   bool // AVX-512: 16 lanes, 32 registers, masks
	codes  bool // rows of int8, without their scale
}

func (v variant) lanes() int {
	if v.wide {
		return 16
	}
	return 8
}

// elemBytes is the size of an element of a row.
func (v variant) elemBytes() int {
	if v.codes {
		return 1
	}
	return 4
}

// rowBytes is what one vector takes in a row.
func (v variant) rowBytes() int { return v.lanes() * v.elemBytes() }

// vec returns vector register i.
func (v variant) vec(i int) reg.VecPhysical {
	if v.wide {
		return zmm[i]
	}
	return zmm[i].AsY().(reg.VecPhysical)
}

var zmm = []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}

// last returns the i-th register from the end.
func (v variant) last(i int) reg.VecPhysical {
	if v.wide {
		return v.vec(31 - i)
	}
	return v.vec(15 - i)
}

func (v variant) zero(dst operand.Op) {
	if v.wide {
		VPXORD(dst, dst, dst)
	} else {
		VXORPS(dst, dst, dst)
	}
}

// loadRow loads a vector of a cached row.
func (v variant) loadRow(src operand.Mem, dst reg.VecPhysical) {
	if !v.codes {
		VMOVUPS(src, dst)
		return
	}
	VPMOVSXBD(src, dst)
	VCVTDQ2PS(dst, dst)
}

// loadPart loads the lanes of the mask, a K register on AVX-512 and a vector of sign bits on AVX2,
// and zeroes the others.
func (v variant) loadPart(src operand.Mem, mask, dst operand.Op) {
	if v.wide {
		VMOVUPS_Z(src, mask, dst)
	} else {
		VMASKMOVPS(src, mask, dst)
	}
}

// strided addresses row i of a matrix; its rows 0, 4, 8 and 12 are at bases, stride and stride3 are
// one and three times its row stride.
func strided(bases []reg.GPPhysical, stride, stride3 reg.GPPhysical, i, disp int) operand.Mem {
	m := operand.Mem{Base: bases[i/4], Disp: disp}
	switch i % 4 {
	case 1, 2:
		m.Index, m.Scale = stride, uint8(i%4)
	case 3:
		m.Index, m.Scale = stride3, 1
	}
	return m
}

// step4 sets every base but the first to the one before it and four strides.
func step4(bases []reg.GPPhysical, stride reg.GPPhysical, rows int) {
	for i := 1; i < (rows+3)/4; i++ {
		LEAQ(operand.Mem{Base: bases[i-1], Index: stride, Scale: 4}, bases[i])
	}
}

// field addresses a field of the argument block in DI by its byte offset.
func field(offset int) operand.Mem { return operand.Mem{Base: reg.RDI, Disp: offset} }
