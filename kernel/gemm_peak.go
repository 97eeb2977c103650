package kernel

import "time"

// MeasurePeak measures the most float32 multiply-adds that one core does, in GFLOP/s (an addition
// and a multiplication count as two): independent operations on registers with the instruction set
// in use. Half of it is the peak for float64. It takes about 60 ms; benchmarks report the share of
// it that a product reaches.
func MeasurePeak() float64 {
	const rounds = 100_000 // 1 ms or less on vectors
	best := 0.0
	for start := time.Now(); time.Since(start) < 60*time.Millisecond; {
		t := time.Now()
		flops := runPeak(rounds)
		best = max(best, flops/float64(time.Since(t).Nanoseconds()))
	}
	return best
}

// peakSink keeps the compiler from dropping the loop.
var peakSink float32

// peakGo is eight independent chains of multiplications and additions in Go.
func peakGo(rounds int) (flops float64) {
	x := float32(peakSink)
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for range rounds {
		s0 += s0 * x
		s1 += s1 * x
		s2 += s2 * x
		s3 += s3 * x
		s4 += s4 * x
		s5 += s5 * x
		s6 += s6 * x
		s7 += s7 * x
	}
	peakSink = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7
	return float64(rounds) * 16
}
