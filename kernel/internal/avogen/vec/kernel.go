package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A kernel is one vector function on float32 slices of equal length. Its body computes one vector register's worth of
// elements; emit wraps it in a main loop and a masked tail for either instruction set.
type kernel struct {
	name    string   // suffix of the Go functions: vecName dispatches, goName is the portable loop
	doc     string   // what it computes
	slices  []string // slice parameters, []float32
	scalars []string // scalar parameters, float32, kept in registers
	reduce  reduction
	results int    // number of reduced values: 0 for a purely elementwise kernel
	names   string // names of several results, for the Go signature
	unroll  int    // vectors a round in an elementwise kernel, 1 if unset; reductions always take reduceLanes elements
	narrow  bool   // AVX2 on every machine: division and square root, 256 bits wide, are all that counts
	body    func(a *asm)
}

// reduction says how the partial results of a kernel combine.
type reduction int

const (
	sum    reduction = iota // float32 sums
	sum64                   // float64 sums
	maxima                  // largest value, NaN skipped
)

// reduceLanes is the number of interleaved partial results of a reduction. It is the same on every instruction set, and
// so is the tree that combines them: AVX2 and AVX-512 give the same bits.
const reduceLanes = 32

// emit generates one kernel for one instruction set into ctx.
func (k kernel) emit(ctx *build.Context, wide bool) {
	a := &asm{Context: ctx, kernel: k, wide: wide, lanes: 8, suffix: "AVX2"}
	if wide {
		a.lanes, a.suffix = 16, "AVX512"
	}
	ctx.Function(lowerFirst(k.name) + a.suffix)
	ctx.Attributes(attr.NOSPLIT)
	ctx.Doc(lowerFirst(k.name) + a.suffix + " computes " + k.doc + ".")
	ctx.Pragma("noescape")
	ctx.SignatureExpr(k.asmSignature())

	unroll := max(k.unroll, 1)
	if k.results > 0 {
		unroll = reduceLanes / a.lanes
	}
	a.pointers = map[string]reg.Register{}
	for _, s := range k.slices {
		a.pointers[s] = ctx.Load(ctx.Param(s), ctx.GP64())
	}
	left := ctx.Load(ctx.Param("n"), ctx.GP64())
	a.scalars = map[string]reg.VecVirtual{}
	for _, s := range k.scalars {
		v := a.vector()
		b, err := ctx.Param(s).Resolve()
		if err != nil {
			panic(err)
		}
		ctx.VBROADCASTSS(b.Addr, v)
		a.scalars[s] = v
	}
	a.clearSums(unroll)

	// The body is recorded twice before anything of it is emitted, because the registers of the constants it asks for
	// have to be filled before the loop.
	main := a.record(unroll, false)
	tail := a.record(unroll, true)
	a.loadConstants()
	index := ctx.GP64()
	a.index = index
	ctx.XORQ(index, index)

	step := a.lanes * unroll
	ctx.CMPQ(left, op.U8(step))
	ctx.JLT(op.LabelRef("tail"))
	ctx.Label("loop")
	main()
	ctx.ADDQ(op.U32(4*step), index)
	ctx.SUBQ(op.U8(step), left)
	ctx.CMPQ(left, op.U8(step))
	ctx.JGE(op.LabelRef("loop"))
	ctx.Label("tail")
	ctx.TESTQ(left, left)
	ctx.JZ(op.LabelRef("done"))
	a.prepareMasks(left, unroll)
	tail()
	ctx.Label("done")
	a.finish(unroll)
	ctx.VZEROUPPER()
	ctx.RET()
}

// asmSignature is the Go signature of the assembly function: pointers, length, scalars.
func (k kernel) asmSignature() string {
	s := "func(" + strings.Join(k.slices, ", ") + " *float32, n int"
	if len(k.scalars) > 0 {
		s += ", " + strings.Join(k.scalars, ", ") + " float32"
	}
	s += ")"
	switch {
	case k.results > 1:
		s += " (" + k.names + " float32)"
	case k.results == 1:
		s += " (result " + k.resultType() + ")"
	}
	return s
}

func (k kernel) resultType() string {
	if k.reduce == sum64 {
		return "float64"
	}
	return "float32"
}

func lowerFirst(s string) string {
	n := 1
	for n < len(s) && strings.ToUpper(s[:n+1]) == s[:n+1] && (n+1 == len(s) || strings.ToUpper(s[n+1:n+2]) == s[n+1:n+2]) {
		n++
	}
	return strings.ToLower(s[:n]) + s[n:]
}

func check(err error) {
	if err != nil {
		panic(fmt.Sprintf("vec: %v", err))
	}
}
