package kernel

func vecAdd(dst, a, b []float32) { goAdd(dst, a, b) }

func vecMul(dst, a, b []float32) { goMul(dst, a, b) }

func vecAxpy(y, x []float32, alpha float32) { goAxpy(y, x, alpha) }

func vecScale(x []float32, alpha float32) { goScale(x, alpha) }

func vecAddRows4(dst, x0, x1, x2, x3 []float32) { goAddRows4(dst, x0, x1, x2, x3) }

func vecExp(dst, x []float32) { goExp(dst, x) }

func vecSoftmaxGrad(ds, p, dp []float32, delta, scale float32) {
	goSoftmaxGrad(ds, p, dp, delta, scale)
}

func vecNormScale(y, x, w []float32, mean, rstd float32) { goNormScale(y, x, w, mean, rstd) }

func vecNormAffine(y, x, w, b []float32, mean, rstd float32) { goNormAffine(y, x, w, b, mean, rstd) }

func vecNormGrad(dx, dw, dy, x, w []float32, mean, rstd, a, b float32) {
	goNormGrad(dx, dw, dy, x, w, mean, rstd, a, b)
}

func vecNormGradInput(dx, dy, x, w []float32, mean, rstd, a, b float32) {
	goNormGradInput(dx, dy, x, w, mean, rstd, a, b)
}

func vecSigmoid(dst, x []float32) { goSigmoid(dst, x) }

func vecSigmoidGrad(dx, dy, y []float32) { goSigmoidGrad(dx, dy, y) }

func vecTanh(dst, x []float32) { goTanh(dst, x) }

func vecTanhGrad(dx, dy, y []float32) { goTanhGrad(dx, dy, y) }

func vecReLU(dst, x []float32) { goReLU(dst, x) }

func vecReLUGrad(dx, dy, x []float32) { goReLUGrad(dx, dy, x) }

func vecSiLU(dst, x []float32) { goSiLU(dst, x) }

func vecSiLUGrad(dx, dy, x []float32) { goSiLUGrad(dx, dy, x) }

func vecGELU(dst, x []float32) { goGELU(dst, x) }

func vecGELUGrad(dx, dy, x []float32) { goGELUGrad(dx, dy, x) }

func vecGELUTanh(dst, x []float32) { goGELUTanh(dst, x) }

func vecGELUTanhGrad(dx, dy, x []float32) { goGELUTanhGrad(dx, dy, x) }

func vecSwiGLU(dst, gate, up []float32) { goSwiGLU(dst, gate, up) }

func vecSwiGLUGrad(dgate, dup, dy, gate, up []float32) { goSwiGLUGrad(dgate, dup, dy, gate, up) }

func vecRotate(x1, x2, cos, sin []float32, sign float32) { goRotate(x1, x2, cos, sin, sign) }

func vecAdamW(w, m, v, g []float32, gradScale, decay, oneMinusBeta1, beta2, oneMinusBeta2, rootScale, eps, step float32) {
	goAdamW(w, m, v, g, gradScale, decay, oneMinusBeta1, beta2, oneMinusBeta2, rootScale, eps, step)
}

func vecDot(a, b []float32) float32 { return goDot(a, b) }

func vecSum(x []float32) float32 { return goSum(x) }

func vecSumSquares(x []float32) float64 { return goSumSquares(x) }

func vecMax(x []float32) float32 { return goMax(x) }

func vecZeroDot(x []float32) float32 { return goZeroDot(x) }

func vecExpShift(dst, x []float32, scale, shift float32) float32 {
	return goExpShift(dst, x, scale, shift)
}

func vecExpSum(x []float32, scale, shift float32) float32 { return goExpSum(x, scale, shift) }

func vecSumSquaresAround(x []float32, mean float32) float32 { return goSumSquaresAround(x, mean) }

func vecNormGradSums(dy, x, w []float32, mean, rstd float32) (g, gn float32) {
	return goNormGradSums(dy, x, w, mean, rstd)
}
