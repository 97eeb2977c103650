package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peakChains is enough independent accumulators to hide the latency of a fused multiply-add
// (4 or 5 cycles, two a cycle).
const peakChains = 14

// peak emits a loop of nothing but independent fused multiply-adds.
func peak(v variant) {
	TEXT("peak"+v.suffix, NOSPLIT, "func(rounds uintptr)")
	Doc("peak" + v.suffix + " runs rounds of 14 independent fused multiply-adds on whole vectors.")
	Load(Param("rounds"), reg.RCX)
	for i := range peakChains + 1 {
		v.zero(v.vec(i))
	}
	Label("round")
	for i := range peakChains {
		v.fma(v.vec(peakChains), v.vec(peakChains), v.vec(i))
	}
	DECQ(reg.RCX)
	JNZ(operand.LabelRef("round"))
	VZEROUPPER()
	RET()
}

// pause emits the polite wait of the worker pool's polling loops.
func pause() {
	TEXT("pause", NOSPLIT, "func(rounds uint32)")
	Doc("pause executes PAUSE rounds times: some tens of cycles each.")
	Load(Param("rounds"), reg.ECX)
	Label("again")
	PAUSE()
	DECL(reg.ECX)
	JNZ(operand.LabelRef("again"))
	RET()
}
