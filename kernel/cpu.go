package kernel

import (
	"fmt"
	"os"
)

// isaLevel orders the instruction sets: each level includes those below it.
type isaLevel int

const (
	isaGo     isaLevel = iota // pure Go
	isaAVX2                   // AVX2 and FMA
	isaAVX512                 // AVX-512 F, BW, DQ and VL
)

func (l isaLevel) String() string {
	return [...]string{isaGo: "go", isaAVX2: "avx2", isaAVX512: "avx512"}[l]
}

// isaEnv is the environment variable that lowers the instruction set: avx512, avx2 or go.
const isaEnv = "SPARROW_ISA"

// isa is the level in use. It changes in tests only, while no kernel runs.
var isa = startISA(os.Getenv(isaEnv), bestISA())

// ISA names the instruction set the kernels run on: "avx512", "avx2" or "go". It is the best that
// the CPU and the build offer, or less where the environment variable SPARROW_ISA asks for less.
func ISA() string { return isa.String() }

// startISA returns the level to start with. A request above the CPU's level gets the CPU's; an
// unknown one is reported and ignored, since a library cannot return an error from here.
func startISA(request string, best isaLevel) isaLevel {
	if request == "" {
		return best
	}
	for l := isaGo; l <= isaAVX512; l++ {
		if request == l.String() {
			return min(l, best)
		}
	}
	fmt.Fprintf(os.Stderr, "kernel: %s: got %q, want avx512, avx2 or go; using %s\n", isaEnv, request, best)
	return best
}
