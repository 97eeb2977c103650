// Command lookup writes the assembly of package kernel that reads small tables by byte.
//
// Run it through `go generate` in package kernel.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	for _, entries := range []int{32, 64, 128, 256} {
		permute(entries)
	}
	gather()
	for _, v := range []variant{{suffix: "AVX2"}, {suffix: "AVX512", wide: true}} {
		v.rows()
		v.rowsGrad()
	}
	Generate()
}

const signature = "func(y, values *float32, index *uint8, table *float32, n int)"

// operands are the arguments of a lookup.
type operands struct{ y, values, index, table, left, at reg.GPVirtual }

func begin(name, doc string) operands {
	TEXT(name, NOSPLIT, signature)
	Doc(name + " " + doc)
	Pragma("noescape")
	load := func(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }
	o := operands{load("y"), load("values"), load("index"), load("table"), load("n"), GP64()}
	XORQ(o.at, o.at)
	return o
}

func (o operands) float(p reg.GPVirtual) operand.Mem {
	return operand.Mem{Base: p, Index: o.at, Scale: 4}
}

func (o operands) byte() operand.Mem { return operand.Mem{Base: o.index, Index: o.at, Scale: 1} }

// permute emits the lookup in a table of so many entries, which stays in registers: 32 are one permutation of two
// registers, and each further bit of an index chooses between two halves. That is several times as fast as a gather.
func permute(entries int) {
	o := begin(fmt.Sprintf("lookup%dAVX512", entries), fmt.Sprintf("computes y += values * table[index] for tables of %d entries.", entries))
	var table, bits []reg.VecVirtual
	for i := range entries / 16 {
		v := ZMM()
		VMOVUPS(operand.Mem{Base: o.table, Disp: 64 * i}, v)
		table = append(table, v)
	}
	for bit := 32; bit < entries; bit *= 2 {
		word, v := GP32(), ZMM()
		MOVL(operand.U32(bit), word)
		VPBROADCASTD(word, v)
		bits = append(bits, v)
	}
	step := func(mask reg.Register) {
		index := ZMM()
		if mask == nil {
			VPMOVZXBD(o.byte(), index)
		} else {
			VPMOVZXBD_Z(o.byte(), mask, index)
		}
		var found []reg.VecVirtual
		for i := 0; i < len(table); i += 2 {
			v := ZMM()
			VMOVDQA32(index, v)
			VPERMI2PS(table[i+1], table[i], v)
			found = append(found, v)
		}
		for _, bit := range bits {
			upper := K()
			VPTESTMD(bit, index, upper)
			for i := range len(found) / 2 {
				VBLENDMPS(found[2*i+1], found[2*i], upper, found[i])
			}
			found = found[:len(found)/2]
		}
		sum := ZMM()
		if mask == nil {
			VMOVUPS(o.float(o.y), sum)
			VFMADD231PS(o.float(o.values), found[0], sum)
			VMOVUPS(sum, o.float(o.y))
			return
		}
		factor := ZMM()
		VMOVUPS_Z(o.float(o.y), mask, sum)
		VMOVUPS_Z(o.float(o.values), mask, factor)
		VFMADD231PS(factor, found[0], sum)
		VMOVUPS(sum, mask, o.float(o.y))
	}
	CMPQ(o.left, operand.U8(16))
	JLT(operand.LabelRef("tail"))
	Label("loop")
	step(nil)
	ADDQ(operand.U8(16), o.at)
	SUBQ(operand.U8(16), o.left)
	CMPQ(o.left, operand.U8(16))
	JGE(operand.LabelRef("loop"))
	Label("tail")
	TESTQ(o.left, o.left)
	JZ(operand.LabelRef("done"))
	lanes, mask := GP64(), K()
	MOVQ(o.left, reg.RCX)
	MOVQ(operand.U32(1), lanes)
	SHLQ(reg.CL, lanes)
	DECQ(lanes)
	KMOVW(lanes.As32(), mask)
	step(mask)
	Label("done")
	VZEROUPPER()
	RET()
}

// gather emits the lookup for AVX2, whose permutations reach 8 entries only: n is a multiple of 8.
func gather() {
	o := begin("lookupAVX2", "computes y += values * table[index] for n a multiple of 8.")
	index, found, all, sum := YMM(), YMM(), YMM(), YMM()
	TESTQ(o.left, o.left)
	JZ(operand.LabelRef("done"))
	Label("loop")
	VPMOVZXBD(o.byte(), index)
	VPCMPEQD(all, all, all) // a gather clears its mask
	VGATHERDPS(all, operand.Mem{Base: o.table, Index: index, Scale: 4}, found)
	VMOVUPS(o.float(o.y), sum)
	VFMADD231PS(o.float(o.values), found, sum)
	VMOVUPS(sum, o.float(o.y))
	ADDQ(operand.U8(8), o.at)
	SUBQ(operand.U8(8), o.left)
	JNZ(operand.LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
