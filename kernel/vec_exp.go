package kernel

import "math"

// Exp computes dst = exp(x) over len(dst) elements, to about 1e-7 relative in float32. -Inf gives exactly 0, overflow
// +Inf, NaN stays NaN, subnormal results are rounded once. dst may be x.
func Exp[T Float](dst, x []T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		vecExp(f32(dst), f32(x))
		return
	}
	goExp(dst, x)
}

func goExp[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = exp(v)
	}
}

// ExpShift computes dst = exp(scale*x - shift) and returns the sum of dst. dst may be x.
func ExpShift[T Float](dst, x []T, scale, shift T) (sum T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		return T(vecExpShift(f32(dst), f32(x), float32(scale), float32(shift)))
	}
	return goExpShift(dst, x, scale, shift)
}

func goExpShift[T Float](dst, x []T, scale, shift T) T {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = exp(scale*v - shift)
	}
	return goSum(dst)
}

// expSum returns sum_i exp(scale*x[i] - shift) and stores nothing.
func expSum[T Float](x []T, scale, shift T) T {
	if isFloat32[T]() {
		return T(vecExpSum(f32(x), float32(scale), float32(shift)))
	}
	return goExpSum(x, scale, shift)
}

func goExpSum[T Float](x []T, scale, shift T) T {
	var s [8]T
	for i, v := range x {
		s[i&7] += exp(scale*v - shift)
	}
	return sum8(&s)
}

// exp is the portable scalar exponential.
func exp[T Float](x T) T { return T(math.Exp(float64(x))) }

func negInf[T Float]() T { return T(math.Inf(-1)) }
