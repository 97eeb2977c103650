package kernel

import "math"

// AdamW holds the settings of one optimizer step: Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled
// Weight Decay Regularization", ICLR 2019, algorithm 2) in the form of torch.optim.AdamW.
type AdamW struct {
	LearningRate float64 // step size of this step, after any schedule
	Beta1        float64 // decay of the mean of gradients, usually 0.9
	Beta2        float64 // decay of the mean of squared gradients, usually 0.95 to 0.999
	Eps          float64 // added to the root of the second moment, usually 1e-8
	WeightDecay  float64 // decoupled: the weight shrinks by LearningRate*WeightDecay before the update
	Step         int     // 1 on the first step; the bias correction depends on it
	GradScale    float64 // the gradient is multiplied by it on the fly (clipping, averaging); 1 for none
}

// adamScalars are the constants of one step, computed once in float64.
type adamScalars[T Float] struct {
	gradScale, decay, oneMinusBeta1, beta2, oneMinusBeta2, rootScale, eps, step T
}

func scalarsOf[T Float](p AdamW) adamScalars[T] {
	return adamScalars[T]{
		gradScale:     T(p.GradScale),
		decay:         T(1 - p.LearningRate*p.WeightDecay),
		oneMinusBeta1: T(1 - p.Beta1),
		beta2:         T(p.Beta2),
		oneMinusBeta2: T(1 - p.Beta2),
		rootScale:     T(1 / math.Sqrt(1-math.Pow(p.Beta2, float64(p.Step)))),
		eps:           T(p.Eps),
		step:          T(p.LearningRate / (1 - math.Pow(p.Beta1, float64(p.Step)))),
	}
}

// AdamWStep updates the weights w and the moments m, v in place from the gradient g, all of len(w):
//
//	g' = GradScale*g
//	w *= 1 - LearningRate*WeightDecay
//	m += (1-Beta1)*(g' - m),  v = Beta2*v + (1-Beta2)*g'²
//	w -= LearningRate/(1-Beta1^Step) * m / (sqrt(v/(1-Beta2^Step)) + Eps)
//
// g is left untouched.
func AdamWStep[T Float](p AdamW, w, m, v, g []T) {
	n := len(w)
	scalarsOf[T](p).update(w, m[:n:len(m)], v[:n:len(v)], g[:n:len(g)])
}

func (s adamScalars[T]) update(w, m, v, g []T) {
	if isFloat32[T]() {
		vecAdamW(f32(w), f32(m), f32(v), f32(g), float32(s.gradScale), float32(s.decay), float32(s.oneMinusBeta1), float32(s.beta2),
			float32(s.oneMinusBeta2), float32(s.rootScale), float32(s.eps), float32(s.step))
		return
	}
	goAdamW(w, m, v, g, s.gradScale, s.decay, s.oneMinusBeta1, s.beta2, s.oneMinusBeta2, s.rootScale, s.eps, s.step)
}

func goAdamW[T Float](w, m, v, g []T, gradScale, decay, oneMinusBeta1, beta2, oneMinusBeta2, rootScale, eps, step T) {
	n := len(w)
	m, v, g = m[:n], v[:n], g[:n]
	for i := range w {
		d := g[i] * gradScale
		mi := m[i] + oneMinusBeta1*(d-m[i])
		vi := beta2*v[i] + oneMinusBeta2*(d*d)
		m[i], v[i] = mi, vi
		w[i] = w[i]*decay - step*(mi/(T(math.Sqrt(float64(vi)))*rootScale+eps))
	}
}
