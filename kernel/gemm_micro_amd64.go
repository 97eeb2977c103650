//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go -C internal/avogen run ./gemm -pkg kernel -out ../../gemm_amd64.s -stubs ../../gemm_stubs_amd64.go

// micro runs the level's micro-kernel.
func micro(l isaLevel, double bool, args *microArgs) {
	p := (*byte)(unsafe.Pointer(args))
	switch {
	case l == isaAVX512 && double:
		microF64AVX512(p)
	case l == isaAVX512:
		microF32AVX512(p)
	case l == isaAVX2 && double:
		microF64AVX2(p)
	case l == isaAVX2:
		microF32AVX2(p)
	case double:
		microGo[float64](args)
	default:
		microGo[float32](args)
	}
}

// laneMask has 16 words of ones, then 16 of zeros: from word 16-n on, it selects n words.
var laneMask = [32]int32{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}

// selectBytes returns a mask of the first n bytes of a vector, n a multiple of 4 up to 64.
func selectBytes(n int) *byte { return (*byte)(unsafe.Pointer(&laneMask[16-n/4])) }

// copyStrips copies strips of rows of width bytes, each strip that far behind the one before; dst
// has packSlack spare bytes at its end, and what is written later covers the slack of what is before.
func copyStrips(l isaLevel, dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, width, strips int, dstNext, srcNext uintptr) {
	if l == isaGo {
		copyStripsGo(dst, src, dstStride, srcStride, rows, width, strips, dstNext, srcNext)
		return
	}
	if rows > 0 && strips > 0 {
		copyRowsAVX2((*byte)(dst), (*byte)(src), dstStride, srcStride, uintptr(rows), uintptr(width), selectBytes((width-1)%32+1),
			uintptr(strips), dstNext, srcNext)
	}
}

// transposeStrip writes count rows of k elements as columns.
func transposeStrip(l isaLevel, double bool, dst, src unsafe.Pointer, dstStride, srcStride uintptr, count, k int) {
	if l == isaGo {
		transposeStripGo(double, dst, src, dstStride, srcStride, count, k)
		return
	}
	lanes, elem, transpose := 8, uintptr(4), transposeF32AVX2
	if double {
		lanes, elem, transpose = 4, 8, transposeF64AVX2
	}
	whole := k / lanes * lanes
	for i := 0; i < count; i += lanes {
		to, from := unsafe.Add(dst, uintptr(i)*elem), unsafe.Add(src, uintptr(i)*srcStride)
		if i+lanes > count || whole == 0 {
			transposeStripGo(double, to, from, dstStride, srcStride, count-i, k)
			return
		}
		transpose((*byte)(to), (*byte)(from), dstStride, srcStride, uintptr(whole/lanes))
		if whole < k {
			transposeStripGo(double, unsafe.Add(to, uintptr(whole)*dstStride), unsafe.Add(from, uintptr(whole)*elem),
				dstStride, srcStride, lanes, k-whole)
		}
	}
}
