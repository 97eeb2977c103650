package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Byte offsets in kernel.cacheArgs; strides there are in bytes.
const (
	argRows   = 8 * iota // first cached row
	argX                 // first query, or first query's weight of the first row
	argOut               // first query's score of the first row, or its sum
	argLDRows            // from a cached row to the next
	argLDX               // from a query to the next
	argLDOut             // from a query's scores or sum to the next query's
	argAhead             // from the first row to what to fetch meanwhile
	argCount             // vectors of a row (scores); rows (values)
	argMask              // lanes of the last, partial vector; 0 if none
	argMasks             // the same as sign bits (AVX2)
	argGroups            // groups of rows (scores); 1: a strip, 0: one masked vector (values)
	argShape             // queries
	argDone              // bytes of a query's scores that are written (scores)
)

// scores emits out[x][j] = sum over c of rows[j][c] x[x][c], for 1, 2, 4 or 8 queries x and groups
// of as many rows as make one sum a lane of a register: a group's sums, each in a register of its
// own while the vectors go by, are added up over lanes all at once.
func (v variant) scores() {
	TEXT("cacheScores"+v.suffix, NOSPLIT, "func(args *byte)")
	Doc("cacheScores" + v.suffix + " multiplies a few queries with groups of cached rows; see cacheArgs.")
	Pragma("noescape")
	Load(Param("args"), reg.RDI)
	MOVQ(field(argLDRows), reg.R10)
	LEAQ(operand.Mem{Base: reg.R10, Index: reg.R10, Scale: 2}, reg.R11)
	MOVQ(field(argLDX), reg.R12)
	LEAQ(operand.Mem{Base: reg.R12, Index: reg.R12, Scale: 2}, reg.R13)
	MOVQ(field(argRows), reg.R15) // the current group
	MOVQ(field(argAhead), reg.R14)
	ADDQ(reg.R15, reg.R14) // what to fetch next
	MOVQ(field(argShape), reg.RCX)
	if v.wide {
		MOVQ(field(argMask), reg.RAX)
		KMOVW(reg.EAX, reg.K1)
	}
	for x := 8; x > 1; x /= 2 {
		CMPQ(reg.RCX, operand.U8(x))
		JEQ(operand.LabelRef(fmt.Sprintf("group%d", x)))
	}
	for x := 1; x <= 8; x *= 2 {
		v.scoresGroup(x, v.lanes()/x)
	}
}

// scoresGroup emits the loop over groups of ws rows for xs queries.
func (v variant) scoresGroup(xs, ws int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, xs) }
	rows := []reg.GPPhysical{reg.RSI, reg.R9, reg.RAX, reg.RDX}
	queries := []reg.GPPhysical{reg.R8, reg.RBX}
	row := func(w int) operand.Mem { return strided(rows, reg.R10, reg.R11, w, 0) }
	query := func(x int) operand.Mem { return strided(queries, reg.R12, reg.R13, x, 0) }
	sum := func(x, w int) reg.VecPhysical { return v.vec(x*ws + w) }

	Label(label("group"))
	MOVQ(reg.R15, reg.RSI)
	step4(rows, reg.R10, ws)
	MOVQ(field(argX), reg.R8)
	step4(queries, reg.R12, xs)
	for i := range v.lanes() {
		v.zero(v.vec(i))
	}
	MOVQ(field(argCount), reg.RCX)
	TESTQ(reg.RCX, reg.RCX)
	JZ(operand.LabelRef(label("tail")))
	if xs == 1 {
		v.scoresInOrder(ws, rows, label)
	} else {
		Label(label("vector"))
		v.fetch(ws * v.rowBytes())
		for w := range ws {
			v.loadRow(row(w), v.last(w))
		}
		for x := range xs {
			if ws == 1 {
				VFMADD231PS(query(x), v.last(0), sum(x, 0))
				continue
			}
			q := v.last(ws + x%2)
			VMOVUPS(query(x), q)
			for w := range ws {
				VFMADD231PS(v.last(w), q, sum(x, w))
			}
		}
		for i := range (ws + 3) / 4 {
			ADDQ(operand.U8(v.rowBytes()), rows[i])
		}
		for i := range (xs + 3) / 4 {
			ADDQ(operand.U8(4*v.lanes()), queries[i])
		}
		DECQ(reg.RCX)
		JNZ(operand.LabelRef(label("vector")))
	}

	Label(label("tail"))
	if !v.codes { // a row of codes has whole vectors only
		CMPQ(field(argMask), operand.U8(0))
		JEQ(operand.LabelRef(label("sum")))
		var mask operand.Op = reg.K1
		if !v.wide {
			mask = v.last(0)
			MOVQ(field(argMasks), reg.RCX)
			VMOVUPS(operand.Mem{Base: reg.RCX}, mask)
		}
		for x := range xs {
			v.loadPart(query(x), mask, v.last(1))
			for w := range ws {
				v.loadPart(row(w), mask, v.last(2+w%2))
				VFMADD231PS(v.last(2+w%2), v.last(1), sum(x, w))
			}
		}
	}

	Label(label("sum"))
	v.sumLanes()
	v.storeSums(xs)
	ADDQ(operand.U8(4*ws), field(argDone))
	IMUL3Q(operand.U8(ws), reg.R10, reg.RCX)
	ADDQ(reg.RCX, reg.R15)
	DECQ(field(argGroups))
	JNZ(operand.LabelRef(label("group")))
	VZEROUPPER()
	RET()
}

// scoresInOrder emits the loop over whole vectors for one query: four rows at a time to their end,
// and then the next four, because memory answers faster where it is read in order.
func (v variant) scoresInOrder(ws int, rows []reg.GPPhysical, label func(string) string) {
	for at := 0; at < ws; at += 4 {
		again := label(fmt.Sprintf("rows%dvector", at))
		if at > 0 {
			MOVQ(field(argX), reg.R8)
			MOVQ(field(argCount), reg.RCX)
		}
		Label(again)
		v.fetch(4 * v.rowBytes())
		VMOVUPS(operand.Mem{Base: reg.R8}, v.last(0))
		for w := at; w < at+4; w++ {
			src := strided(rows, reg.R10, reg.R11, w, 0)
			if v.codes {
				v.loadRow(src, v.last(1+w%4))
				VFMADD231PS(v.last(1+w%4), v.last(0), v.vec(w))
			} else {
				VFMADD231PS(src, v.last(0), v.vec(w))
			}
		}
		ADDQ(operand.U8(v.rowBytes()), rows[at/4])
		ADDQ(operand.U8(4*v.lanes()), reg.R8)
		DECQ(reg.RCX)
		JNZ(operand.LabelRef(again))
	}
}

// fetch emits the fetch of what comes next, n bytes of it.
func (v variant) fetch(n int) {
	for line := 0; line < n; line += 64 {
		PREFETCHT1(operand.Mem{Base: reg.R14, Disp: line})
	}
	ADDQ(operand.U32(n), reg.R14)
}

// sumLanes leaves the sum over lanes of register i in lane i of register 0, for as many registers
// as there are lanes: each step adds the upper half of the lanes to the lower, two registers at a
// time.
func (v variant) sumLanes() {
	n := v.lanes()
	// merge sets register a to f's low shuffle plus its high shuffle of a and b.
	merge := func(a, b, i int, f func(low bool, a, b, dst reg.VecPhysical)) {
		lo, hi := v.last(2*(i%4)), v.last(2*(i%4)+1)
		f(true, v.vec(a), v.vec(b), lo)
		f(false, v.vec(a), v.vec(b), hi)
		VADDPS(hi, lo, v.vec(a))
	}
	pick := func(low bool, ifLow, ifHigh uint8) operand.Op {
		if low {
			return operand.U8(ifLow)
		}
		return operand.U8(ifHigh)
	}
	if v.wide {
		// Registers t, t+4, t+8, t+12 become the four 128-bit lanes of register t.
		for t := range 4 {
			halves := func(low bool, a, b, dst reg.VecPhysical) { VSHUFF64X2(pick(low, 0x44, 0xee), b, a, dst) }
			merge(t, t+4, 0, halves)
			merge(t+8, t+12, 1, halves)
			merge(t, t+8, 2, func(low bool, a, b, dst reg.VecPhysical) { VSHUFF64X2(pick(low, 0x88, 0xdd), b, a, dst) })
		}
	} else {
		for t := range n / 2 {
			merge(t, t+4, t, func(low bool, a, b, dst reg.VecPhysical) { VPERM2F128(pick(low, 0x20, 0x31), b, a, dst) })
		}
	}
	pairs := func(low bool, a, b, dst reg.VecPhysical) {
		if low {
			VUNPCKLPD(b, a, dst)
		} else {
			VUNPCKHPD(b, a, dst)
		}
	}
	merge(0, 1, 0, pairs)
	merge(2, 3, 1, pairs)
	merge(0, 2, 2, func(low bool, a, b, dst reg.VecPhysical) { VSHUFPS(pick(low, 0x88, 0xdd), b, a, dst) })
}

// storeSums stores the lanes of register 0: xs rows one after the other.
func (v variant) storeSums(xs int) {
	MOVQ(field(argOut), reg.RDX)
	ADDQ(field(argDone), reg.RDX)
	MOVQ(field(argLDOut), reg.RCX)
	next := func(x int) {
		if x < xs-1 {
			ADDQ(reg.RCX, reg.RDX)
		}
	}
	out := operand.Mem{Base: reg.RDX}
	quarter := func(i int) reg.VecPhysical { // lanes 4i to 4i+3
		if i == 0 {
			return reg.X0
		}
		switch {
		case v.wide:
			VEXTRACTF32X4(operand.U8(i), reg.Z0, reg.X1)
		default:
			VEXTRACTF128(operand.U8(i), reg.Y0, reg.X1)
		}
		return reg.X1
	}
	width := v.lanes() / xs
	switch {
	case xs == 1:
		VMOVUPS(v.vec(0), out)
	case width == 8:
		VMOVUPS(reg.Y0, out)
		next(0)
		VEXTRACTF64X4(operand.U8(1), reg.Z0, reg.Y0)
		VMOVUPS(reg.Y0, out)
	default:
		for x := range xs {
			at := x * width
			q := reg.VecPhysical(reg.X1)
			if at%4 == 0 {
				q = quarter(at / 4)
			} else if at < 4 {
				q = reg.X0
			}
			switch {
			case width == 4:
				VMOVUPS(q, out)
			case width == 2 && at%4 == 0:
				VMOVLPS(q, out)
			case width == 2:
				VMOVHPS(q, out)
			case at%4 == 0:
				VMOVSS(q, out)
			default:
				VEXTRACTPS(operand.U8(at%4), q, out)
			}
			next(x)
		}
	}
}
