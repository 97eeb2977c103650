package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// asm is a small vector language over AVX2 (8 lanes) and AVX-512 (16 lanes). Its operations append instructions to a
// recording; kernel.emit plays the recording back inside the loop. Operands called c may be constants, which AVX2 reads
// from memory (16 registers are few) and AVX-512 keeps in registers.
type asm struct {
	*build.Context
	kernel
	wide   bool
	lanes  int
	suffix string

	pointers map[string]reg.Register
	scalars  map[string]reg.VecVirtual
	index    reg.Register

	code      []func()
	constants []constant
	sums      [][]reg.VecVirtual // [result][accumulator]

	unit   int // which vector of the round the body is computing
	masked bool
	mask   reg.Register   // AVX-512: opmask of this vector; AVX2: mask vector of this vector
	masks  []reg.Register // AVX-512: opmasks of the round
	table  reg.GPVirtual  // AVX2: address of the round's mask vectors
}

type constant struct {
	bits     uint32
	register reg.VecVirtual
}

func (a *asm) vector() reg.VecVirtual {
	if a.wide {
		return a.ZMM()
	}
	return a.YMM()
}

// do records one instruction.
func (a *asm) do(f func()) { a.code = append(a.code, f) }

// record runs the kernel's body once for each vector of a round and returns a function that emits the result.
func (a *asm) record(unroll int, masked bool) func() {
	a.code, a.masked = nil, masked
	if masked && a.wide {
		for range unroll {
			a.masks = append(a.masks, a.K())
		}
	}
	if masked && !a.wide {
		a.table = a.GP64()
	}
	for u := range unroll {
		a.unit = u
		if masked && a.wide {
			a.mask = a.masks[u]
		}
		if masked && !a.wide {
			m := a.vector()
			a.mask = m
			a.do(func() { a.VMOVUPS(op.Mem{Base: a.table, Disp: 4 * a.lanes * u}, m) })
		}
		a.body(a)
	}
	code := a.code
	return func() {
		for _, f := range code {
			f()
		}
	}
}

// prepareMasks turns the number of elements left (below a full round) into one mask a vector.
func (a *asm) prepareMasks(left reg.Register, unroll int) {
	if !a.wide {
		// Reading the table (step times -1, then step times 0) from entry step-left gives left valid lanes.
		a.LEAQ(a.maskTable(), a.table)
		offset := a.GP64()
		a.MOVQ(op.U32(reduceLanes), offset)
		a.SUBQ(left, offset)
		a.LEAQ(op.Mem{Base: a.table, Index: offset, Scale: 4}, a.table)
		return
	}
	bits := a.GP64()
	a.MOVQ(left, reg.RCX)
	a.MOVQ(op.U32(1), bits)
	a.SHLQ(reg.CL, bits)
	a.DECQ(bits)
	for u, k := range a.masks {
		if u > 0 {
			a.SHRQ(op.U8(16), bits)
		}
		a.KMOVW(bits.As32(), k)
	}
}

func (a *asm) maskTable() op.Mem {
	return op.NewDataAddr(op.Symbol{Name: "vecMasks" + a.suffix, Static: true}, 0)
}

func (a *asm) constantRow(bits uint32) op.Mem {
	return op.NewDataAddr(op.Symbol{Name: fmt.Sprintf("vec%s%08x", a.suffix, bits), Static: true}, 0)
}

// c returns the constant v as an operand of the kind that an instruction accepts as its memory operand.
func (a *asm) c(v float64) op.Op { return a.bits(math.Float32bits(float32(v))) }

func (a *asm) bits(b uint32) op.Op {
	if !a.wide {
		usedConstants[a.suffix][b] = true
		return a.constantRow(b)
	}
	return a.inRegister(b)
}

// r returns the constant v in a register, where memory won't do.
func (a *asm) r(v float64) reg.VecVirtual { return a.inRegister(math.Float32bits(float32(v))) }

func (a *asm) inRegister(b uint32) reg.VecVirtual {
	for _, c := range a.constants {
		if c.bits == b {
			return c.register
		}
	}
	usedConstants[a.suffix][b] = true
	v := a.vector()
	a.constants = append(a.constants, constant{b, v})
	return v
}

// loadConstants fills the registers of the constants the body asked for.
func (a *asm) loadConstants() {
	for _, c := range a.constants {
		a.VBROADCASTSS(a.constantRow(c.bits), c.register)
	}
}

// address returns the place of the unit-th vector of this round in a slice.
func (a *asm) address(slice string, unit int) op.Mem {
	p, ok := a.pointers[slice]
	if !ok {
		panic("vec: " + a.name + " has no slice " + slice)
	}
	return op.Mem{Base: p, Index: a.index, Scale: 1, Disp: 4 * a.lanes * unit}
}

// load reads this vector of a slice; lanes past the end read 0.
func (a *asm) load(slice string) reg.VecVirtual {
	v, unit, masked, mask := a.vector(), a.unit, a.masked, a.mask
	a.do(func() {
		switch {
		case !masked:
			a.VMOVUPS(a.address(slice, unit), v)
		case a.wide:
			a.VMOVUPS_Z(a.address(slice, unit), mask, v)
		default:
			a.VMASKMOVPS(a.address(slice, unit), mask, v)
		}
	})
	return v
}

// store writes this vector of a slice, without the lanes past the end.
func (a *asm) store(slice string, v reg.VecVirtual) {
	unit, masked, mask := a.unit, a.masked, a.mask
	a.do(func() {
		switch {
		case !masked:
			a.VMOVUPS(v, a.address(slice, unit))
		case a.wide:
			a.VMOVUPS(v, mask, a.address(slice, unit))
		default:
			a.VMASKMOVPS(v, mask, a.address(slice, unit))
		}
	})
}

func (a *asm) scalar(name string) reg.VecVirtual {
	v, ok := a.scalars[name]
	if !ok {
		panic("vec: " + a.name + " has no scalar " + name)
	}
	return v
}

// usedConstants collects, for each instruction set, the constants to put into the data section.
var usedConstants = map[string]map[uint32]bool{"AVX2": {}, "AVX512": {}}
