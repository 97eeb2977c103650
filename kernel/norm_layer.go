package kernel

// LayerNorm normalises each row of x [rows, cols] to mean 0 and variance 1, as PyTorch does:
//
//	y[i,j] = (x[i,j] - mean[i]) * rstd[i] * w[j] + b[j],  rstd[i] = 1/sqrt(var_j x[i,j] + eps),
//
// with the biased variance, computed around the mean in a second pass. mean and rstd [rows] are stored for the backward
// pass; b may be nil; y may be x.
func LayerNorm[T Float](y, x, w, b []T, mean, rstd []T, rows, cols int, eps T) {
	for i := range rows {
		xi, yi := x[i*cols:(i+1)*cols], y[i*cols:(i+1)*cols]
		m := Sum(xi) / T(cols)
		r := reciprocalStd(sumSquaresAround(xi, m), cols, eps)
		mean[i], rstd[i] = m, r
		if b == nil {
			normScale(yi, xi, w, m, r)
		} else {
			normAffine(yi, xi, w, b, m, r)
		}
	}
}

// LayerNormGrad is the backward pass of LayerNorm. With n = (x-mean)*rstd and g = dy*w,
//
//	dx[i,j] = rstd[i] * (g[i,j] - mean_j g[i,j] - n[i,j] * mean_j g[i,j]*n[i,j]),
//	dw[j] += sum_i dy[i,j]*n[i,j],  db[j] += sum_i dy[i,j].
//
// dx may be dy; dw and db accumulate over rows in order and are skipped when nil.
func LayerNormGrad[T Float](dx, dw, db, dy, x, w, mean, rstd []T, rows, cols int) {
	if db != nil {
		ColSum(db, dy, rows, cols, true)
	}
	for i := range rows {
		lo, hi := i*cols, (i+1)*cols
		s, t := normGradSums(dy[lo:hi], x[lo:hi], w, mean[i], rstd[i])
		normGrad(dx[lo:hi], dw, dy[lo:hi], x[lo:hi], w, mean[i], rstd[i], s/T(cols), t/T(cols))
	}
}

// sumSquaresAround returns sum_j (x[j] - mean)².
func sumSquaresAround[T Float](x []T, mean T) T {
	if isFloat32[T]() {
		return T(vecSumSquaresAround(f32(x), float32(mean)))
	}
	return goSumSquaresAround(x, mean)
}

func goSumSquaresAround[T Float](x []T, mean T) T {
	var s [8]T
	for i, v := range x {
		d := v - mean
		s[i&7] += d * d
	}
	return sum8(&s)
}

// normAffine computes y = (x - mean)*rstd * w + b over one row.
func normAffine[T Float](y, x, w, b []T, mean, rstd T) {
	n := len(y)
	x, w, b = x[:n:len(x)], w[:n:len(w)], b[:n:len(b)]
	if isFloat32[T]() {
		vecNormAffine(f32(y), f32(x), f32(w), f32(b), float32(mean), float32(rstd))
		return
	}
	goNormAffine(y, x, w, b, mean, rstd)
}

func goNormAffine[T Float](y, x, w, b []T, mean, rstd T) {
	n := len(y)
	x, w, b = x[:n], w[:n], b[:n]
	for i := range y {
		y[i] = (x[i]-mean)*rstd*w[i] + b[i]
	}
}
