//go:build !amd64 || purego

package kernel

func vecDepthwiseRow(y []float32, rows [3][]float32, w, bias []float32, width, channels int) {
	goDepthwiseRow(y, rows, w, bias, width, channels)
}

func vecDepthwiseRowGrad(dw, dy []float32, rows [3][]float32, width, channels int) {
	goDepthwiseRowGrad(dw, dy, rows, width, channels)
}
