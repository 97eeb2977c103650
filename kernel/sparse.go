package kernel

import "unsafe"

// A sparse matrix S [rows, cols] of fixed support is a list of values and their
// places, row*cols + column, distinct and ascending.

// ScatterAdd adds each value to its place: w[place[k]] += values[k]. Places are
// distinct, so pieces may run in parallel.
func ScatterAdd[T Float](w []T, places []int32, values []T) {
	values = values[:len(places)]
	for k, p := range places {
		w[p] += values[k]
	}
}

// Gather reads each place: dst[k] = w[place[k]], or with add dst[k] += w[place[k]].
func Gather[T Float](dst, w []T, places []int32, add bool) {
	dst = dst[:len(places)]
	if add {
		for k, p := range places {
			dst[k] += w[p]
		}
		return
	}
	for k, p := range places {
		dst[k] = w[p]
	}
}

// Transpose copies src [rows, cols] with row stride ldSrc to dst [cols, rows]
// with row stride ldDst; with add it adds.
func Transpose[T Float](dst []T, ldDst int, src []T, ldSrc, rows, cols int, add bool) {
	checkMatrix("src", rows, cols, len(src), ldSrc)
	checkMatrix("dst", cols, rows, len(dst), ldDst)
	if rows == 0 || cols == 0 {
		return
	}
	const tile = 64 // so that source and destination of a tile stay in the first-level cache
	var turned [tile * tile]T
	for i0 := 0; i0 < rows; i0 += tile {
		m := min(tile, rows-i0)
		for j0 := 0; j0 < cols; j0 += tile {
			n := min(tile, cols-j0)
			from, to := src[i0*ldSrc+j0:], dst[j0*ldDst+i0:]
			if !add {
				turn(to, ldDst, from, ldSrc, m, n)
				continue
			}
			turn(turned[:], tile, from, ldSrc, m, n)
			for j := range n {
				Axpy(1, turned[j*tile:j*tile+m], to[j*ldDst:j*ldDst+m])
			}
		}
	}
}

// turn is Transpose of one tile, m and n at least 1, with the kernel that packs
// matrix products.
func turn[T Float](dst []T, ldDst int, src []T, ldSrc, m, n int) {
	elem := unsafe.Sizeof(dst[0])
	transposeStrip(isa, elem == 8, unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), uintptr(ldDst)*elem, uintptr(ldSrc)*elem, m, n)
}
