package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// Precision is what a matrix product reads its operands as. Sums are always of the type of C.
type Precision uint8

const (
	// Full reads operands as they are.
	Full Precision = iota
	// BFloat16 reads operands of float32 rounded to bfloat16, the upper half of a float32: to the nearest, of two the even
	// one, denormals as zeros. Operands of float64 are rounded to the same values and multiplied in float64: what the others
	// are compared with.
	//
	// With AVX512-BF16 each element of C is a chain of VDPBF16PS, which adds the products of two k at a time and takes
	// denormals for zeros. Elsewhere it is the chain of Full over the rounded operands. Both cut k as Full does, to blocks of at
	// most 384, so that results are equal bit for bit for any number of threads, but not on all processors.
	BFloat16
)

func (p Precision) String() string {
	if p == BFloat16 {
		return "bfloat16"
	}
	return "full"
}

// BFloat16Native says that the processor multiplies bfloat16 itself, with the instruction set in use. Elsewhere rounding comes
// on top of a product of float32.
func BFloat16Native() bool { return isa == isaAVX512 && multipliesBFloat16 }

// RoundBFloat16 is the bfloat16 that BFloat16 reads x as.
func RoundBFloat16(x float32) float32 {
	b := math.Float32bits(x)
	switch {
	case x != x:
		b |= 1 << 22 // stays a NaN without its lower half
	case b&0x7F800000 == 0:
		b &= 1 << 31
	default:
		b += 0x7FFF + b>>16&1
	}
	return math.Float32frombits(b &^ 0xFFFF)
}

// GemmAs is Gemm with operands read as p.
func GemmAs[T Float](p Precision, transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	gemm(p, threadsFor(transA, transB, m, n, k), transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, nil, nil)
}

// GemmBiasAs is GemmBias with operands read as p; the bias is read as it is.
func GemmBiasAs[T Float](p Precision, transA, transB bool, m, n, k int, a []T, lda int, b []T, ldb int, bias []T, c []T, ldc int) {
	if len(bias) != n {
		panic(fmt.Sprintf("kernel: gemm: got a bias of %d elements, want %d", len(bias), n))
	}
	gemm(p, threadsFor(transA, transB, m, n, k), transA, transB, m, n, k, 1, a, lda, b, ldb, 0, c, ldc, bias, nil)
}

// GemmSumsAs is GemmSums with operands read as p; the sums are those of A as it is.
func GemmSumsAs[T Float](p Precision, m, n, k int, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int, sums []T, add bool) {
	if len(sums) != m {
		panic(fmt.Sprintf("kernel: gemm: got room for %d sums, want %d", len(sums), m))
	}
	threads := threadsFor(true, false, m, n, k)
	if !add {
		clear(sums)
	}
	if m > 0 && n == 0 {
		colSum(sums, a, k, lda)
		sums = nil
	}
	gemm(p, threads, true, false, m, n, k, 1, a, lda, b, ldb, beta, c, ldc, nil, sums)
}

// GemmSerialAs is GemmSerial with operands read as p.
func GemmSerialAs[T Float](p Precision, transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	gemm(p, 1, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, nil, nil)
}

// round rounds n packed elements in place.
func (op *gemmOp) round(x unsafe.Pointer, n int) {
	if op.double {
		for i, v := range unsafe.Slice((*float64)(x), n) {
			*(*float64)(unsafe.Add(x, 8*i)) = float64(RoundBFloat16(float32(v)))
		}
		return
	}
	roundBFloat16(op.level, unsafe.Slice((*float32)(x), n))
}

// roundGo rounds x in place.
func roundGo(x []float32) {
	for i, v := range x {
		x[i] = RoundBFloat16(v)
	}
}

// depth is how many rows a panel of B has for n of k: half of them, rounded up, where a row holds pairs.
func (op *gemmOp) depth(n int) int {
	if op.pairs {
		return (n + 1) / 2
	}
	return n
}

// packPairs packs rows [k, k+kc) and columns [j, j+cols) of B as pairs of bfloat16: those of columns 0, 1, ... for two rows
// of B, then for the next two.
func (op *gemmOp) packPairs(dst unsafe.Pointer, k, kc, j, cols int) {
	width := uintptr(op.nr) * op.elem
	if !op.transB {
		src := unsafe.Add(op.b, uintptr(k)*op.ldb+uintptr(j)*op.elem)
		pairColumns(dst, src, width, op.ldb, kc, cols, 1, 0, 0)
		return
	}
	bench := getBench()
	defer bench.release()
	row := pairWidth(kc)
	rows := bench.rows.bytes(cols * row)
	pairRows(rows, unsafe.Add(op.b, uintptr(j)*op.ldb+uintptr(k)*op.elem), uintptr(row), op.ldb, cols, kc)
	transposeStrip(op.level, false, dst, rows, width, uintptr(row), cols, op.depth(kc))
}

// pairWidth is the bytes of a row of k elements as pairs: whole cache lines and one more, so that the rows of a tile lie in
// different sets of the cache.
func pairWidth(k int) int { return roundUp(2*k, cacheLine) + cacheLine }

// placePairs is placeA for pairs: rows where they run along k, tiles one after the other where they do not.
func (op *gemmOp) placePairs(w *microBench, i0, tiles, short, tall, k, kc int) (a unsafe.Pointer, tallSize, shortSize uintptr) {
	args := &w.args
	rows := short*tiles + tall
	if !op.transA {
		width := pairWidth(kc)
		a = w.a.bytes(rows * width)
		pairRows(a, unsafe.Add(op.a, uintptr(i0)*op.lda+uintptr(k)*op.elem), uintptr(width), op.lda, rows, kc)
		args.ars, args.acs = uintptr(width), op.elem
		return a, uintptr(short+1) * args.ars, uintptr(short) * args.ars
	}
	src := unsafe.Add(op.a, uintptr(k)*op.lda+uintptr(i0)*op.elem)
	tallWidth, shortWidth := uintptr(short+1)*op.elem, uintptr(short)*op.elem
	args.ars, args.acs = op.elem, shortWidth
	if tall > 0 {
		args.acs = tallWidth
	}
	tile := uintptr(op.depth(kc))*args.acs + pairSlack
	a = w.a.bytes(tiles * int(tile))
	if tall > 0 {
		pairColumns(a, src, args.acs, op.lda, kc, short+1, tall, tile, tallWidth)
	}
	if tall < tiles {
		pairColumns(unsafe.Add(a, uintptr(tall)*tile), unsafe.Add(src, uintptr(tall)*tallWidth), args.acs, op.lda, kc, short, tiles-tall, tile, shortWidth)
	}
	return a, tile, tile
}

// pairSlack is what pairColumns may write past its last row.
const pairSlack = cacheLine
