package kernel

import "unsafe"

// CacheRows are cached keys or values: rows of one width, one after the other, in floating point or
// in 8 bits.
type CacheRows[T Float] struct {
	X      []T       // [rows, width], row stride LD; nil: 8 bits
	Codes  []int8    // [rows, width], row stride LD
	Scales []float32 // [rows]: a row is its codes times its scale
	LD     int
}

// start is where the rows begin.
func (r *CacheRows[T]) start() unsafe.Pointer {
	if r.X != nil {
		return unsafe.Pointer(unsafe.SliceData(r.X))
	}
	return unsafe.Pointer(unsafe.SliceData(r.Codes))
}

// elem is the bytes of an element.
func (r *CacheRows[T]) elem() uintptr {
	if r.X != nil {
		return unsafe.Sizeof(T(0))
	}
	return 1
}

// float32 is r as what it is where T is float32.
func (r *CacheRows[T]) float32() CacheRows[float32] {
	return CacheRows[float32]{X: f32(r.X), Codes: r.Codes, Scales: r.Scales, LD: r.LD}
}

// ahead is the distance from r to next in bytes, 0 if there is no next of the same kind.
func (r *CacheRows[T]) ahead(next *CacheRows[T]) uintptr {
	if next == nil || next.start() == nil || next.elem() != r.elem() {
		return 0
	}
	return uintptr(next.start()) - uintptr(r.start())
}

// check panics unless n rows of a width are there.
func (r *CacheRows[T]) check(n, width int) {
	last := (n-1)*r.LD + width - 1
	switch {
	case r.X != nil:
		_ = r.X[last]
	default:
		_, _ = r.Codes[last], r.Scales[n-1]
	}
}

// cacheQueries is the most queries for which it pays to read cached rows in place. More have work
// enough for a row to pay for its packing.
const cacheQueries = 16

// InPlace tells whether CacheScores and CacheValues are for that many queries; for more Gemm is
// faster.
func InPlace(queries int) bool { return queries <= cacheQueries }

// CacheScores computes the scores of a few queries with n cached rows,
//
//	s[i,j] = sum over c of q[i,c] rows[j,c].
//
// s [queries, n], row stride lds; q [queries, width], row stride ldq. next, if not nil, are the rows
// that will be read after these: they are fetched meanwhile. Every row is loaded once for up to 8
// queries. The order of a sum depends on the width only, unless n is less than 16.
func CacheScores[T Float](s []T, lds int, q []T, ldq int, rows CacheRows[T], queries, n, width int, next *CacheRows[T]) {
	if queries == 0 || n == 0 {
		return
	}
	rows.check(n, width)
	_, _ = s[(queries-1)*lds+n-1], q[(queries-1)*ldq+width-1]
	if isFloat32[T]() && vecCacheScores(f32(s), lds, f32(q), ldq, rows.float32(), queries, n, width, rows.ahead(next)) {
		return
	}
	goCacheScores(s, lds, q, ldq, rows, queries, n, width)
}

// CacheValues adds the sums of n cached rows with the weights of a few queries,
//
//	y[i,c] += sum over j of p[i,j] rows[j,c].
//
// y [queries, width], row stride ldy; p [queries, n], row stride ldp, which it may overwrite; next
// as in CacheScores.
func CacheValues[T Float](y []T, ldy int, p []T, ldp int, rows CacheRows[T], queries, n, width int, next *CacheRows[T]) {
	if queries == 0 || n == 0 || width == 0 {
		return
	}
	rows.check(n, width)
	_, _ = y[(queries-1)*ldy+width-1], p[(queries-1)*ldp+n-1]
	if isFloat32[T]() && vecCacheValues(f32(y), ldy, f32(p), ldp, rows.float32(), queries, n, width, rows.ahead(next)) {
		return
	}
	goCacheValues(y, ldy, p, ldp, rows, queries, n, width)
}

// goCacheScores is CacheScores without assembly.
func goCacheScores[T Float](s []T, lds int, q []T, ldq int, rows CacheRows[T], queries, n, width int) {
	if rows.X != nil {
		GemmSerial(false, true, queries, n, width, 1, q, ldq, rows.X, rows.LD, 0, s, lds)
		return
	}
	for i := range queries {
		x := q[i*ldq : i*ldq+width]
		for j := range n {
			var sum T
			for c, code := range rows.Codes[j*rows.LD : j*rows.LD+width] {
				sum += x[c] * T(code)
			}
			s[i*lds+j] = sum * T(rows.Scales[j])
		}
	}
}

// goCacheValues is CacheValues without assembly.
func goCacheValues[T Float](y []T, ldy int, p []T, ldp int, rows CacheRows[T], queries, n, width int) {
	if rows.X != nil {
		GemmSerial(false, false, queries, width, n, 1, p, ldp, rows.X, rows.LD, 1, y, ldy)
		return
	}
	for i := range queries {
		sum := y[i*ldy : i*ldy+width]
		for j := range n {
			weight := p[i*ldp+j] * T(rows.Scales[j])
			for c, code := range rows.Codes[j*rows.LD : j*rows.LD+width] {
				sum[c] += weight * T(code)
			}
		}
	}
}

// RotateRows turns rows of two halves, dst = turn(src) as in [Rotate], each by a row of angles of its
// own. dst and src [rows, 2*half], cos and sin [rows, half]. dst may be src.
func RotateRows[T Float](dst, src, cos, sin []T, rows, half int) {
	if rows == 0 || half == 0 {
		return
	}
	dst, src, cos, sin = dst[:2*rows*half], src[:2*rows*half], cos[:rows*half], sin[:rows*half]
	if isFloat32[T]() && vecRotateRows(f32(dst), f32(src), f32(cos), f32(sin), rows, half) {
		return
	}
	for i := range rows {
		row := dst[2*i*half : 2*(i+1)*half]
		copy(row, src[2*i*half:])
		Rotate(row[:half], row[half:], cos[i*half:(i+1)*half], sin[i*half:(i+1)*half], false)
	}
}
