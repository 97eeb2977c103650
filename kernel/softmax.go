package kernel

import "math"

// SoftmaxRow computes dst = softmax(scale*x) over one row and returns its log-sum-exp,
//
//	dst[j] = exp(scale*x[j] - lse),  lse = log sum_j exp(scale*x[j]).
//
// Entries of -Inf (masked positions) give exactly 0 whatever the sign of scale; a row of nothing else gives zeros and
// lse = -Inf. A NaN makes the row and lse NaN. dst may be x.
func SoftmaxRow[T Float](dst, x []T, scale T) (lse T) {
	x = x[:len(dst):len(x)]
	if !(scale > 0) {
		goScaleMasked(dst, x, scale)
		x, scale = dst, 1
	}
	shift, ok := softmaxShift(x, scale)
	if !ok {
		clear(dst)
		return shift
	}
	sum := ExpShift(dst, x, scale, shift)
	Scale(1/sum, dst)
	return shift + T(math.Log(float64(sum)))
}

// LogSumExp returns log sum_j exp(scale*x[j]), -Inf for a row that is empty or all -Inf. It allocates nothing and leaves x.
func LogSumExp[T Float](x []T, scale T) T {
	if !(scale > 0) {
		return goLogSumExp(x, scale)
	}
	shift, ok := softmaxShift(x, scale)
	if !ok {
		return shift
	}
	return shift + T(math.Log(float64(expSum(x, scale, shift))))
}

// softmaxShift returns max_j scale*x[j] for scale > 0. When every entry is -Inf it returns -Inf and false. A NaN hidden among
// -Inf entries is not a masked row: the shift is then 0, so that the exponential carries the NaN on.
func softmaxShift[T Float](x []T, scale T) (shift T, ok bool) {
	m := MaxValue(x)
	if m != negInf[T]() {
		return scale * m, true
	}
	for _, v := range x {
		if v != v {
			return 0, true
		}
	}
	return m, false
}

// goScaleMasked computes dst = scale*x for a scale that is not positive, keeping the mask: -Inf stays -Inf.
func goScaleMasked[T Float](dst, x []T, scale T) {
	for i, v := range x {
		if v == negInf[T]() {
			dst[i] = v
		} else {
			dst[i] = scale * v
		}
	}
}

// goLogSumExp is LogSumExp for any sign of scale.
func goLogSumExp[T Float](x []T, scale T) T {
	m := math.Inf(-1)
	for _, v := range x {
		if v != negInf[T]() {
			m = math.Max(m, float64(scale)*float64(v))
		}
	}
	if math.IsInf(m, -1) {
		return T(m)
	}
	var sum float64
	for _, v := range x {
		if v != negInf[T]() {
			sum += math.Exp(float64(scale)*float64(v) - m)
		}
	}
	return T(m + math.Log(sum))
}

// SoftmaxGradRow computes ds = scale * p * (dp - delta), the gradient through p = softmax(scale*s) when
// delta = sum_j p[j]*dp[j]. ds may be p or dp.
func SoftmaxGradRow[T Float](ds, p, dp []T, delta, scale T) {
	n := len(ds)
	p, dp = p[:n:len(p)], dp[:n:len(dp)]
	if isFloat32[T]() {
		vecSoftmaxGrad(f32(ds), f32(p), f32(dp), float32(delta), float32(scale))
		return
	}
	goSoftmaxGrad(ds, p, dp, delta, scale)
}

func goSoftmaxGrad[T Float](ds, p, dp []T, delta, scale T) {
	p, dp = p[:len(ds)], dp[:len(ds)]
	for i := range ds {
		ds[i] = scale * p[i] * (dp[i] - delta)
	}
}
