//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go -C internal/avogen run ./lookup -pkg kernel -out ../../lookup_asm_amd64.s -stubs ../../lookup_stubs_amd64.go

func vecLookupAxpy(y, values []float32, index []uint8, table []float32) {
	if isa == isaGo || len(table) > 256 {
		goLookupAxpy(y, values, index, table)
		return
	}
	if isa == isaAVX2 {
		whole := len(y) &^ 7
		for lo := 0; lo < whole; lo += vecLimit {
			lookupAVX2(&y[lo], &values[lo], &index[lo], &table[0], min(whole-lo, vecLimit))
		}
		goLookupAxpy(y[whole:], values[whole:], index[whole:], table)
		return
	}
	room := LookupStride(len(table))
	if cap(table) < room {
		var padded [256]float32
		copy(padded[:], table)
		table = padded[:]
	}
	table = table[:room]
	for lo := 0; lo < len(y); lo += vecLimit {
		n := min(len(y)-lo, vecLimit)
		switch room {
		case 32:
			lookup32AVX512(&y[lo], &values[lo], &index[lo], &table[0], n)
		case 64:
			lookup64AVX512(&y[lo], &values[lo], &index[lo], &table[0], n)
		case 128:
			lookup128AVX512(&y[lo], &values[lo], &index[lo], &table[0], n)
		default:
			lookup256AVX512(&y[lo], &values[lo], &index[lo], &table[0], n)
		}
	}
}

// rowsLimit is about the most terms one assembly call gets.
const rowsLimit = 1 << 14

// vecLookupRows reports whether this instruction set has the kernel.
func vecLookupRows(c Codes[float32], dst []float32, ld, count int) bool {
	return eachColumns(c, dst, ld, count, func(args *lookupArgs, _, _ int) {
		if isa == isaAVX512 {
			lookupRowsAVX512((*byte)(unsafe.Pointer(args)))
		} else {
			lookupRowsAVX2((*byte)(unsafe.Pointer(args)))
		}
	})
}

func vecLookupRowsGrad(c Codes[float32], values, dictionary, p []float32, ld, count int) bool {
	return eachColumns(c, p, ld, count, func(args *lookupArgs, row, column int) {
		args.gradValues, args.gradDictionary = unsafe.Pointer(&values[row]), unsafe.Pointer(&dictionary[column])
		if isa == isaAVX512 {
			lookupRowsGradAVX512((*byte)(unsafe.Pointer(args)))
		} else {
			lookupRowsGradAVX2((*byte)(unsafe.Pointer(args)))
		}
	})
}

// eachColumns calls f for each vector's width of columns of some rows at a time, the first of which are given.
func eachColumns(c Codes[float32], rows []float32, ld, count int, f func(args *lookupArgs, row, column int)) bool {
	if isa == isaGo {
		return false
	}
	lanes := 8
	if isa == isaAVX512 {
		lanes = 16
	}
	step := max(1, rowsLimit/c.Terms)
	for i := 0; i < count; i += step {
		for column := 0; column < c.Width; column += lanes {
			n := min(lanes, c.Width-column)
			args := lookupArgs{
				rows: unsafe.Pointer(&rows[i*ld+column]), ld: uintptr(4 * ld),
				values: unsafe.Pointer(&c.Values[i]), index: unsafe.Pointer(&c.Index[i]), stride: c.Stride, terms: c.Terms,
				dictionary: unsafe.Pointer(&c.Dictionary[column]), width: uintptr(4 * c.Width), count: min(step, count-i),
				mask: 1<<n - 1, maskBytes: unsafe.Pointer(selectBytes(4 * n)),
			}
			f(&args, i, column)
		}
	}
	return true
}
