// Command conv writes the assembly of the depthwise convolutions of package kernel.
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
	for _, v := range []variant{{suffix: "AVX2"}, {suffix: "AVX512", wide: true}} {
		v.row()
		v.rowGrad()
	}
	Generate()
}

// variant is an instruction set.
type variant struct {
	suffix string
	wide   bool // AVX-512: 16 lanes, masks
}

// Byte offsets in kernel.depthwiseArgs; strides there are in bytes.
const (
	argX         = 8 * iota // 3 rows of the input at the first channel
	_                       //
	_                       //
	argXStride              // 3 strides, from a pixel to the next
	_                       //
	_                       //
	argY                    // the row of the output, or of its gradient
	argW                    // 9 rows of weights, or of sums for their gradients
	argBias                 //
	argStride               // from a pixel of y, and from a tap of w, to the next
	argPixels               //
	argVectors              // whole vectors of channels
	argMask                 // lanes of the last, partial vector; 0 if none
	argMaskBytes            // the same as sign bits (AVX2)
)

// body is the code for one vector of channels.
type body struct {
	variant
	masked bool
	mask   reg.Register
	args   reg.GPVirtual
	stride reg.GPVirtual
	label  string
}

func (v variant) vector() reg.VecVirtual {
	if v.wide {
		return ZMM()
	}
	return YMM()
}

// channels emits f for each whole vector of channels, and once more with a mask.
func (v variant) channels(name, doc string, f func(body)) {
	TEXT(name+v.suffix, NOSPLIT, "func(args *byte)")
	Doc(name + v.suffix + " " + doc + "; see depthwiseArgs.")
	Pragma("noescape")
	b := body{variant: v, args: Load(Param("args"), GP64()).(reg.GPVirtual), stride: GP64()}
	MOVQ(b.arg(argStride), b.stride)
	CMPQ(b.arg(argVectors), operand.U8(0))
	JEQ(operand.LabelRef("tail"))
	Label("vector")
	b.label = "whole"
	f(b)
	step := operand.U8(32)
	if v.wide {
		step = operand.U8(64)
	}
	for _, p := range []int{argX, argX + 8, argX + 16, argY, argW, argBias} {
		ADDQ(step, b.arg(p))
	}
	DECQ(b.arg(argVectors))
	JNZ(operand.LabelRef("vector"))
	Label("tail")
	CMPQ(b.arg(argMask), operand.U8(0))
	JEQ(operand.LabelRef("done"))
	b.masked, b.label = true, "part"
	t := GP64()
	if v.wide {
		b.mask = K()
		MOVQ(b.arg(argMask), t)
		KMOVW(t.As32(), b.mask)
	} else {
		b.mask = YMM()
		MOVQ(b.arg(argMaskBytes), t)
		VMOVUPS(operand.Mem{Base: t}, b.mask)
	}
	f(b)
	Label("done")
	VZEROUPPER()
	RET()
}

func (b body) arg(offset int) operand.Mem { return operand.Mem{Base: b.args, Disp: offset} }

func (b body) load(src operand.Mem, dst reg.Register) {
	switch {
	case !b.masked:
		VMOVUPS(src, dst)
	case b.wide:
		VMOVUPS_Z(src, b.mask, dst)
	default:
		VMASKMOVPS(src, b.mask, dst)
	}
}

func (b body) store(src reg.Register, dst operand.Mem) {
	switch {
	case !b.masked:
		VMOVUPS(src, dst)
	case b.wide:
		VMOVUPS(src, b.mask, dst)
	default:
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

// rows loads the pointers to the three rows of x and their strides.
func (b body) rows() (x, stride [3]reg.GPVirtual) {
	for i := range x {
		x[i], stride[i] = GP64(), GP64()
		MOVQ(b.arg(argX+8*i), x[i])
		MOVQ(b.arg(argXStride+8*i), stride[i])
	}
	return x, stride
}
