// Command integers writes the assembly of products of 8-bit integers: what rounds rows of float32 to them, and the products with
// weights in 8 or 4 bits.
//
// Run it through `go generate` in package kernel.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	constants()
	for _, wide := range []bool{false, true} {
		round(wide)
	}
	for _, bits := range []int{8, 4} {
		for _, s := range []set{avx2, avxVNNI, avx512VNNI} {
			variant{s, bits}.product()
		}
	}
	Generate()
}

// Constants: the bits of a float32 without its sign, the largest code, the lower half of each byte, ones of 16 bits, and what
// turns a code into the number that it stands for.
var magnitude, top, nibbles, ones, signs operand.Mem

func constants() {
	m := GLOBL("integerConstants", attr.RODATA|attr.NOPTR)
	at := 0
	put := func(times int, x operand.Constant) operand.Mem {
		start := at
		for range times {
			DATA(at, x)
			at += 4
		}
		return m.Offset(start)
	}
	magnitude = put(1, operand.U32(0x7FFFFFFF))
	top = put(1, operand.F32(127))
	nibbles = put(8, operand.U32(0x0F0F0F0F))
	ones = put(8, operand.U32(0x00010001))
	signs = put(8, operand.U32(0x80808080))
}

// set is an instruction set.
type set int

const (
	avx2       set = iota // VPMADDUBSW
	avxVNNI               // VPDPBUSD of 256 bits, as AVX encodes it
	avx512VNNI            // VPDPBUSD of 512 bits
)

func (s set) String() string {
	return [...]string{avx2: "AVX2", avxVNNI: "AVXVNNI", avx512VNNI: "AVX512VNNI"}[s]
}

var (
	ymm = []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	zmm = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
)
