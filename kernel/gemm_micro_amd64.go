//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate sh -c "cd internal/avogen && go run ./gemm -pkg kernel -out ../../gemm_amd64.s -stubs ../../gemm_stubs_amd64.go"

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

// copyStrip copies rows of width bytes, see packStrip; dst has packSlack spare bytes at its end.
func copyStrip(l isaLevel, dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, width int) {
	if l == isaGo {
		copyStripGo(dst, src, dstStride, srcStride, rows, width)
		return
	}
	copyRowsAVX2((*byte)(dst), (*byte)(src), dstStride, srcStride, uintptr(rows), uintptr(width), selectBytes((width-1)%32+1))
}

// transposeStrip writes count rows of k elements as columns.
func transposeStrip(l isaLevel, double bool, dst, src unsafe.Pointer, dstStride, srcStride uintptr, count, k int) {
	if l == isaGo {
		transposeStripGo(double, dst, src, dstStride, srcStride, count, k)
		return
	}
	lanes, elem := 8, uintptr(4)
	if double {
		lanes, elem = 4, 8
	}
	whole := k / lanes * lanes
	for ; count >= lanes && whole > 0; count -= lanes {
		if double {
			transposeF64AVX2((*byte)(dst), (*byte)(src), dstStride, srcStride, uintptr(whole/lanes))
		} else {
			transposeF32AVX2((*byte)(dst), (*byte)(src), dstStride, srcStride, uintptr(whole/lanes))
		}
		if whole < k {
			transposeStripGo(double, unsafe.Add(dst, uintptr(whole)*dstStride), unsafe.Add(src, uintptr(whole)*elem),
				dstStride, srcStride, lanes, k-whole)
		}
		dst = unsafe.Add(dst, uintptr(lanes)*elem)
		src = unsafe.Add(src, uintptr(lanes)*srcStride)
	}
	if count > 0 {
		transposeStripGo(double, dst, src, dstStride, srcStride, count, k)
	}
}
