//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go -C internal/avogen run ./conv -pkg kernel -out ../../depthwise_asm_amd64.s -stubs ../../depthwise_stubs_amd64.go

func vecDepthwiseRow(y []float32, rows [3][]float32, w, bias []float32, width, channels int) {
	if isa == isaGo {
		goDepthwiseRow(y, rows, w, bias, width, channels)
		return
	}
	for c := 0; c < channels; c += depthwiseBlock {
		args := depthwiseAt(c, y, rows, w, width, channels)
		args.bias = unsafe.Pointer(&bias[c])
		if isa == isaAVX512 {
			depthwiseRowAVX512((*byte)(unsafe.Pointer(&args)))
		} else {
			depthwiseRowAVX2((*byte)(unsafe.Pointer(&args)))
		}
	}
}

func vecDepthwiseRowGrad(dw, dy []float32, rows [3][]float32, width, channels int) {
	if isa == isaGo {
		goDepthwiseRowGrad(dw, dy, rows, width, channels)
		return
	}
	for c := 0; c < channels; c += depthwiseBlock {
		args := depthwiseAt(c, dy, rows, dw, width, channels)
		args.bias = args.w // moved along, never read
		if isa == isaAVX512 {
			depthwiseRowGradAVX512((*byte)(unsafe.Pointer(&args)))
		} else {
			depthwiseRowGradAVX2((*byte)(unsafe.Pointer(&args)))
		}
	}
}

// depthwiseAt sets up the block of channels that starts at c.
func depthwiseAt(c int, y []float32, rows [3][]float32, w []float32, width, channels int) depthwiseArgs {
	n, lanes := min(depthwiseBlock, channels-c), 8
	if isa == isaAVX512 {
		lanes = 16
	}
	args := depthwiseArgs{
		y: unsafe.Pointer(&y[c]), w: unsafe.Pointer(&w[c]), stride: uintptr(4 * channels),
		pixels: width, vectors: n / lanes, mask: 1<<(n%lanes) - 1,
	}
	if tail := n % lanes; tail > 0 {
		args.maskBytes = unsafe.Pointer(selectBytes(4 * tail))
	}
	for i, row := range rows {
		if row == nil {
			args.x[i] = unsafe.Pointer(&zeroPixel[0])
			continue
		}
		args.x[i], args.xStride[i] = unsafe.Pointer(&row[c]), args.stride
	}
	return args
}
