//go:build !amd64 || purego

package kernel

import "unsafe"

// multipliesBFloat16 is for AVX-512 only; see bfloat16_amd64.go.
var multipliesBFloat16 = false

func roundBFloat16(_ isaLevel, x []float32) { roundGo(x) }

// Without the instruction no product has pairs.

func microPairs(*microArgs) {}

func pairRows(dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, k int) {}

func pairColumns(dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, cols, strips int, dstNext, srcNext uintptr) {
}
