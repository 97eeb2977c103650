package kernel

import "math"

// GELU computes dst = x * Phi(x), where Phi is the normal distribution function (Hendrycks and Gimpel, "Gaussian Error Linear
// Units", 2016, section 2): the exact form, with the error function.
func GELU[T Float](dst, x []T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		vecGELU(f32(dst), f32(x))
		return
	}
	goGELU(dst, x)
}

func goGELU[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = T(math.Max(float64(v), -geluTail) * normalCDF(float64(v)))
	}
}

// GELUGrad computes dx = dy * (Phi(x) + x*phi(x)) from the input x, phi the normal density.
func GELUGrad[T Float](dx, dy, x []T) {
	n := len(dx)
	dy, x = dy[:n:len(dy)], x[:n:len(x)]
	if isFloat32[T]() {
		vecGELUGrad(f32(dx), f32(dy), f32(x))
		return
	}
	goGELUGrad(dx, dy, x)
}

func goGELUGrad[T Float](dx, dy, x []T) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		z := float64(v)
		dx[i] = T(float64(dy[i]) * (normalCDF(z) + z*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)))
	}
}

// geluRoot is sqrt(2/pi), geluCubic the coefficient of x³ in the tanh approximation.
const (
	geluRoot  = 0.7978845608028654
	geluCubic = 0.044715
)

// GELUTanh computes the tanh approximation of GELU (the same paper, section 2; GPT-2's activation),
//
//	dst = x/2 * (1 + tanh(u)) = x * sigmoid(2u),  u = sqrt(2/pi) * (x + 0.044715 x³).
func GELUTanh[T Float](dst, x []T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		vecGELUTanh(f32(dst), f32(x))
		return
	}
	goGELUTanh(dst, x)
}

func goGELUTanh[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = v * geluTanhGate(v)
	}
}

// GELUTanhGrad computes dx = dy * (s + x*s*(1-s)*2u') with s = sigmoid(2u), from the input x.
func GELUTanhGrad[T Float](dx, dy, x []T) {
	n := len(dx)
	dy, x = dy[:n:len(dy)], x[:n:len(x)]
	if isFloat32[T]() {
		vecGELUTanhGrad(f32(dx), f32(dy), f32(x))
		return
	}
	goGELUTanhGrad(dx, dy, x)
}

func goGELUTanhGrad[T Float](dx, dy, x []T) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		z := min(max(v, -geluClamp), geluClamp)
		s := geluTanhGate(z)
		dx[i] = dy[i] * (s + z*s*(1-s)*(2*geluRoot)*(1+3*geluCubic*z*z))
	}
}

// geluClamp is far enough out that the gate is 0 or 1 in float64 as well; it keeps x³ from overflowing.
const geluClamp = 24

func geluTanhGate[T Float](x T) T {
	z := min(max(x, -geluClamp), geluClamp)
	return sigmoid(2 * geluRoot * (z + geluCubic*z*z*z))
}

// geluTail is where Phi(-x) is 0 in float64 as well; clamping there makes GELU(-Inf) 0.
const geluTail = 40

func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
