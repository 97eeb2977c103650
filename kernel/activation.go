package kernel

import "math"

// Activations run over len(dst) elements, and dst may be x. Gradients run over len(dx) elements, and dx may be dy or the
// third operand.

// Sigmoid computes dst = 1/(1 + exp(-x)).
func Sigmoid[T Float](dst, x []T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		vecSigmoid(f32(dst), f32(x))
		return
	}
	goSigmoid(dst, x)
}

func goSigmoid[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = sigmoid(v)
	}
}

// SigmoidGrad computes dx = dy * y*(1-y) from the output y = sigmoid(x).
func SigmoidGrad[T Float](dx, dy, y []T) {
	n := len(dx)
	dy, y = dy[:n:len(dy)], y[:n:len(y)]
	if isFloat32[T]() {
		vecSigmoidGrad(f32(dx), f32(dy), f32(y))
		return
	}
	goSigmoidGrad(dx, dy, y)
}

func goSigmoidGrad[T Float](dx, dy, y []T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, v := range y {
		dx[i] = dy[i] * v * (1 - v)
	}
}

// Tanh computes dst = tanh(x).
func Tanh[T Float](dst, x []T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		vecTanh(f32(dst), f32(x))
		return
	}
	goTanh(dst, x)
}

func goTanh[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = T(math.Tanh(float64(v)))
	}
}

// TanhGrad computes dx = dy * (1 - y²) from the output y = tanh(x).
func TanhGrad[T Float](dx, dy, y []T) {
	n := len(dx)
	dy, y = dy[:n:len(dy)], y[:n:len(y)]
	if isFloat32[T]() {
		vecTanhGrad(f32(dx), f32(dy), f32(y))
		return
	}
	goTanhGrad(dx, dy, y)
}

func goTanhGrad[T Float](dx, dy, y []T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i, v := range y {
		dx[i] = dy[i] * (1 - v*v)
	}
}

// ReLU computes dst = max(x, 0); NaN stays NaN.
func ReLU[T Float](dst, x []T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		vecReLU(f32(dst), f32(x))
		return
	}
	goReLU(dst, x)
}

func goReLU[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = max(v, 0)
	}
}

// ReLUGrad computes dx = dy where x > 0, and 0 elsewhere.
func ReLUGrad[T Float](dx, dy, x []T) {
	n := len(dx)
	dy, x = dy[:n:len(dy)], x[:n:len(x)]
	if isFloat32[T]() {
		vecReLUGrad(f32(dx), f32(dy), f32(x))
		return
	}
	goReLUGrad(dx, dy, x)
}

func goReLUGrad[T Float](dx, dy, x []T) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		d := dy[i]
		if !(v > 0) {
			d = 0
		}
		dx[i] = d
	}
}

// SiLU computes dst = x * sigmoid(x) (Hendrycks and Gimpel, 2016; also called swish).
func SiLU[T Float](dst, x []T) {
	x = x[:len(dst):len(x)]
	if isFloat32[T]() {
		vecSiLU(f32(dst), f32(x))
		return
	}
	goSiLU(dst, x)
}

func goSiLU[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = v * sigmoid(v)
	}
}

// SiLUGrad computes dx = dy * s*(1 + x*(1-s)) with s = sigmoid(x), from the input x.
func SiLUGrad[T Float](dx, dy, x []T) {
	n := len(dx)
	dy, x = dy[:n:len(dy)], x[:n:len(x)]
	if isFloat32[T]() {
		vecSiLUGrad(f32(dx), f32(dy), f32(x))
		return
	}
	goSiLUGrad(dx, dy, x)
}

func goSiLUGrad[T Float](dx, dy, x []T) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i, v := range x {
		s := sigmoid(v)
		dx[i] = dy[i] * s * (1 + v*(1-s))
	}
}

// sigmoid is the portable scalar logistic function.
func sigmoid[T Float](x T) T { return 1 / (1 + exp(-x)) }
