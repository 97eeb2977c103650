package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Byte offsets in kernel.integerArgs; strides there are in bytes.
const (
	argCodes  = 8 * iota // of a panel of weights
	argScales            // of its pieces
	argX                 // the first row of activations
	argC                 // the first row of sums
	argBias              // what sums start at
	argLDX               // from a row of activations to the next
	argLDC               // from a row of sums to the next
	argPieces            // of a row, with a scale each
	argPairs             // of groups of four, of a piece
	argRows              // of each tile
	argTiles             // one under the other
	argShift             // of codes of 4 bits: 0 takes the lower half of each byte, 4 the upper one
)

// variant is a width of codes on an instruction set.
type variant struct {
	set
	bits int
}

// rows is the height of the largest tile: sums of two vectors each fill the registers.
func (v variant) rows() int {
	if v.set == avx2 {
		return 4
	}
	return 6
}

func (v variant) vec(i int) reg.VecPhysical {
	if v.set == avx512VNNI {
		return zmm[i]
	}
	return ymm[i]
}

func field(offset int) operand.Mem { return operand.Mem{Base: reg.RDI, Disp: offset} }

// row addresses row i of the activations: R8 is row 0, and R10, R11, R12 are 1, 3 and 5 strides.
func row(i, disp int) operand.Mem {
	m := operand.Mem{Base: reg.R8, Disp: disp}
	switch i {
	case 1, 2, 4:
		m.Index, m.Scale = reg.R10, uint8(i)
	case 3:
		m.Index, m.Scale = reg.R11, 1
	case 5:
		m.Index, m.Scale = reg.R12, 1
	}
	return m
}

// product emits tiles of rows by a panel of 32 columns, or with 256 bits by its half:
//
//	c = bias + sum over pieces of (float32(integer sum of the piece) * scale of x) * scale of w
//
// each product and each addition rounded, in the order of the pieces.
//
// With 512 bits the sums of float32 are in registers; with 256 bits they are where they end, in c.
func (v variant) product() {
	name := fmt.Sprintf("integerProduct%d%s", v.bits, v.set)
	TEXT(name, NOSPLIT, "func(args *byte)")
	Doc(name + " multiplies tiles of rows with a panel of weights; see integerArgs.")
	Pragma("noescape")
	Load(Param("args"), reg.RDI)
	MOVQ(field(argLDX), reg.R10)
	LEAQ(operand.Mem{Base: reg.R10, Index: reg.R10, Scale: 2}, reg.R11)
	LEAQ(operand.Mem{Base: reg.R10, Index: reg.R10, Scale: 4}, reg.R12)
	MOVQ(field(argLDC), reg.RDX)
	MOVQ(field(argC), reg.RAX)
	MOVQ(field(argX), reg.R15)
	if v.bits == 4 {
		v.prepare()
	} else if v.set == avx2 {
		VMOVDQU(ones, reg.Y15)
	}
	Label("tile")
	MOVQ(field(argCodes), reg.RSI)
	MOVQ(field(argScales), reg.RBX)
	MOVQ(reg.R15, reg.R8)
	MOVQ(field(argPieces), reg.R13)
	MOVQ(field(argRows), reg.RCX)
	for n := v.rows(); n > 1; n-- {
		CMPQ(reg.RCX, operand.U8(n))
		JEQ(operand.LabelRef(fmt.Sprintf("rows%d", n)))
	}
	for n := 1; n <= v.rows(); n++ {
		v.tile(n)
	}
	Label("next")
	MOVQ(field(argRows), reg.RCX)
	MOVQ(reg.RCX, reg.R8)
	IMULQ(reg.RDX, reg.RCX)
	ADDQ(reg.RCX, reg.RAX)
	IMULQ(reg.R10, reg.R8)
	ADDQ(reg.R8, reg.R15)
	DECQ(field(argTiles))
	JNZ(operand.LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// Registers of AVX-512: integer sums, sums, weights, lower halves of bytes, activations, scales.
const (
	wideSums    = 12
	wideWeights = 24
	wideNibbles = 26
	wideX       = 27
	wideScales  = 29
	wideScale   = 31
)

// prepare loads what unpacking 4 bits needs.
func (v variant) prepare() {
	switch v.set {
	case avx512VNNI:
		VBROADCASTI64X4(nibbles, reg.Z26)
	case avxVNNI:
		VMOVQ(field(argShift), reg.X15)
	default:
		VMOVQ(field(argShift), reg.X14)
		VMOVDQU(ones, reg.Y15)
	}
}

// tile emits n rows.
func (v variant) tile(n int) {
	label := func(what string) string { return fmt.Sprintf("%s%d", what, n) }
	Label(label("rows"))
	v.start(n)
	Label(label("piece"))
	for i := range n {
		a, b := v.vec(2*i), v.vec(2*i+1)
		switch {
		case v.set == avx512VNNI:
			VPBROADCASTD(row(i, 0), a)
			VMOVDQA64(a, b)
		case v.set == avx2 && v.bits == 8: // its products are those of the numbers themselves
			VPXOR(a, a, a)
			VPXOR(b, b, b)
		default:
			VPBROADCASTD(row(i, 0), a)
			VMOVDQA(a, b)
		}
	}
	MOVQ(field(argPairs), reg.RCX)
	Label(label("pair"))
	for h := range 2 {
		v.group(n, h)
	}
	ADDQ(operand.U8(8), reg.R8)
	ADDQ(operand.U32(32*v.bits), reg.RSI)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef(label("pair")))
	v.fold(n)
	ADDQ(operand.U8(8), reg.R8)
	ADDQ(operand.U32(128), reg.RBX)
	DECQ(reg.R13)
	JNZ(operand.LabelRef(label("piece")))
	if v.set == avx512VNNI {
		MOVQ(reg.RAX, reg.R9)
		for i := range n {
			VMOVUPS(zmm[wideSums+2*i], operand.Mem{Base: reg.R9})
			VMOVUPS(zmm[wideSums+2*i+1], operand.Mem{Base: reg.R9, Disp: 64})
			if i < n-1 {
				ADDQ(reg.RDX, reg.R9)
			}
		}
	}
	JMP(operand.LabelRef("next"))
}

// start emits sums that start at the bias.
func (v variant) start(n int) {
	MOVQ(field(argBias), reg.R9)
	if v.set == avx512VNNI {
		VMOVUPS(operand.Mem{Base: reg.R9}, zmm[wideSums])
		VMOVUPS(operand.Mem{Base: reg.R9, Disp: 64}, zmm[wideSums+1])
		for i := 1; i < n; i++ {
			VMOVAPS(zmm[wideSums], zmm[wideSums+2*i])
			VMOVAPS(zmm[wideSums+1], zmm[wideSums+2*i+1])
		}
		return
	}
	VMOVUPS(operand.Mem{Base: reg.R9}, reg.Y0)
	VMOVUPS(operand.Mem{Base: reg.R9, Disp: 32}, reg.Y1)
	MOVQ(reg.RAX, reg.R9)
	for i := range n {
		VMOVUPS(reg.Y0, operand.Mem{Base: reg.R9})
		VMOVUPS(reg.Y1, operand.Mem{Base: reg.R9, Disp: 32})
		if i < n-1 {
			ADDQ(reg.RDX, reg.R9)
		}
	}
}

// group emits the products of four activations of each row, group h of a pair.
func (v variant) group(n, h int) {
	w := v.weights(h)
	for i := range n {
		x := v.x(i)
		VPBROADCASTD(row(i, 4+4*h), x)
		for j := range 2 {
			sum := v.vec(2*i + j)
			switch v.set {
			case avx512VNNI:
				VPDPBUSD(x, w[j], sum)
			case avxVNNI:
				vexVPDPBUSD(x, w[j], sum)
			default:
				v.dot(x, w[j], j, sum)
			}
		}
	}
}

// x is where an activation of row i goes.
func (v variant) x(i int) reg.VecPhysical {
	switch v.set {
	case avx512VNNI:
		return zmm[wideX+i%2]
	case avxVNNI:
		return reg.Y14
	}
	return reg.Y12
}

// weights emits the load of group h's two vectors of codes: of 8 bits what 128 is added to, of 4 bits what 8 is.
// AVX2 takes the sign of 8 bits away.
func (v variant) weights(h int) [2]reg.VecPhysical {
	src := func(j, size int) operand.Mem { return operand.Mem{Base: reg.RSI, Disp: 16*v.bits*h + size*j} }
	if v.set == avx512VNNI {
		a, b := zmm[wideWeights], zmm[wideWeights+1]
		if v.bits == 8 {
			VMOVDQU64(src(0, 64), a)
			VMOVDQU64(src(1, 64), b)
			return [2]reg.VecPhysical{a, b}
		}
		VMOVDQU64(src(0, 64), a)
		VPSRLW(operand.U8(4), a, b)
		VPANDD(zmm[wideNibbles], a, a)
		VPANDD(zmm[wideNibbles], b, b)
		return [2]reg.VecPhysical{a, b}
	}
	w := [2]reg.VecPhysical{reg.Y12, reg.Y13}
	shift := reg.X15
	if v.set == avx2 {
		w, shift = [2]reg.VecPhysical{reg.Y8, reg.Y9}, reg.X14
	}
	for j := range 2 {
		VMOVDQU(src(j, 32), w[j])
		switch {
		case v.bits == 4:
			VPSRLW(shift, w[j], w[j])
			VPAND(nibbles, w[j], w[j])
		case v.set == avx2:
			VPXOR(signs, w[j], w[j]) // code - 128
			VPABSB(w[j], []reg.VecPhysical{reg.Y10, reg.Y11}[j])
		}
	}
	return w
}

// dot emits sum += the dot products of four bytes by VPMADDUBSW, which adds two products in 16 bits: none is larger than
// 127 * 127, so that none is cut off.
func (v variant) dot(x, w reg.VecPhysical, j int, sum reg.VecPhysical) {
	t := reg.Y13
	if v.bits == 8 {
		VPSIGNB(w, x, t)
		VPMADDUBSW(t, []reg.VecPhysical{reg.Y10, reg.Y11}[j], t)
	} else {
		VPMADDUBSW(x, w, t)
	}
	VPMADDWD(reg.Y15, t, t)
	VPADDD(t, sum, sum)
}

// fold emits what adds a piece's integer sums, times both scales, to the sums.
func (v variant) fold(n int) {
	if v.set == avx512VNNI {
		for j := range 2 {
			VMOVUPS(operand.Mem{Base: reg.RBX, Disp: 64 * j}, zmm[wideScales+j])
		}
		for i := range n {
			VBROADCASTSS(row(i, 4), zmm[wideScale])
			for j := range 2 {
				a, sum := zmm[2*i+j], zmm[wideSums+2*i+j]
				VCVTDQ2PS(a, a)
				VMULPS(zmm[wideScale], a, a)
				VMULPS(zmm[wideScales+j], a, a)
				VADDPS(a, sum, sum)
			}
		}
		return
	}
	MOVQ(reg.RAX, reg.R9)
	x := v.x(0)
	for i := range n {
		VBROADCASTSS(row(i, 4), x)
		for j := range 2 {
			a, c := ymm[2*i+j], operand.Mem{Base: reg.R9, Disp: 32 * j}
			VCVTDQ2PS(a, a)
			VMULPS(x, a, a)
			VMULPS(operand.Mem{Base: reg.RBX, Disp: 32 * j}, a, a)
			VADDPS(c, a, a)
			VMOVUPS(a, c)
		}
		if i < n-1 {
			ADDQ(reg.RDX, reg.R9)
		}
	}
}
