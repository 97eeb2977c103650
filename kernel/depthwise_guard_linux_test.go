package kernel

import "testing"

// TestDepthwiseStaysInside runs the depthwise kernels on slices that end at a
// forbidden page: a read or write past the end, also by a masked-out lane, kills
// the test.
func TestDepthwiseStaysInside(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const width, most = 3, 35
		var memory [7][]float32
		for i := range memory {
			memory[i] = guarded[float32](t, max(width, 9)*most)
		}
		for channels := 1; channels <= most; channels++ {
			end := func(i, n int) []float32 { return memory[i][len(memory[i])-n:] }
			n := width * channels
			for _, rows := range [][3][]float32{{end(0, n), end(1, n), end(2, n)}, {nil, end(1, n), nil}} {
				DepthwiseRow(end(3, n), rows, end(4, 9*channels), end(5, channels), width, channels)
				DepthwiseRowGrad(end(6, 9*channels), end(3, n), rows, width, channels)
			}
		}
	})
}
