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

func copyStrips(_ isaLevel, dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, width, strips int, dstNext, srcNext uintptr) {
	copyStripsGo(dst, src, dstStride, srcStride, rows, width, strips, dstNext, srcNext)
}

func transposeStrip(_ isaLevel, double bool, dst, src unsafe.Pointer, dstStride, srcStride uintptr, count, k int) {
	transposeStripGo(double, dst, src, dstStride, srcStride, count, k)
}
