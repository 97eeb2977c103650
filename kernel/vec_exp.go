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
func exp[T Float](x T) T {
	if isFloat32[T]() {
		return T(exp32(float32(x)))
	}
	return T(math.Exp(float64(x)))
}

// exp32 computes e^x = 2^n p(r) in float64, with x = n ln 2 + r and |r| <= ln(2)/2, and rounds once: overflow and subnormals come
// out of the conversion. It is several times faster than math.Exp. p is the assembly's polynomial, a minimax fit of the
// relative error (3e-9).
func exp32(x float32) float32 {
	const roundingShift = 3 << 51 // added to a float64 below 2^51 it leaves the nearest integer in the low bits
	v := float64(x)
	if v > 100 {
		v = 100
	}
	if v < -110 {
		v = -110
	}
	shifted := v*math.Log2E + roundingShift
	r := v - (shifted-roundingShift)*math.Ln2
	p := 0.0013814559851700466
	p = p*r + 0.008368735561303431
	p = p*r + 0.041668389859221625
	p = p*r + 0.1666652047775704
	p = p*r + 0.4999999343742103
	p = p*r + 1
	p = p*r + 1
	return float32(p * math.Float64frombits((math.Float64bits(shifted)+1023)<<52))
}

func negInf[T Float]() T { return T(math.Inf(-1)) }
