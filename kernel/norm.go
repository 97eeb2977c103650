package kernel

import "math"

// RMSNorm normalises each row of x [rows, cols] by its root mean square,
//
//	y[i,j] = x[i,j] * rstd[i] * w[j],  rstd[i] = 1/sqrt(mean_j x[i,j]² + eps),
//
// and stores rstd [rows] for the backward pass. y may be x.
func RMSNorm[T Float](y, x, w []T, rstd []T, rows, cols int, eps T) {
	for i := range rows {
		xi, yi := x[i*cols:(i+1)*cols], y[i*cols:(i+1)*cols]
		r := reciprocalStd(sumSquaresAround(xi, 0), cols, eps)
		rstd[i] = r
		normScale(yi, xi, w, 0, r)
	}
}

// RMSNormGrad is the backward pass of RMSNorm. With n[i,j] = x[i,j]*rstd[i] and c[i] = mean_j dy[i,j]*w[j]*n[i,j],
//
//	dx[i,j] = rstd[i] * (dy[i,j]*w[j] - n[i,j]*c[i]),  dw[j] += sum_i dy[i,j]*n[i,j].
//
// dx may be dy; dw accumulates over rows in order and is skipped when nil.
func RMSNormGrad[T Float](dx, dw, dy, x, w, rstd []T, rows, cols int) {
	for i := range rows {
		lo, hi := i*cols, (i+1)*cols
		_, s := normGradSums(dy[lo:hi], x[lo:hi], w, 0, rstd[i])
		normGrad(dx[lo:hi], dw, dy[lo:hi], x[lo:hi], w, 0, rstd[i], 0, s/T(cols))
	}
}

// reciprocalStd returns 1/sqrt(sumSquares/n + eps); the root is taken in float64, so it is rounded once.
func reciprocalStd[T Float](sumSquares T, n int, eps T) T {
	return T(1 / math.Sqrt(float64(sumSquares)/float64(n)+float64(eps)))
}

// normScale computes y = (x - mean)*rstd * w over one row.
func normScale[T Float](y, x, w []T, mean, rstd T) {
	n := len(y)
	x, w = x[:n:len(x)], w[:n:len(w)]
	if isFloat32[T]() {
		vecNormScale(f32(y), f32(x), f32(w), float32(mean), float32(rstd))
		return
	}
	goNormScale(y, x, w, mean, rstd)
}

func goNormScale[T Float](y, x, w []T, mean, rstd T) {
	x, w = x[:len(y)], w[:len(y)]
	for i := range y {
		y[i] = (x[i] - mean) * rstd * w[i]
	}
}

// normGradSums returns sum_j g[j] and sum_j g[j]*n[j] over one row, where g = dy*w and n = (x-mean)*rstd.
func normGradSums[T Float](dy, x, w []T, mean, rstd T) (g, gn T) {
	n := len(dy)
	x, w = x[:n:len(x)], w[:n:len(w)]
	if isFloat32[T]() {
		a, b := vecNormGradSums(f32(dy), f32(x), f32(w), float32(mean), float32(rstd))
		return T(a), T(b)
	}
	return goNormGradSums(dy, x, w, mean, rstd)
}

func goNormGradSums[T Float](dy, x, w []T, mean, rstd T) (g, gn T) {
	var s, t [8]T
	x, w = x[:len(dy)], w[:len(dy)]
	for i := range dy {
		v := dy[i] * w[i]
		s[i&7] += v
		t[i&7] += v * ((x[i] - mean) * rstd)
	}
	return sum8(&s), sum8(&t)
}

// normGrad computes, over one row with n = (x-mean)*rstd, dx = rstd*(dy*w - a - n*b) and dw += dy*n (unless dw is nil).
func normGrad[T Float](dx, dw, dy, x, w []T, mean, rstd, a, b T) {
	n := len(dx)
	dy, x, w = dy[:n:len(dy)], x[:n:len(x)], w[:n:len(w)]
	if dw != nil {
		dw = dw[:n]
	}
	switch {
	case !isFloat32[T]():
		goNormGrad(dx, dw, dy, x, w, mean, rstd, a, b)
	case dw == nil:
		vecNormGradInput(f32(dx), f32(dy), f32(x), f32(w), float32(mean), float32(rstd), float32(a), float32(b))
	default:
		vecNormGrad(f32(dx), f32(dw), f32(dy), f32(x), f32(w), float32(mean), float32(rstd), float32(a), float32(b))
	}
}

func goNormGrad[T Float](dx, dw, dy, x, w []T, mean, rstd, a, b T) {
	if dw == nil {
		goNormGradInput(dx, dy, x, w, mean, rstd, a, b)
		return
	}
	n := len(dx)
	dw, dy, x, w = dw[:n], dy[:n], x[:n], w[:n]
	for i := range dx {
		v, d := (x[i]-mean)*rstd, dy[i]
		dx[i] = rstd * (d*w[i] - a - v*b)
		dw[i] += d * v
	}
}

func goNormGradInput[T Float](dx, dy, x, w []T, mean, rstd, a, b T) {
	n := len(dx)
	dy, x, w = dy[:n], x[:n], w[:n]
	for i := range dx {
		dx[i] = rstd * (dy[i]*w[i] - a - (x[i]-mean)*rstd*b)
	}
}
