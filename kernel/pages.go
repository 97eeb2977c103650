package kernel

import "unsafe"

// largePage is the size of a large page where there are any: on x86-64 and, of the usual small pages, on arm64.
const largePage = 2 << 20

// Large returns n zeros for data that is long and read as a stream, such as the keys and values of
// a long context: from two large pages on it begins at the border of one, and the system is asked
// for large pages. On small ones a core that looks up each of them reads about a third slower.
// Where the system has none it is make with 2 MiB to spare.
func Large[T Float | int8](n int) []T {
	elem := int(unsafe.Sizeof(T(0)))
	if n < 2*largePage/elem {
		return make([]T, n)
	}
	all := make([]T, n+largePage/elem)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(all)))%largePage) / elem
	x := all[skip : skip+n : skip+n]
	adviseLarge(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), n*elem/largePage*largePage))
	return x
}
