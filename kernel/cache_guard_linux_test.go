package kernel

import (
	"testing"
	"unsafe"
)

// TestCacheStaysInside runs the kernels on operands that end at a forbidden page: a read or write
// past the end, also by a masked-out lane, kills the test. Fetching ahead may go anywhere.
func TestCacheStaysInside(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		memory := make([][]float32, 8)
		for i := range memory {
			memory[i] = guarded[float32](t, 13*130+130*162)
		}
		for _, codes := range []bool{false, true} {
			for _, c := range cacheShapes() {
				if c.n > 130 || c.queries != 8 && c.n > 23 {
					continue
				}
				used := 0
				m := newCacheProblem(c, codes, func(n int) []float32 {
					used++
					return memory[used-1][len(memory[used-1])-n:]
				})
				if codes {
					end := unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(memory[7]))), 4*len(memory[7]))
					end = end[len(end)-len(m.rows.Codes):]
					copy(end, m.rows.Codes)
					m.rows.Codes = end
				}
				CacheScores(m.s, m.n, m.q, m.width, m.rows, m.queries, m.n, m.width, &m.rows)
				CacheValues(m.y, m.width, m.p, m.n, m.rows, m.queries, m.n, m.width, &m.rows)
			}
		}
		for half := 1; half < 35; half++ {
			at := func(i, n int) []float32 { return memory[i][len(memory[i])-n:] }
			RotateRows(at(0, 6*half), at(1, 6*half), at(2, 3*half), at(3, 3*half), 3, half)
			end := unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(memory[7]))), 4*len(memory[7]))
			DequantizeVector(at(0, half), end[len(end)-half:], 0.5)
		}
	})
}
