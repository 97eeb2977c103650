// Command quantized writes the assembly of numbers in 8 or 4 bits: what turns them back into float32, and their dot products
// with a row of float32.
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
	for _, bits := range []int{8, 4} {
		for _, wide := range []bool{false, true} {
			v := variant{bits, wide}
			v.decode()
			v.dot()
		}
	}
	Generate()
}

// Constants: of each width m and 1/m as float32, what a code of 8 bits is shifted by, and what the 16 codes of 4 bits stand
// for, in steps.
var (
	tops, parts map[int]operand.Mem
	shift       operand.Mem
	numbers     operand.Mem
)

func constants() {
	m := GLOBL("quantizedConstants", attr.RODATA|attr.NOPTR)
	tops, parts = map[int]operand.Mem{}, map[int]operand.Mem{}
	at := 0
	put := func(x operand.Constant) operand.Mem {
		DATA(at, x)
		at += 4
		return m.Offset(at - 4)
	}
	for code := range 16 {
		x := put(operand.F32(code - 8))
		if code == 0 {
			numbers = x
		}
	}
	for _, bits := range []int{8, 4} {
		top := float32(int(1)<<(bits-1) - 1)
		tops[bits], parts[bits] = put(operand.F32(top)), put(operand.F32(1/top))
	}
	shift = put(operand.U32(128))
}

// variant is a width of codes on an instruction set.
type variant struct {
	bits int
	wide bool // AVX-512: 16 lanes
}

func (v variant) suffix() string {
	s := map[int]string{8: "Bytes", 4: "Halves"}[v.bits]
	if v.wide {
		return s + "AVX512"
	}
	return s + "AVX2"
}

func (v variant) lanes() int {
	if v.wide {
		return 16
	}
	return 8
}

// codeBytes is what a vector's codes take.
func (v variant) codeBytes() int { return v.lanes() * v.bits / 8 }

func (v variant) vector() reg.VecVirtual {
	if v.wide {
		return ZMM()
	}
	return YMM()
}

// decode emits the loop over blocks of some vectors each.
func (v variant) decode() {
	TEXT("quantizedDecode"+v.suffix(), NOSPLIT, "func(dst *float32, codes *uint8, absMax *float32, blocks, vectors int)")
	Doc("quantizedDecode" + v.suffix() + " writes the values of blocks of whole vectors of codes; see decodeRange.")
	Pragma("noescape")
	load := func(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }
	dst, codes, absMax := load("dst"), load("codes"), load("absMax")
	blocks, vectors, left := load("blocks"), load("vectors"), GP64()
	d := v.decoder()
	Label("block")
	s := d.step(operand.Mem{Base: absMax})
	MOVQ(vectors, left)
	Label("vector")
	VMOVUPS(s.value(operand.Mem{Base: codes}), operand.Mem{Base: dst})
	ADDQ(operand.U8(v.codeBytes()), codes)
	ADDQ(operand.U8(4*v.lanes()), dst)
	DECQ(left)
	JNZ(operand.LabelRef("vector"))
	ADDQ(operand.U8(4), absMax)
	DECQ(blocks)
	JNZ(operand.LabelRef("block"))
	VZEROUPPER()
	RET()
}

// decoder is what stays in registers: of 8 bits the code of 0, of 4 bits what the codes stand for.
type decoder struct {
	variant
	keep []reg.VecVirtual
}

func (v variant) decoder() decoder {
	d := decoder{variant: v}
	if v.bits == 8 {
		zero := v.vector()
		VPBROADCASTD(shift, zero)
		d.keep = append(d.keep, zero)
		return d
	}
	for at := 0; at < 16; at += v.lanes() {
		n := v.vector()
		VMOVUPS(numbers.Offset(4*at), n)
		d.keep = append(d.keep, n)
	}
	return d
}

// step is a block's: of 8 bits its two parts, of 4 bits all values.
type step struct {
	decoder
	table []reg.VecVirtual
}

// step emits the split of a block's step a / m, high = a (1/m) and low = (a - m high) (1/m); see vecDecodes.
func (d decoder) step(absMax operand.Mem) step {
	one, rest, high, low := XMM(), XMM(), d.vector(), d.vector()
	VMOVSS(absMax, rest)
	VMULSS(parts[d.bits], rest, one)
	VFNMADD231SS(tops[d.bits], one, rest)
	VMULSS(parts[d.bits], rest, rest)
	VBROADCASTSS(one, high)
	VBROADCASTSS(rest, low)
	s := step{decoder: d, table: []reg.VecVirtual{high, low}}
	if d.bits == 4 {
		s.table = nil
		for _, n := range d.keep {
			t := d.vector()
			VMULPS(low, n, t)
			VFMADD231PS(high, n, t)
			s.table = append(s.table, t)
		}
	}
	return s
}

// value emits what makes a vector of codes.
func (s step) value(codes operand.Mem) reg.VecVirtual {
	x, y := s.vector(), s.vector()
	if s.bits == 8 {
		VPMOVZXBD(codes, x)
		VPSUBD(s.keep[0], x, x)
		VCVTDQ2PS(x, x)
		VMULPS(s.table[1], x, y)
		VFMADD231PS(s.table[0], x, y)
		return y
	}
	// A byte as 64 bits has its lower code at the bottom of their lower half; shifted by 28, the upper one at the bottom of
	// their upper half. A permutation ignores all other bits.
	VPMOVZXBQ(codes, x)
	VPSLLQ(operand.U8(28), x, y)
	if s.wide {
		VPORQ(y, x, x)
		VPERMPS(s.table[0], x, y)
		return y
	}
	VPOR(y, x, x)
	lower := s.vector()
	VPERMPS(s.table[0], x, lower)
	VPERMPS(s.table[1], x, y)
	VPSLLD(operand.U8(28), x, x) // bit 3 becomes the sign, which chooses
	VBLENDVPS(x, y, lower, lower)
	return lower
}
