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
)

// microKernel emits
//
//	C = alpha A B + beta C
//
// for a column of tiles of mr rows and two vectors: every element of A B is one chain of fused
// multiply-adds in the order of k. The rows of A are read by broadcasts with any stride, so A
// needs no packing. AVX-512 masks the columns, AVX2 needs all of them.
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
	MOVQ(field(argMR), reg.RCX)
	for mr := v.mr; mr >= 1; mr-- {
		CMPQ(reg.RCX, operand.U8(mr))
		JEQ(operand.LabelRef(fmt.Sprintf("tile%d", mr)))
	}
	RET()
	for mr := v.mr; mr >= 1; mr-- {
		microTile(v, mr)
	}
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

// microTile emits the loop over tiles of mr rows. Accumulators are the first 2 mr registers, the
// two vectors of B and a broadcast element of A the last ones.
func microTile(v variant, mr int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, mr) }
	acc := func(i, j int) reg.VecPhysical { return v.vec(2*i + j) }
	last := 15
	if v.wide {
		last = 31
	}
	b := [2]reg.VecPhysical{v.vec(last - 1), v.vec(last)}
	bcast := [2]reg.VecPhysical{v.vec(last - 2), v.vec(last - 3)}
	mask := [2]operand.Op{reg.K1, reg.K2}
	size := v.vectorBytes()

	Label(label("tile"))
	MOVQ(reg.R15, reg.R8)
	if mr > 7 {
		LEAQ(operand.Mem{Base: reg.R8, Index: reg.R10, Scale: 2}, reg.R9)
		ADDQ(reg.R12, reg.R9)
	}
	MOVQ(field(argK), reg.RCX)
	for i := range 2 * mr {
		v.zero(v.vec(i))
	}

	// C comes from the second-level cache or beyond; ask for it before the sums need it.
	MOVQ(reg.RBX, reg.RSI)
	for range mr {
		PREFETCHT0(operand.Mem{Base: reg.RSI})
		if v.wide {
			PREFETCHT0(operand.Mem{Base: reg.RSI, Disp: size})
		}
		ADDQ(reg.RAX, reg.RSI)
	}
	MOVQ(field(argB), reg.RSI)
	Label(label("k"))
	for j := range 2 {
		src := operand.Mem{Base: reg.RSI, Disp: j * size}
		if v.wide {
			v.loadMasked(src, mask[j], b[j])
		} else {
			v.move(src, b[j])
		}
	}
	for i := range mr {
		x := bcast[i%2]
		v.broadcast(rowA(i), x)
		v.fma(b[0], x, acc(i, 0))
		v.fma(b[1], x, acc(i, 1))
	}
	ADDQ(reg.R13, reg.R8)
	if mr > 7 {
		ADDQ(reg.R13, reg.R9)
	}
	ADDQ(reg.RDX, reg.RSI)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef(label("k")))

	// C = beta C + (alpha sum); beta == 0 must not read C.
	alpha, beta := b[0], b[1]
	v.broadcast(field(argAlpha), alpha)
	for i := range 2 * mr {
		v.mul(alpha, v.vec(i), v.vec(i))
	}
	// The shift drops the sign: -0 counts as 0.
	if v.double {
		MOVQ(field(argBeta), reg.RCX)
		SHLQ(operand.U8(1), reg.RCX)
	} else {
		MOVL(field(argBeta), reg.ECX)
		SHLL(operand.U8(1), reg.ECX)
	}
	JZ(operand.LabelRef(label("store")))
	v.broadcast(field(argBeta), beta)
	MOVQ(reg.RBX, reg.RSI)
	for i := range mr {
		for j := range 2 {
			src := operand.Mem{Base: reg.RSI, Disp: j * size}
			if v.wide {
				v.fma(src, beta, mask[j], acc(i, j))
			} else {
				v.fma(src, beta, acc(i, j))
			}
		}
		if i < mr-1 {
			ADDQ(reg.RAX, reg.RSI)
		}
	}
	Label(label("store"))
	for i := range mr {
		for j := range 2 {
			dst := operand.Mem{Base: reg.RBX, Disp: j * size}
			if v.wide {
				v.move(acc(i, j), mask[j], dst)
			} else {
				v.move(acc(i, j), dst)
			}
		}
		ADDQ(reg.RAX, reg.RBX)
	}
	ADDQ(field(argATS), reg.R15)
	DECQ(field(argTiles))
	JNZ(operand.LabelRef(label("tile")))
	VZEROUPPER()
	RET()
}
