// Command gemm writes the assembly of the matrix products: the micro-kernels of the blocked
// product, the packing routines, the dot kernels of thin products, the measure of the peak
// and the processor's identification.
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
	for _, v := range variants {
		microKernel(v)
	}
	microKernel(pairs)
	bfloat16Rows()
	bfloat16Columns(1)
	bfloat16Columns(2)
	bfloat16Round()
	copyRows()
	transpose32()
	transpose64()
	for _, v := range variants {
		dotKernel(v)
	}
	for _, v := range variants {
		if !v.double {
			peak(v)
		}
	}
	pause()
	cpuid()
	Generate()
}

// variant is one element type on one instruction set.
type variant struct {
	suffix string // of the function's name
	double bool   // float64
	wide   bool   // AVX-512: 64-byte vectors, 32 registers, masks
	mr     int    // rows of the largest micro-tile; its width is two vectors
	pairs  bool   // an element of A or B is two of bfloat16, one after the other in k
}

var variants = []variant{
	{"F32AVX2", false, false, 6, false},
	{"F64AVX2", true, false, 6, false},
	{"F32AVX512", false, true, 14, false},
	{"F64AVX512", true, true, 14, false},
}

// pairs is the micro-kernel for AVX512-BF16.
var pairs = variant{"BF16AVX512", false, true, 14, true}

// vectorBytes returns the bytes of one vector register.
func (v variant) vectorBytes() int {
	if v.wide {
		return 64
	}
	return 32
}

// elemBytes returns the bytes of one element.
func (v variant) elemBytes() int {
	if v.double {
		return 8
	}
	return 4
}

// vec returns vector register i.
func (v variant) vec(i int) reg.VecPhysical {
	if v.wide {
		return zmm[i]
	}
	return ymm[i]
}

var ymm = []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}

var zmm = []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31}

// The instructions that differ by element type only.

func (v variant) broadcast(src, dst operand.Op) {
	if v.double {
		VBROADCASTSD(src, dst)
	} else {
		VBROADCASTSS(src, dst)
	}
}

// fma emits acc += x*y for operands x, y, acc, or x, y, mask, acc; x may be memory.
func (v variant) fma(ops ...operand.Op) {
	if v.double {
		VFMADD231PD(ops...)
	} else {
		VFMADD231PS(ops...)
	}
}

// accumulate emits the step of a sum of products, acc += x*y: for pairs the sum of two products.
func (v variant) accumulate(x, y, acc reg.VecPhysical) {
	if v.pairs {
		VDPBF16PS(x, y, acc)
	} else {
		v.fma(x, y, acc)
	}
}

func (v variant) mul(x, y, dst operand.Op) {
	if v.double {
		VMULPD(x, y, dst)
	} else {
		VMULPS(x, y, dst)
	}
}

func (v variant) add(x, y, dst operand.Op) {
	if v.double {
		VADDPD(x, y, dst)
	} else {
		VADDPS(x, y, dst)
	}
}

func (v variant) move(ops ...operand.Op) {
	if v.double {
		VMOVUPD(ops...)
	} else {
		VMOVUPS(ops...)
	}
}

// loadMasked loads the lanes of mask and zeroes the others. The mask is a K register on AVX-512,
// a vector of sign bits on AVX2.
func (v variant) loadMasked(src, mask, dst operand.Op) {
	switch {
	case v.wide && v.double:
		VMOVUPD_Z(src, mask, dst)
	case v.wide:
		VMOVUPS_Z(src, mask, dst)
	case v.double:
		VMASKMOVPD(src, mask, dst)
	default:
		VMASKMOVPS(src, mask, dst)
	}
}

func (v variant) zero(dst operand.Op) {
	if v.wide {
		VPXORD(dst, dst, dst)
	} else {
		VXORPS(dst, dst, dst)
	}
}

// field addresses a field of the argument block in DI by its byte offset.
func field(offset int) operand.Mem { return operand.Mem{Base: reg.RDI, Disp: offset} }
