package kernel

import (
	"slices"
	"time"
)

// MeasureBandwidth measures the speed of reading memory with all threads, in bytes a second: the
// median of five passes over a buffer of 192 MiB in large pages, far larger than any cache. It takes
// about 0.1 s; benchmarks report how close work that reads each byte once comes to it.
func MeasureBandwidth() float64 {
	const n, piece = 48 << 20, 64 << 10 // float32s
	x := Large[float32](n)
	for i := range x {
		x[i] = 1 // memory that was never written may be one shared page of zeros
	}
	sums := make([]float32, n/piece)
	seconds := make([]float64, 5)
	for i := range seconds {
		began := time.Now()
		Ranges(n, piece, func(lo, hi int) { sums[lo/piece] = Sum(x[lo:hi]) })
		seconds[i] = time.Since(began).Seconds()
	}
	slices.Sort(seconds)
	return 4 * n / seconds[len(seconds)/2]
}
