package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// depthwiseTolerance is float32 rounding over nine products of numbers near 1.
const depthwiseTolerance = 1e-5

// TestDepthwise compares both kernels in float32 with the portable loops in
// float64, at every combination of rows outside the map.
func TestDepthwise(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, size := range [][2]int{{1, 1}, {2, 7}, {3, 8}, {5, 16}, {4, 33}, {7, 67}, {2, depthwiseBlock + 5}} {
			for missing := range 8 {
				checkDepthwiseRow(t, size[0], size[1], missing)
			}
		}
	})
}

func checkDepthwiseRow(t *testing.T, width, channels, missing int) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, uint64(width*1000+channels)))
	draw := func(n int) (x []float32, wide []float64) {
		for range n {
			v := float32(r.NormFloat64())
			x, wide = append(x, v), append(wide, float64(v))
		}
		return x, wide
	}
	var rows [3][]float32
	var wideRows [3][]float64
	for i := range rows {
		if missing>>i&1 == 0 {
			rows[i], wideRows[i] = draw(width * channels)
		}
	}
	w, wideW := draw(9 * channels)
	bias, wideBias := draw(channels)
	dy, wideDy := draw(width * channels)
	y, wideY := guarded32(width*channels), make([]float64, width*channels)
	DepthwiseRow(y[guards:len(y)-guards], rows, w, bias, width, channels)
	goDepthwiseRow(wideY, wideRows, wideW, wideBias, width, channels)
	nearGuarded(t, fmt.Sprintf("y of %dx%d without rows %03b", width, channels, missing), y, wideY)
	dw := guarded32(9 * channels)
	copy(dw[guards:], w)
	DepthwiseRowGrad(dw[guards:len(dw)-guards], dy, rows, width, channels)
	goDepthwiseRowGrad(wideW, wideDy, wideRows, width, channels)
	nearGuarded(t, fmt.Sprintf("dw of %dx%d without rows %03b", width, channels, missing), dw, wideW)
}

const guards = 40 // elements around an output that must stay

func guarded32(n int) []float32 {
	x := make([]float32, n+2*guards)
	for i := range x {
		x[i] = 12345
	}
	return x
}

func nearGuarded(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	for i, g := range got {
		w := 12345.0
		if i >= guards && i < len(got)-guards {
			w = want[i-guards]
		}
		if !(math.Abs(float64(g)-w) <= depthwiseTolerance*(1+math.Abs(w))) {
			t.Fatalf("%s: element %d is %v, want %v", what, i-guards, g, w)
		}
	}
}

// The portable loop against the sum of the equation.
func TestDepthwiseEquation(t *testing.T) {
	const width, channels = 4, 3
	r := rand.New(rand.NewPCG(5, 1))
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		return x
	}
	rows := [3][]float64{draw(width * channels), draw(width * channels), nil}
	w, bias, y := draw(9*channels), draw(channels), make([]float64, width*channels)
	DepthwiseRow(y, rows, w, bias, width, channels)
	for j := range width {
		for c := range channels {
			want := bias[c]
			for i := range 2 {
				for k := range 3 {
					if at := j + k - 1; at >= 0 && at < width {
						want += w[(3*i+k)*channels+c] * rows[i][at*channels+c]
					}
				}
			}
			if math.Abs(y[j*channels+c]-want) > 1e-14 {
				t.Errorf("y[%d,%d] = %v, want %v", j, c, y[j*channels+c], want)
			}
		}
	}
}
