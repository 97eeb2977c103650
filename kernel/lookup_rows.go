package kernel

import "unsafe"

// Codes are sums of atoms: row i of a matrix is the sum over t of values[t*stride+i] times atom index[t*stride+i] of a
// dictionary [K, width].
type Codes[T Float] struct {
	Values     []T
	Index      []uint8
	Stride     int // from a row's term to its next
	Terms      int // of each row, at least 1
	Dictionary []T
	Width      int
}

// check panics unless the codes have count rows and those fit a matrix of that stride.
func (c Codes[T]) check(what string, count, have, ld int) {
	checkMatrix(what, count, c.Width, have, ld)
	last := (c.Terms-1)*c.Stride + count
	if c.Terms < 1 || count > c.Stride || len(c.Values) < last || len(c.Index) < last {
		panic("kernel: codes: values or indices are shorter than rows and terms say")
	}
}

// Rows computes the first count rows into dst with row stride ld. An index beyond the dictionary is a programmer's error.
func (c Codes[T]) Rows(dst []T, ld, count int) {
	c.check("rows", count, len(dst), ld)
	if count == 0 || c.Width == 0 {
		return
	}
	if isFloat32[T]() && vecLookupRows(c.float32s(), f32(dst), ld, count) {
		return
	}
	for i := range count {
		row := dst[i*ld : i*ld+c.Width]
		clear(row)
		for t := range c.Terms {
			at := t*c.Stride + i
			goAxpy(row, c.Dictionary[int(c.Index[at])*c.Width:], c.Values[at])
		}
	}
}

// RowsGrad adds the gradients of the first count rows, p with row stride ld, to those of the values and of the dictionary:
// the product of p's row and the atom, and the value times p's row.
func (c Codes[T]) RowsGrad(values, dictionary, p []T, ld, count int) {
	c.check("gradients of rows", count, len(p), ld)
	_, _ = values[:len(c.Values)], dictionary[:len(c.Dictionary)]
	if count == 0 || c.Width == 0 {
		return
	}
	if isFloat32[T]() && vecLookupRowsGrad(c.float32s(), f32(values), f32(dictionary), f32(p), ld, count) {
		return
	}
	for i := range count {
		row := p[i*ld : i*ld+c.Width]
		for t := range c.Terms {
			at := t*c.Stride + i
			k := int(c.Index[at]) * c.Width
			goAxpy(dictionary[k:k+c.Width], row, c.Values[at])
			values[at] += goDot(row, c.Dictionary[k:k+c.Width])
		}
	}
}

func (c Codes[T]) float32s() Codes[float32] {
	return Codes[float32]{f32(c.Values), c.Index, c.Stride, c.Terms, f32(c.Dictionary), c.Width}
}

// lookupArgs is what the assembly works on, a vector's width of columns. Strides are in bytes, but for that of the codes.
// The assembly reads this struct by offset.
type lookupArgs struct {
	rows           unsafe.Pointer
	ld             uintptr
	values, index  unsafe.Pointer
	stride         int
	terms          int
	dictionary     unsafe.Pointer
	width          uintptr
	count          int
	mask           uint64
	maskBytes      unsafe.Pointer
	gradDictionary unsafe.Pointer
	gradValues     unsafe.Pointer
}
