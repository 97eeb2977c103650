//go:build !amd64 || purego

package kernel

func runPeak(rounds int) (flops float64) { return peakGo(rounds) }
