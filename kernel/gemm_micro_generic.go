//go:build !amd64 || purego

package kernel

import "unsafe"

func micro(_ isaLevel, double bool, args *microArgs) {
	if double {
		microGo[float64](args)
	} else {
		microGo[float32](args)
	}
}

func copyStrip(_ isaLevel, dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, width int) {
	copyStripGo(dst, src, dstStride, srcStride, rows, width)
}

func transposeStrip(_ isaLevel, double bool, dst, src unsafe.Pointer, dstStride, srcStride uintptr, count, k int) {
	transposeStripGo(double, dst, src, dstStride, srcStride, count, k)
}
