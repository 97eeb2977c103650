package kernel

// Reductions run over a fixed set of interleaved partial sums, so their order depends on the length alone. The float32
// assembly uses 32 of them on every instruction set: AVX2 and AVX-512 give the same bits.

// Dot returns sum_i a[i]*b[i] over len(a) elements.
func Dot[T Float](a, b []T) T {
	b = b[:len(a):len(b)]
	if isFloat32[T]() {
		return T(vecDot(f32(a), f32(b)))
	}
	return goDot(a, b)
}

func goDot[T Float](a, b []T) T {
	var s [8]T
	b = b[:len(a)]
	for len(a) >= 8 {
		p, q := (*[8]T)(a), (*[8]T)(b)
		s[0] += p[0] * q[0]
		s[1] += p[1] * q[1]
		s[2] += p[2] * q[2]
		s[3] += p[3] * q[3]
		s[4] += p[4] * q[4]
		s[5] += p[5] * q[5]
		s[6] += p[6] * q[6]
		s[7] += p[7] * q[7]
		a, b = a[8:], b[8:]
	}
	for i := range a {
		s[i] += a[i] * b[i]
	}
	return sum8(&s)
}

// Sum returns the sum of x.
func Sum[T Float](x []T) T {
	if isFloat32[T]() {
		return T(vecSum(f32(x)))
	}
	return goSum(x)
}

func goSum[T Float](x []T) T {
	var s [8]T
	for len(x) >= 8 {
		p := (*[8]T)(x)
		for j := range s {
			s[j] += p[j]
		}
		x = x[8:]
	}
	for i := range x {
		s[i] += x[i]
	}
	return sum8(&s)
}

func sum8[T Float](s *[8]T) T {
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// SumSquares returns the sum of x[i]², accumulated in float64 (for global gradient norms). For float32 data every
// instruction set gives the same bits: squares are exact in float64 and the order is the same.
func SumSquares[T Float](x []T) float64 {
	var sum float64
	for len(x) > 0 {
		n := min(len(x), squaresBlock)
		if isFloat32[T]() {
			sum += vecSumSquares(f32(x[:n]))
		} else {
			sum += goSumSquares(x[:n])
		}
		x = x[n:]
	}
	return sum
}

// squaresBlock is how many squares SumSquares adds up before it adds to the total: one assembly call, and the same blocks for
// the portable loop.
const squaresBlock = 1 << 16

func goSumSquares[T Float](x []T) float64 {
	var s [32]float64
	for len(x) >= 32 {
		p := (*[32]T)(x)
		for j := range s {
			v := float64(p[j])
			s[j] += v * v
		}
		x = x[32:]
	}
	for i, v := range x {
		s[i] += float64(v) * float64(v)
	}
	for h := 16; h > 0; h /= 2 {
		for j := range h {
			s[j] += s[j+h]
		}
	}
	return s[0]
}

// MaxValue returns the largest entry of x, -Inf when x is empty. NaN entries are skipped: callers that must see them
// use AllFinite, and the softmax family propagates them through the exponential.
func MaxValue[T Float](x []T) T {
	if isFloat32[T]() {
		return T(vecMax(f32(x)))
	}
	return goMax(x)
}

func goMax[T Float](x []T) T {
	m := negInf[T]()
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// AllFinite reports whether x holds neither NaN nor an infinity.
func AllFinite[T Float](x []T) bool {
	if isFloat32[T]() {
		return vecZeroDot(f32(x)) == 0
	}
	return goZeroDot(x) == 0
}

// Finite reports whether x is neither NaN nor an infinity.
func Finite(x float64) bool { return x-x == 0 }

// goZeroDot returns sum_i 0*x[i]: 0 when every entry is finite, NaN otherwise.
func goZeroDot[T Float](x []T) T {
	var s T
	for _, v := range x {
		s += v * 0
	}
	return s
}

// ColSum computes dst[j] = sum_i x[i,j] (added to dst when add is set) for x [rows, cols], over the pool, four rows at a
// time from the top: dst += (x0+x1) + (x2+x3).
func ColSum[T Float](dst, x []T, rows, cols int, add bool) {
	dst = dst[:cols]
	if !add {
		clear(dst)
	}
	if rows*cols < threadedSums || Threads() == 1 {
		colSum(dst, x, rows, cols)
		return
	}
	Ranges(cols, sumCols, func(lo, hi int) { colSum(dst[lo:hi], x[lo:], rows, cols) })
}

const (
	// threadedSums is the number of elements from which ColSum wakes the pool.
	threadedSums = 1 << 15
	// sumCols is how many columns a piece of its work covers: whole cache lines, enough of them to be read as a stream.
	sumCols = 128
)

// colSum adds the first len(dst) columns of rows that are ld elements apart.
func colSum[T Float](dst, x []T, rows, ld int) {
	n, i := len(dst), 0
	for ; i+4 <= rows; i += 4 {
		addRows4(dst, x[i*ld:][:n], x[(i+1)*ld:][:n], x[(i+2)*ld:][:n], x[(i+3)*ld:][:n])
	}
	for ; i < rows; i++ {
		Add(dst, dst, x[i*ld:][:n])
	}
}

func addRows4[T Float](dst, x0, x1, x2, x3 []T) {
	if isFloat32[T]() {
		vecAddRows4(f32(dst), f32(x0), f32(x1), f32(x2), f32(x3))
		return
	}
	goAddRows4(dst, x0, x1, x2, x3)
}

func goAddRows4[T Float](dst, x0, x1, x2, x3 []T) {
	n := len(dst)
	x0, x1, x2, x3 = x0[:n], x1[:n], x2[:n], x3[:n]
	for i := range dst {
		dst[i] += (x0[i] + x1[i]) + (x2[i] + x3[i])
	}
}
