package kernel

import "unsafe"

// Shapes: W pixels in a row, C channels; a row is [W, C], a pixel's channels side by side.

// DepthwiseRow computes one row of a 3x3 depthwise convolution with padding 1,
//
//	y[j,c] = bias[c] + sum over i, k in 0..2 of w[3i+k,c] * rows[i][j+k-1,c],
//
// where pixels outside a row count as 0, and so does a row that is nil.
//
// y [width, channels], rows each [width, channels], w [9, channels], bias [channels]. y must not
// overlap the rows.
func DepthwiseRow[T Float](y []T, rows [3][]T, w, bias []T, width, channels int) {
	if width == 0 || channels == 0 {
		return
	}
	checkDepthwise(len(y), len(w), rows, width, channels)
	_ = bias[channels-1]
	if isFloat32[T]() {
		var r [3][]float32
		for i := range rows {
			r[i] = f32(rows[i])
		}
		vecDepthwiseRow(f32(y), r, f32(w), f32(bias), width, channels)
		return
	}
	goDepthwiseRow(y, rows, w, bias, width, channels)
}

// DepthwiseRowGrad adds one row's share of the gradient of DepthwiseRow's weights,
//
//	dw[3i+k,c] += sum over j of dy[j,c] * rows[i][j+k-1,c].
func DepthwiseRowGrad[T Float](dw, dy []T, rows [3][]T, width, channels int) {
	if width == 0 || channels == 0 {
		return
	}
	checkDepthwise(len(dy), len(dw), rows, width, channels)
	if isFloat32[T]() {
		var r [3][]float32
		for i := range rows {
			r[i] = f32(rows[i])
		}
		vecDepthwiseRowGrad(f32(dw), f32(dy), r, width, channels)
		return
	}
	goDepthwiseRowGrad(dw, dy, rows, width, channels)
}

func checkDepthwise[T Float](y, w int, rows [3][]T, width, channels int) {
	short := y < width*channels || w < 9*channels
	for _, r := range rows {
		short = short || r != nil && len(r) < width*channels
	}
	if short {
		panic("kernel: depthwise convolution: a slice is shorter than its shape")
	}
}

func goDepthwiseRow[T Float](y []T, rows [3][]T, w, bias []T, width, channels int) {
	for j := range width {
		out := y[j*channels : (j+1)*channels]
		copy(out, bias)
		eachTap(rows, j, width, channels, func(tap int, x []T) {
			for c, weight := range w[tap*channels : (tap+1)*channels] {
				out[c] += weight * x[c]
			}
		})
	}
}

func goDepthwiseRowGrad[T Float](dw, dy []T, rows [3][]T, width, channels int) {
	for j := range width {
		d := dy[j*channels : (j+1)*channels]
		eachTap(rows, j, width, channels, func(tap int, x []T) {
			sum := dw[tap*channels : (tap+1)*channels]
			for c := range sum {
				sum[c] += d[c] * x[c]
			}
		})
	}
}

// eachTap calls f with every tap of pixel j that lies inside, and the input under it.
func eachTap[T Float](rows [3][]T, j, width, channels int, f func(tap int, x []T)) {
	for i, row := range rows {
		if row == nil {
			continue
		}
		for k := max(0, 1-j); k < min(3, width+1-j); k++ {
			at := (j + k - 1) * channels
			f(3*i+k, row[at:at+channels])
		}
	}
}

// depthwiseArgs is what the assembly works on, one block of channels. Strides are in bytes. The
// assembly reads this struct by offset and moves its pointers.
type depthwiseArgs struct {
	x         [3]unsafe.Pointer
	xStride   [3]uintptr // 0 for a row outside, whose one pixel is zeros
	y         unsafe.Pointer
	w         unsafe.Pointer
	bias      unsafe.Pointer
	stride    uintptr
	pixels    int
	vectors   int
	mask      uint64
	maskBytes unsafe.Pointer
}

// depthwiseBlock is the most channels one assembly call gets.
const depthwiseBlock = 1024

// zeroPixel stands for rows outside the map.
var zeroPixel [depthwiseBlock]float32
