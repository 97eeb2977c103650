package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Byte offsets in kernel.dotArgs; strides there are in bytes.
const (
	dotW      = 8 * iota // first row of the streamed matrix
	dotX                 // first row of the thin matrix
	dotOut               // sums, one row of outStride bytes for each row of X
	dotLDW               // from a row of W to the next
	dotLDX               // from a row of X to the next
	dotStride            // from a row of sums to the next
	dotBlocks            // whole 64-byte blocks of a row
	dotMask              // mask of the lanes in the last, partial block; 0 if none
	dotMasks             // the same as 64 bytes of sign bits (AVX2)
	dotGroups            // groups of W rows
	dotShape             // rows of X; 0: one row of X and one of W at a time
)

// dotShapes lists, by the number of X rows, how many rows of W a group has. One lane structure
// serves every shape and instruction set (64 bytes of lanes a dot product), so all agree.
func dotShapes(v variant) []int {
	if v.wide {
		return []int{8, 4, 4, 4} // 8..16 chains
	}
	return []int{4, 2, 2} // 8..12 registers, two to a chain
}

// dotKernel emits out[x][w] = sum_k W[w][k] X[x][k] for groups of W rows, which it reads once, in
// order, and 1..len(dotShapes) rows of X.
func dotKernel(v variant) {
	TEXT("dot"+v.suffix, NOSPLIT, "func(args *byte)")
	Doc("dot" + v.suffix + " multiplies groups of rows of W with a few rows of X; see dotArgs.")
	Pragma("noescape")
	Load(Param("args"), reg.RDI)
	MOVQ(field(dotLDW), reg.R10)
	LEAQ(operand.Mem{Base: reg.R10, Index: reg.R10, Scale: 2}, reg.R11)
	MOVQ(field(dotLDX), reg.R12)
	LEAQ(operand.Mem{Base: reg.R12, Index: reg.R12, Scale: 2}, reg.R13)
	MOVQ(field(dotOut), reg.RBX)
	MOVQ(field(dotW), reg.R15) // W's current group
	MOVQ(field(dotShape), reg.RCX)
	if v.wide {
		MOVQ(field(dotMask), reg.RAX)
		KMOVW(reg.EAX, reg.K1)
	}
	shapes := dotShapes(v)
	for xs := len(shapes); xs >= 1; xs-- {
		CMPQ(reg.RCX, operand.U8(xs))
		JEQ(operand.LabelRef(fmt.Sprintf("group%d", xs)))
	}
	// Shape 0: one row of X and of W at a time. Long rows that come from memory are read fastest in
	// one stream; several rows at once would defeat the prefetcher.
	dotGroup(v, 0, 1, 1)
	for xs := len(shapes); xs >= 1; xs-- {
		dotGroup(v, xs, xs, shapes[xs-1])
	}
}

// dotGroup emits the loop over groups of ws rows of W for xs rows of X, the code of a shape.
func dotGroup(v variant, shape, xs, ws int) {
	label := func(s string) string { return fmt.Sprintf("%s%d", s, shape) }
	halves, last := 2, 15
	if v.wide {
		halves, last = 1, 31
	}
	acc := func(x, w, h int) reg.VecPhysical { return v.vec((x*ws+w)*halves + h) }
	wv := func(w int) reg.VecPhysical { return v.vec(last - 1 - w) }
	xv := v.vec(last)

	// rowW addresses row w of the group, rows 4.. from a second base.
	rowW := func(w, disp int) operand.Mem {
		m := strideRow(reg.RSI, reg.R10, reg.R11, w%4)
		if w >= 4 {
			m.Base = reg.R9
		}
		m.Disp = disp
		return m
	}
	rowX := func(x, disp int) operand.Mem {
		m := strideRow(reg.R8, reg.R12, reg.R13, x)
		m.Disp = disp
		return m
	}
	// step adds one 64-byte block of every pair.
	step := func(load func(src operand.Mem, h int, dst reg.VecPhysical), fused bool) {
		for h := range halves {
			if xs == 1 {
				load(rowX(0, 32*h), h, xv)
				for w := range ws {
					if fused {
						v.fma(rowW(w, 32*h), xv, acc(0, w, h))
					} else {
						load(rowW(w, 32*h), h, wv(0))
						v.fma(wv(0), xv, acc(0, w, h))
					}
				}
				continue
			}
			for w := range ws {
				load(rowW(w, 32*h), h, wv(w))
			}
			for x := range xs {
				load(rowX(x, 32*h), h, xv)
				for w := range ws {
					v.fma(wv(w), xv, acc(x, w, h))
				}
			}
		}
	}

	Label(label("group"))
	MOVQ(reg.R15, reg.RSI)
	if ws > 4 {
		LEAQ(operand.Mem{Base: reg.RSI, Index: reg.R10, Scale: 4}, reg.R9)
	}
	MOVQ(field(dotX), reg.R8)
	for i := range xs * ws * halves {
		v.zero(v.vec(i))
	}
	MOVQ(field(dotBlocks), reg.RCX)
	TESTQ(reg.RCX, reg.RCX)
	JZ(operand.LabelRef(label("tail")))
	Label(label("k"))
	step(func(src operand.Mem, _ int, dst reg.VecPhysical) { v.move(src, dst) }, true)
	ADDQ(operand.U8(64), reg.RSI)
	if ws > 4 {
		ADDQ(operand.U8(64), reg.R9)
	}
	ADDQ(operand.U8(64), reg.R8)
	DECQ(reg.RCX)
	JNZ(operand.LabelRef(label("k")))

	Label(label("tail"))
	MOVQ(field(dotMask), reg.RCX)
	TESTQ(reg.RCX, reg.RCX)
	JZ(operand.LabelRef(label("sum")))
	MOVQ(field(dotMasks), reg.RCX)
	step(func(src operand.Mem, h int, dst reg.VecPhysical) {
		if v.wide {
			v.loadMasked(src, reg.K1, dst)
			return
		}
		v.move(operand.Mem{Base: reg.RCX, Disp: 32 * h}, dst)
		v.loadMasked(src, dst, dst)
	}, false)

	Label(label("sum"))
	MOVQ(reg.RBX, reg.RDX)
	for x := range xs {
		for w := range ws {
			i := (x*ws + w) * halves
			v.reduce(i, operand.Mem{Base: reg.RDX, Disp: w * v.elemBytes()})
		}
		if x < xs-1 {
			ADDQ(field(dotStride), reg.RDX)
		}
	}
	ADDQ(operand.U8(ws*v.elemBytes()), reg.RBX)
	// The next group starts ws rows on.
	IMUL3Q(operand.U8(ws), reg.R10, reg.RCX)
	ADDQ(reg.RCX, reg.R15)
	DECQ(field(dotGroups))
	JNZ(operand.LabelRef(label("group")))
	VZEROUPPER()
	RET()
}

// reduce stores the sum of the 64 bytes of lanes that start at register i: it halves them until one
// is left, adding the upper half to the lower. It overwrites a register that held W.
func (v variant) reduce(i int, dst operand.Mem) {
	y := zmm[i].AsY().(reg.VecPhysical)
	x := zmm[i].AsX().(reg.VecPhysical)
	var t operand.Op
	if v.wide {
		t = reg.X28
		VEXTRACTF64X4(operand.U8(1), zmm[i], reg.Y28)
		v.add(reg.Y28, y, y)
		VEXTRACTF64X2(operand.U8(1), y, t)
	} else {
		t = reg.X14
		v.add(ymm[i+1], y, y)
		VEXTRACTF128(operand.U8(1), y, t)
	}
	v.add(t, x, x)
	VUNPCKHPD(x, x, t)
	if v.double {
		VADDSD(t, x, x)
		VMOVSD(x, dst)
		return
	}
	v.add(t, x, x)
	VMOVSHDUP(x, t)
	VADDSS(t, x, x)
	VMOVSS(x, dst)
}
