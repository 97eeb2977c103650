//go:build amd64 && !purego

package kernel

// runPeak runs the peak loop and returns its floating-point operations: a round is 14 fused
// multiply-adds of a whole vector.
func runPeak(rounds int) (flops float64) {
	switch isa {
	case isaAVX512:
		peakF32AVX512(uintptr(rounds))
		return float64(rounds) * 14 * 16 * 2
	case isaAVX2:
		peakF32AVX2(uintptr(rounds))
		return float64(rounds) * 14 * 8 * 2
	}
	return peakGo(rounds)
}
