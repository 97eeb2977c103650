package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// strip is how the sums of some queries are cut: columns of so many vectors, and so many rows at a
// time with sums of their own, so that enough sums are under way.
type strip struct{ queries, vectors, rows int }

func (v variant) strips() []strip {
	if v.wide {
		return []strip{{8, 2, 1}, {4, 4, 1}, {2, 4, 2}, {1, 4, 4}}
	}
	return []strip{{8, 1, 1}, {4, 2, 1}, {2, 4, 1}, {1, 4, 2}}
}

// values emits out[x][c] += sum over j of x[x][j] rows[j][c], for 1, 2, 4 or 8 queries x, over one
// strip of columns c, or one masked vector of them.
func (v variant) values() {
	TEXT("cacheValues"+v.suffix, NOSPLIT, "func(args *byte)")
	Doc("cacheValues" + v.suffix + " adds up cached rows with a few queries' weights; see cacheArgs.")
	Pragma("noescape")
	Load(Param("args"), reg.RDI)
	MOVQ(field(argLDX), reg.R10)
	LEAQ(operand.Mem{Base: reg.R10, Index: reg.R10, Scale: 2}, reg.R11)
	MOVQ(field(argLDRows), reg.R12)
	MOVQ(field(argAhead), reg.R14)
	MOVQ(field(argRows), reg.RSI)
	ADDQ(reg.RSI, reg.R14) // what to fetch next: a strip's share of it in one run
	MOVQ(field(argX), reg.R8)
	LEAQ(operand.Mem{Base: reg.R8, Index: reg.R10, Scale: 4}, reg.R9)
	MOVQ(field(argCount), reg.RCX)
	MOVQ(field(argOut), reg.RDX)
	MOVQ(field(argLDOut), reg.R13)
	MOVQ(field(argShape), reg.RAX)
	CMPQ(field(argGroups), operand.U8(0))
	JNE(operand.LabelRef("strips"))
	if v.wide {
		MOVQ(field(argMask), reg.RBX)
		KMOVW(reg.EBX, reg.K1)
	} else {
		MOVQ(field(argMasks), reg.RBX)
		VMOVUPS(operand.Mem{Base: reg.RBX}, v.last(0))
	}
	for x := 8; x > 1; x /= 2 {
		CMPQ(reg.RAX, operand.U8(x))
		JEQ(operand.LabelRef(fmt.Sprintf("part%d", x)))
	}
	for x := 1; x <= 8; x *= 2 {
		v.valuesStrip(fmt.Sprintf("part%d", x), strip{x, 1, 1}, true)
	}
	Label("strips")
	for _, s := range v.strips() {
		if s.queries > 1 {
			CMPQ(reg.RAX, operand.U8(s.queries))
			JEQ(operand.LabelRef(fmt.Sprintf("strip%d", s.queries)))
		}
	}
	strips := v.strips()
	for i := range strips {
		s := strips[len(strips)-1-i]
		v.valuesStrip(fmt.Sprintf("strip%d", s.queries), s, false)
	}
}

// valuesStrip emits one strip.
func (v variant) valuesStrip(label string, s strip, part bool) {
	weights := []reg.GPPhysical{reg.R8, reg.R9}
	sum := func(set, x, i int) reg.VecPhysical { return v.vec((set*s.queries+x)*s.vectors + i) }
	var mask operand.Op = reg.K1
	if !v.wide {
		mask = v.last(0)
	}
	spare := 0
	if part && !v.wide {
		spare = 1 // the mask
	}
	// row adds one row to a set of sums.
	row := func(set int) {
		for i := range s.vectors {
			src := operand.Mem{Base: reg.RSI, Disp: i * v.rowBytes()}
			if part && !v.codes { // a row of codes has whole vectors only
				v.loadPart(src, mask, v.last(spare+i))
			} else {
				v.loadRow(src, v.last(spare+i))
			}
		}
		v.fetch(s.vectors * v.rowBytes())
		ADDQ(reg.R12, reg.RSI)
		for x := range s.queries {
			w := v.last(spare + s.vectors + x%2)
			VBROADCASTSS(strided(weights, reg.R10, reg.R11, x, 4*set), w)
			for i := range s.vectors {
				VFMADD231PS(v.last(spare+i), w, sum(set, x, i))
			}
		}
	}
	advance := func(rows int) {
		ADDQ(operand.U8(4*rows), reg.R8)
		if s.queries > 4 {
			ADDQ(operand.U8(4*rows), reg.R9)
		}
	}

	Label(label)
	for i := range s.rows * s.queries * s.vectors {
		v.zero(v.vec(i))
	}
	if s.rows > 1 {
		SUBQ(operand.U8(s.rows), reg.RCX)
		JL(operand.LabelRef(label + "few"))
		Label(label + "rows")
		for set := range s.rows {
			row(set)
		}
		advance(s.rows)
		SUBQ(operand.U8(s.rows), reg.RCX)
		JGE(operand.LabelRef(label + "rows"))
		Label(label + "few")
		ADDQ(operand.U8(s.rows), reg.RCX)
		JZ(operand.LabelRef(label + "sum"))
	}
	Label(label + "row")
	row(0)
	advance(1)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef(label + "row"))

	Label(label + "sum")
	for sets := s.rows; sets > 1; sets /= 2 {
		for set := range sets / 2 {
			for x := range s.queries {
				for i := range s.vectors {
					VADDPS(sum(set+sets/2, x, i), sum(set, x, i), sum(set, x, i))
				}
			}
		}
	}
	for x := range s.queries {
		for i := range s.vectors {
			out := operand.Mem{Base: reg.RDX, Disp: 4 * v.lanes() * i}
			if !part {
				VADDPS(out, sum(0, x, i), sum(0, x, i))
				VMOVUPS(sum(0, x, i), out)
				continue
			}
			v.loadPart(out, mask, v.last(1))
			VADDPS(v.last(1), sum(0, x, i), sum(0, x, i))
			if v.wide {
				VMOVUPS(sum(0, x, i), mask, out)
			} else {
				VMASKMOVPS(sum(0, x, i), mask, out)
			}
		}
		if x < s.queries-1 {
			ADDQ(reg.R13, reg.RDX)
		}
	}
	VZEROUPPER()
	RET()
}
