//go:build amd64 && !purego

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// multipliesBFloat16 says that the processor has AVX512-BF16. It is variable for tests.
var multipliesBFloat16 = cpu.X86.HasAVX512BF16

// microPairs is the micro-kernel over pairs of bfloat16.
func microPairs(args *microArgs) { microBF16AVX512((*byte)(unsafe.Pointer(args))) }

// roundBFloat16 rounds x in place.
func roundBFloat16(l isaLevel, x []float32) {
	if blocks := len(x) / 8; l != isaGo && blocks > 0 {
		bfloat16RoundAVX2((*byte)(unsafe.Pointer(&x[0])), uintptr(blocks))
		x = x[8*blocks:]
	}
	roundGo(x)
}

// pairRows rounds rows of k float32 to bfloat16, with zeros up to whole cache lines.
func pairRows(dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, k int) {
	bfloat16RowsAVX512((*byte)(dst), (*byte)(src), dstStride, srcStride, uintptr(rows), uintptr(k/32), 1<<(k%32)-1)
}

// pairColumns rounds strips of rows of cols float32, at most 32, and writes each two as one row of pairs. Up to 16 columns
// it writes 64 bytes of each row, so that a narrower strip needs pairSlack bytes behind it, and 128 bytes of more.
func pairColumns(dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, cols, strips int, dstNext, srcNext uintptr) {
	pack := bfloat16Columns32AVX512
	if cols <= 16 && dstStride <= cacheLine {
		pack = bfloat16Columns16AVX512
	}
	pack((*byte)(dst), (*byte)(src), dstStride, srcStride, uintptr(rows), uintptr(strips), dstNext, srcNext, 1<<cols-1)
}
