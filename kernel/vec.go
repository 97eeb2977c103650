package kernel

import "unsafe"

//go:generate go -C internal/avogen run ./vec -out ../..

// Every exported vector kernel is generic and splits in two: float32 goes to a vecX function, which picks the
// instruction set (vec_amd64.go, generated) and falls back on goX; float64 goes straight to the portable goX.
// The portable loops sit beside the exported functions, so each file shows what its assembly has to compute.

// isFloat32 is decided when T is instantiated: the compiler folds it to a constant.
func isFloat32[T Float]() bool {
	var z T
	return unsafe.Sizeof(z) == 4
}

// f32 reinterprets a []T as []float32; only to be called when isFloat32[T]() holds. It keeps nil nil.
func f32[T Float](x []T) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// Add computes dst = a + b over len(dst) elements. dst may be a or b.
func Add[T Float](dst, a, b []T) {
	n := len(dst)
	a, b = a[:n:len(a)], b[:n:len(b)]
	if isFloat32[T]() {
		vecAdd(f32(dst), f32(a), f32(b))
		return
	}
	goAdd(dst, a, b)
}

func goAdd[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// Mul computes dst = a * b element by element. dst may be a or b.
func Mul[T Float](dst, a, b []T) {
	n := len(dst)
	a, b = a[:n:len(a)], b[:n:len(b)]
	if isFloat32[T]() {
		vecMul(f32(dst), f32(a), f32(b))
		return
	}
	goMul(dst, a, b)
}

func goMul[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// Axpy computes y += alpha * x over len(y) elements.
func Axpy[T Float](alpha T, x, y []T) {
	x = x[:len(y):len(x)]
	if isFloat32[T]() {
		vecAxpy(f32(y), f32(x), float32(alpha))
		return
	}
	goAxpy(y, x, alpha)
}

func goAxpy[T Float](y, x []T, alpha T) {
	x = x[:len(y)]
	for i := range y {
		y[i] += alpha * x[i]
	}
}

// Scale computes x *= alpha.
func Scale[T Float](alpha T, x []T) {
	if isFloat32[T]() {
		vecScale(f32(x), float32(alpha))
		return
	}
	goScale(x, alpha)
}

func goScale[T Float](x []T, alpha T) {
	for i := range x {
		x[i] *= alpha
	}
}

// AddRow adds a row vector to every row of x [rows, cols]: x[i,j] += row[j] (a bias).
func AddRow[T Float](x []T, rows, cols int, row []T) {
	row = row[:cols:len(row)]
	for i := range rows {
		r := x[i*cols : (i+1)*cols]
		Add(r, r, row)
	}
}
