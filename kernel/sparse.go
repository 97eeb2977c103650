package kernel

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
	const tile = 16 // two cache lines of float32 each way
	for i0 := 0; i0 < rows; i0 += tile {
		i1 := min(i0+tile, rows)
		for j0 := 0; j0 < cols; j0 += tile {
			j1 := min(j0+tile, cols)
			for j := j0; j < j1; j++ {
				d := dst[j*ldDst+i0 : j*ldDst+i1]
				s := src[i0*ldSrc+j:]
				if add {
					for i := range d {
						d[i] += s[i*ldSrc]
					}
				} else {
					for i := range d {
						d[i] = s[i*ldSrc]
					}
				}
			}
		}
	}
}
