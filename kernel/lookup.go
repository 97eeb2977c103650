package kernel

// A code is a table index for each element, one byte: tables have up to 256 entries.

// LookupAxpy computes y[i] += values[i] * table[index[i]] over len(y) elements. An index at or beyond len(table) is a
// programmer's error. y must not overlap the others.
func LookupAxpy[T Float](y, values []T, index []uint8, table []T) {
	n := len(y)
	values, index = values[:n:len(values)], index[:n:len(index)]
	if isFloat32[T]() {
		vecLookupAxpy(f32(y), f32(values), index, f32(table))
		return
	}
	goLookupAxpy(y, values, index, table)
}

func goLookupAxpy[T Float](y, values []T, index []uint8, table []T) {
	values, index = values[:len(y)], index[:len(y)]
	for i := range y {
		y[i] += values[i] * table[index[i]]
	}
}

// LookupAdd is the transpose of LookupAxpy, table[index[i]] += values[i] * x[i] over len(x) elements, in their order.
func LookupAdd[T Float](table, values []T, index []uint8, x []T) {
	values, index = values[:len(x)], index[:len(x)]
	for i, v := range x {
		table[index[i]] += values[i] * v
	}
}

// LookupStride is the least room that a table of so many entries should have: the vector kernels read that much in
// place, and copy a shorter table first. What lies past its entries is read but not used.
func LookupStride(entries int) int {
	n := 32
	for n < entries {
		n *= 2
	}
	return n
}
