package kernel

import (
	"math/bits"
	"unsafe"
)

// dotGo is the dot kernel in Go: one row of X, groups of one row of W, eight chains.
func dotGo[T Float](args *dotArgs) {
	n := args.blocks*64/int(unsafe.Sizeof(T(0))) + bits.Len64(args.mask)
	x := unsafe.Slice((*T)(args.x), n)
	for g := range uintptr(args.groups) {
		w := unsafe.Slice((*T)(unsafe.Add(args.w, g*args.ldw)), n)
		*(*T)(unsafe.Add(args.out, g*unsafe.Sizeof(T(0)))) = dotSlices(w, x)
	}
}

func dotSlices[T Float](w, x []T) T {
	var s0, s1, s2, s3, s4, s5, s6, s7 T
	for len(w) >= 8 && len(x) >= 8 {
		s0 += w[0] * x[0]
		s1 += w[1] * x[1]
		s2 += w[2] * x[2]
		s3 += w[3] * x[3]
		s4 += w[4] * x[4]
		s5 += w[5] * x[5]
		s6 += w[6] * x[6]
		s7 += w[7] * x[7]
		w, x = w[8:], x[8:]
	}
	for i, y := range w {
		s0 += y * x[i]
	}
	return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
}
