package kernel

import (
	"math/bits"
	"unsafe"
)

// at returns the element at p plus off bytes.
func at[T Float](p unsafe.Pointer, off uintptr) T { return *(*T)(unsafe.Add(p, off)) }

// microGo is the micro-kernel in Go: 4x4 tiles, sums in registers, B four to a row.
func microGo[T Float](args *microArgs) {
	rows := args.tiles * args.mr
	cols := bits.Len64(args.mask)
	for i := 0; i < rows; {
		a := unsafe.Add(args.a, uintptr(i/args.mr)*args.ats+uintptr(i%args.mr)*args.ars)
		c := unsafe.Add(args.c, uintptr(i)*args.ldc)
		if args.mr == 4 {
			microGo4[T](args, a, c, cols)
			i += 4
		} else {
			microGo1[T](args, a, c, cols)
			i++
		}
	}
}

func microGo4[T Float](args *microArgs, a, c unsafe.Pointer, cols int) {
	var c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33 T
	b, ars := args.b, args.ars
	if cols == 4 {
		// Offsets, not pointers, advance: no pointer may leave its array.
		var ao, bo uintptr
		for range args.k {
			row := (*[4]T)(unsafe.Add(b, bo))
			b0, b1, b2, b3 := row[0], row[1], row[2], row[3]
			x := at[T](a, ao)
			c00 += x * b0
			c01 += x * b1
			c02 += x * b2
			c03 += x * b3
			x = at[T](a, ao+ars)
			c10 += x * b0
			c11 += x * b1
			c12 += x * b2
			c13 += x * b3
			x = at[T](a, ao+2*ars)
			c20 += x * b0
			c21 += x * b1
			c22 += x * b2
			c23 += x * b3
			x = at[T](a, ao+3*ars)
			c30 += x * b0
			c31 += x * b1
			c32 += x * b2
			c33 += x * b3
			ao += args.acs
			bo += args.brs
		}
		storeGo(args, c, [4]T{c00, c01, c02, c03}, 4)
		storeGo(args, unsafe.Add(c, args.ldc), [4]T{c10, c11, c12, c13}, 4)
		storeGo(args, unsafe.Add(c, 2*args.ldc), [4]T{c20, c21, c22, c23}, 4)
		storeGo(args, unsafe.Add(c, 3*args.ldc), [4]T{c30, c31, c32, c33}, 4)
		return
	}
	for i := range uintptr(4) {
		microGo1[T](args, unsafe.Add(a, i*ars), unsafe.Add(c, i*args.ldc), cols)
	}
}

// microGo1 is one row of a tile, of 1 to 4 columns.
func microGo1[T Float](args *microArgs, a, c unsafe.Pointer, cols int) {
	var sum [4]T
	for p := range uintptr(args.k) {
		x := at[T](a, p*args.acs)
		for j, y := range unsafe.Slice((*T)(unsafe.Add(args.b, p*args.brs)), cols) {
			sum[j&3] += x * y
		}
	}
	storeGo(args, c, sum, cols)
}

// storeGo writes alpha sum + beta C, or beta bias, to cols columns of a row of C.
func storeGo[T Float](args *microArgs, c unsafe.Pointer, sum [4]T, cols int) {
	alpha, beta := *(*T)(unsafe.Pointer(&args.alpha)), *(*T)(unsafe.Pointer(&args.beta))
	row := unsafe.Slice((*T)(c), cols)
	old := row
	if args.bias != nil {
		old = unsafe.Slice((*T)(args.bias), cols)
	}
	for j := range row {
		if beta == 0 {
			row[j] = alpha * sum[j&3]
		} else {
			row[j] = alpha*sum[j&3] + beta*old[j]
		}
	}
}

// copyStripsGo copies strips of rows of width bytes, each strip that far behind the one before.
func copyStripsGo(dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, width, strips int, dstNext, srcNext uintptr) {
	for i := range uintptr(strips) {
		copyStripGo(unsafe.Add(dst, i*dstNext), unsafe.Add(src, i*srcNext), dstStride, srcStride, rows, width)
	}
}

// narrowBytes is the most that is copied word by word: a call for each row would take longer.
const narrowBytes = 64

// copyStripGo copies rows of width bytes, a multiple of four.
func copyStripGo(dst, src unsafe.Pointer, dstStride, srcStride uintptr, rows, width int) {
	if width <= narrowBytes {
		for i := range uintptr(rows) {
			to, from, at := unsafe.Add(dst, i*dstStride), unsafe.Add(src, i*srcStride), 0
			for ; at+8 <= width; at += 8 {
				*(*uint64)(unsafe.Add(to, at)) = *(*uint64)(unsafe.Add(from, at))
			}
			if at < width {
				*(*uint32)(unsafe.Add(to, at)) = *(*uint32)(unsafe.Add(from, at))
			}
		}
		return
	}
	for i := range uintptr(rows) {
		copy(unsafe.Slice((*byte)(unsafe.Add(dst, i*dstStride)), width), unsafe.Slice((*byte)(unsafe.Add(src, i*srcStride)), width))
	}
}

// transposeStripGo writes count rows of k elements as columns.
func transposeStripGo(double bool, dst, src unsafe.Pointer, dstStride, srcStride uintptr, count, k int) {
	if double {
		transposeGo[uint64](dst, src, dstStride, srcStride, count, k)
	} else {
		transposeGo[uint32](dst, src, dstStride, srcStride, count, k)
	}
}

func transposeGo[W uint32 | uint64](dst, src unsafe.Pointer, dstStride, srcStride uintptr, count, k int) {
	for i := range uintptr(count) {
		to := unsafe.Add(dst, i*unsafe.Sizeof(W(0)))
		for p, x := range unsafe.Slice((*W)(unsafe.Add(src, i*srcStride)), k) {
			*(*W)(unsafe.Add(to, uintptr(p)*dstStride)) = x
		}
	}
}
