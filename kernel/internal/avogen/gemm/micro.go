package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Byte offsets in kernel.microArgs; strides there are in bytes.
const (
	argA     = 8 * iota // first element of A's first tile
	argB                // B panel
	argC                // first element of C's first tile
	argARS              // from a row of A to the next
	argACS              // from a column of A to the next
	argATS              // from a tile of A to the next
	argBRS              // from a row of B to the next
	argLDC              // from a row of C to the next
	argK                // columns of A, rows of B
	argTiles            // tiles, one under the other
	argMR               // rows of each tile
	argMask             // one bit for each valid column (AVX-512)
	argAlpha
	argBeta
	argBias       // a row in place of C in beta C; 0: C
	argNext       // memory to bring near, two cache lines for each row of a tile
	argNextStride // from the lines of a row to those of the next
)

// microKernel emits
//
//	C = alpha A B + beta C
//
// for a column of tiles of mr rows and two vectors: every element of A B is one chain of fused
// multiply-adds in the order of k. The rows of A are read by broadcasts with any stride, so A
// needs no packing. AVX-512 masks the columns, AVX2 needs all of them.
//
// The loop over k is emitted for every height 1..v.mr. What comes after it is emitted once, from
// the last row up, and entered at the tile's own height.
func microKernel(v variant) {
	TEXT("micro"+v.suffix, NOSPLIT, "func(args *byte)")
	Doc("micro" + v.suffix + " multiplies a column of micro-tiles; see microArgs.")
	Pragma("noescape")
	Load(Param("args"), reg.RDI)
	if v.wide {
		// The mask has a bit for each of the tile's columns: low vector, then high vector.
		MOVQ(field(argMask), reg.RAX)
		KMOVW(reg.EAX, reg.K1)
		SHRQ(operand.U8(64/v.elemBytes()), reg.RAX)
		KMOVW(reg.EAX, reg.K2)
	}
	MOVQ(field(argARS), reg.R10)
	LEAQ(operand.Mem{Base: reg.R10, Index: reg.R10, Scale: 2}, reg.R11)
	LEAQ(operand.Mem{Base: reg.R10, Index: reg.R10, Scale: 4}, reg.R12)
	MOVQ(field(argACS), reg.R13)
	MOVQ(field(argBRS), reg.RDX)
	MOVQ(field(argC), reg.RBX)
	MOVQ(field(argLDC), reg.RAX)
	MOVQ(field(argA), reg.R15) // A's current tile

	Label("tile")
	for i := range 2 * v.mr {
		v.zero(v.vec(i))
	}
	// C comes from the second-level cache or beyond; ask for it before the sums need it.
	MOVQ(reg.RBX, reg.RSI)
	MOVQ(field(argMR), reg.RCX)
	// What the next blocks read comes from memory, later: into the second-level cache.
	MOVQ(field(argNext), reg.R8)
	MOVQ(field(argNextStride), reg.R9)
	Label("prefetch")
	PREFETCHT1(operand.Mem{Base: reg.R8})
	PREFETCHT1(operand.Mem{Base: reg.R8, Disp: 64})
	ADDQ(reg.R9, reg.R8)
	MOVQ(reg.RSI, reg.R14) // ends as the tile's last row of C
	PREFETCHT0(operand.Mem{Base: reg.RSI})
	if v.wide {
		PREFETCHT0(operand.Mem{Base: reg.RSI, Disp: 64})
	}
	ADDQ(reg.RAX, reg.RSI)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef("prefetch"))
	MOVQ(reg.R8, field(argNext))
	MOVQ(reg.R15, reg.R8)
	if v.mr > 7 {
		LEAQ(operand.Mem{Base: reg.R8, Index: reg.R10, Scale: 2}, reg.R9)
		ADDQ(reg.R12, reg.R9) // row 7
	}
	MOVQ(field(argB), reg.RSI)
	MOVQ(field(argMR), reg.RCX)
	for mr := v.mr; mr >= 1; mr-- {
		CMPQ(reg.RCX, operand.U8(mr))
		JEQ(operand.LabelRef(fmt.Sprintf("k%d", mr)))
	}
	for mr := v.mr; mr >= 1; mr-- {
		microLoop(v, mr)
	}
	microStore(v, "scaled", true)
	microStore(v, "plain", false)

	Label("next")
	MOVQ(field(argMR), reg.RCX)
	IMULQ(reg.RAX, reg.RCX)
	ADDQ(reg.RCX, reg.RBX)
	ADDQ(field(argATS), reg.R15)
	DECQ(field(argTiles))
	JNZ(operand.LabelRef("tile"))
	VZEROUPPER()
	RET()
}

// rowA addresses row i of the tile at the current k: R8 is row 0, R9 row 7, and R10, R11, R12 are
// 1, 3 and 5 row strides, which x86 scales by 1, 2, 4 or 8.
func rowA(i int) operand.Mem {
	base := reg.R8
	switch i {
	case 7, 9, 11, 13:
		base, i = reg.R9, i-7
	}
	m := operand.Mem{Base: base}
	switch i {
	case 0:
	case 1, 2, 4, 8:
		m.Index, m.Scale = reg.R10, uint8(i)
	case 3, 6, 12:
		m.Index, m.Scale = reg.R11, uint8(i/3)
	case 5, 10:
		m.Index, m.Scale = reg.R12, uint8(i/5)
	}
	return m
}

// sum returns the accumulator of row i, vector j: the first registers. The last four hold the two
// vectors of B and an element of A, later alpha and beta.
func (v variant) sum(i, j int) reg.VecPhysical { return v.vec(2*i + j) }

func (v variant) last(i int) reg.VecPhysical {
	if v.wide {
		return zmm[31-i]
	}
	return ymm[15-i]
}

// masked appends the mask of vector j where there are masks.
func (v variant) masked(j int, ops ...operand.Op) []operand.Op {
	if !v.wide {
		return ops
	}
	mask := [2]operand.Op{reg.K1, reg.K2}[j]
	return append(ops[:len(ops)-1:len(ops)-1], mask, ops[len(ops)-1])
}

// microLoop emits the sums of a tile of mr rows over k.
func microLoop(v variant, mr int) {
	label := fmt.Sprintf("loop%d", mr)
	b := [2]reg.VecPhysical{v.last(0), v.last(1)}
	Label(fmt.Sprintf("k%d", mr))
	MOVQ(field(argK), reg.RCX)
	Label(label)
	for j := range 2 {
		src := operand.Mem{Base: reg.RSI, Disp: j * v.vectorBytes()}
		if v.wide {
			v.loadMasked(src, [2]operand.Op{reg.K1, reg.K2}[j], b[j])
		} else {
			v.move(src, b[j])
		}
	}
	for i := range mr {
		x := v.last(2 + i%2)
		v.broadcast(rowA(i), x)
		v.accumulate(b[0], x, v.sum(i, 0))
		v.accumulate(b[1], x, v.sum(i, 1))
	}
	ADDQ(reg.R13, reg.R8)
	if mr > 7 {
		ADDQ(reg.R13, reg.R9)
	}
	ADDQ(reg.RDX, reg.RSI)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef(label))
	v.broadcast(field(argAlpha), v.last(0))
	v.broadcast(field(argBeta), v.last(1))
	// The shift drops the sign: -0 counts as 0.
	if v.double {
		MOVQ(field(argBeta), reg.RCX)
		SHLQ(operand.U8(1), reg.RCX)
	} else {
		MOVL(field(argBeta), reg.ECX)
		SHLL(operand.U8(1), reg.ECX)
	}
	JZ(operand.LabelRef(fmt.Sprintf("plain%d", mr)))
	// R9 walks over what beta scales: C, or the same row for all.
	MOVQ(reg.R14, reg.R9)
	MOVQ(reg.RAX, reg.R8)
	XORL(reg.ESI, reg.ESI)
	MOVQ(field(argBias), reg.RCX)
	TESTQ(reg.RCX, reg.RCX)
	CMOVQNE(reg.RCX, reg.R9)
	CMOVQNE(reg.RSI, reg.R8)
	JMP(operand.LabelRef(fmt.Sprintf("scaled%d", mr)))
}

// microStore emits C = alpha sum (+ beta times the rows that R9 addresses, which beta == 0 must not
// read) for all rows, from the last, which R14 addresses, to the first.
func microStore(v variant, label string, scaled bool) {
	alpha, beta := v.last(0), v.last(1)
	for i := v.mr - 1; i >= 0; i-- {
		Label(fmt.Sprintf("%s%d", label, i+1))
		for j := range 2 {
			v.mul(alpha, v.sum(i, j), v.sum(i, j))
		}
		for j := range 2 {
			at := operand.Mem{Base: reg.R14, Disp: j * v.vectorBytes()}
			if scaled {
				v.fma(v.masked(j, operand.Mem{Base: reg.R9, Disp: j * v.vectorBytes()}, beta, v.sum(i, j))...)
			}
			v.move(v.masked(j, v.sum(i, j), at)...)
		}
		if i > 0 {
			SUBQ(reg.RAX, reg.R14)
			if scaled {
				SUBQ(reg.R8, reg.R9)
			}
		}
	}
	if scaled {
		JMP(operand.LabelRef("next"))
	}
}
