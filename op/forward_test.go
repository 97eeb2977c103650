package op

import (
	"math"
	"testing"

	"gorgonia.org/tensor"
)

// forwardTol is float64 rounding over sums of at most a few hundred terms, and
// the error of polynomial exponentials.
const forwardTol = 1e-12

// TestForward compares every operator but attention with a loop written from its
// equation.
func TestForward(t *testing.T) {
	for _, tc := range []struct {
		s    subject
		want func(s subject) []float64
	}{
		{linearOf("linear", 7, 5, 3, false), naiveLinear},
		{linearOf("linear with bias", 67, 5, 3, true), naiveLinear},
		{expandOf("expand", 67, 5, 3), naiveExpand},
		{normOf("rms norm", 5, 7, false), naiveRMSNorm},
		{normOf("layer norm", 5, 7, true), naiveLayerNorm},
		{activationOf("silu", 5, 7), pointwise(func(x float64) float64 { return x / (1 + math.Exp(-x)) })},
		{activationOf("gelu", 5, 7), pointwise(func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) })},
		{activationOf("gelu_tanh", 5, 7), pointwise(func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		})},
		{activationOf("relu", 5, 7), pointwise(func(x float64) float64 { return max(x, 0) })},
		{activationOf("tanh", 5, 7), pointwise(math.Tanh)},
		{activationOf("sigmoid", 5, 7), pointwise(func(x float64) float64 { return 1 / (1 + math.Exp(-x)) })},
		{swiGLUOf("swiglu", 5, 7), naiveSwiGLU},
		{addOf("add", 5, 7), naiveAdd},
		{embeddingOf("embedding", 9, 4, 3), naiveEmbedding},
		{rowsOf("rows", 9, 4, 3), naiveRows},
		{crossEntropyOf("cross entropy", 9, 5), naiveCrossEntropy},
		{squaredErrorOf("squared error", 9), naiveSquaredError},
		{pairCosinesOf("pair cosines", 3, 5), naivePairCosines},
		{rotaryOf("rotary", 9, 2, 6), naiveRotary},
		{bagOf("bag", 7, 3, 5, 4), func(s subject) []float64 { return naiveBag(s, 7, 3, 4) }},
		{dotsOf("dots", 5, 3, 4), naiveDots},
		{scaleRowsOf("scale rows", 5, 3), naiveScaleRows},
		{infoNCEOf("info nce", 7, 4), naiveInfoNCE},
		{rankingOf("bpr", 70, 4), naiveRanking("bpr")},
		{rankingOf("nbpo_s", 70, 4), naiveRanking("nbpo_s")},
	} {
		t.Run(tc.s.name, func(t *testing.T) {
			same(t, tc.s.name, tc.s.compile(t, tensor.Float64).result(t).y, tc.want(tc.s), forwardTol)
		})
	}
}

func naiveLinear(s subject) []float64 {
	x, w := s.floats["x"], s.floats["w"]
	n, in, out := x.shape[0], x.shape[1], w.shape[0]
	y := make([]float64, n*out)
	for i := range n {
		for o := range out {
			for j := range in {
				y[i*out+o] += x.data[i*in+j] * w.data[o*in+j]
			}
			if b, ok := s.floats["b"]; ok {
				y[i*out+o] += b.data[o]
			}
		}
	}
	return y
}

func naiveExpand(s subject) []float64 {
	x, w := s.floats["x"], s.floats["w"]
	n, in, out := x.shape[0], x.shape[1], w.shape[1]
	y := make([]float64, n*out)
	for i := range n {
		for o := range out {
			for j := range in {
				y[i*out+o] += x.data[i*in+j] * w.data[j*out+o]
			}
		}
	}
	return y
}

func naiveRMSNorm(s subject) []float64 {
	x, w := s.floats["x"], s.floats["w"].data
	n, d := x.shape[0], x.shape[1]
	y := make([]float64, n*d)
	for i := range n {
		var squares float64
		for j := range d {
			squares += x.data[i*d+j] * x.data[i*d+j]
		}
		for j := range d {
			y[i*d+j] = x.data[i*d+j] / math.Sqrt(squares/float64(d)+1e-5) * w[j]
		}
	}
	return y
}

func naiveLayerNorm(s subject) []float64 {
	x, w, b := s.floats["x"], s.floats["w"].data, s.floats["b"].data
	n, d := x.shape[0], x.shape[1]
	y := make([]float64, n*d)
	for i := range n {
		var mean, variance float64
		for j := range d {
			mean += x.data[i*d+j] / float64(d)
		}
		for j := range d {
			variance += (x.data[i*d+j] - mean) * (x.data[i*d+j] - mean) / float64(d)
		}
		for j := range d {
			y[i*d+j] = (x.data[i*d+j]-mean)/math.Sqrt(variance+1e-5)*w[j] + b[j]
		}
	}
	return y
}

func pointwise(f func(float64) float64) func(subject) []float64 {
	return func(s subject) []float64 {
		var y []float64
		for _, x := range s.floats["x"].data {
			y = append(y, f(x))
		}
		return y
	}
}

func naiveSwiGLU(s subject) []float64 {
	var y []float64
	for i, gate := range s.floats["gate"].data {
		y = append(y, gate/(1+math.Exp(-gate))*s.floats["up"].data[i])
	}
	return y
}

func naiveAdd(s subject) []float64 {
	var y []float64
	for i, a := range s.floats["a"].data {
		y = append(y, a+s.floats["b"].data[i])
	}
	return y
}

func naiveEmbedding(s subject) []float64 {
	var y []float64
	w := s.floats["w"]
	d := w.shape[1]
	for _, id := range s.ints["ids"] {
		y = append(y, w.data[id*d:(id+1)*d]...)
	}
	return y
}

func naiveRows(s subject) []float64 {
	var y []float64
	x := s.floats["x"]
	d := x.shape[1]
	for _, row := range s.ints["index"] {
		y = append(y, x.data[row*d:(row+1)*d]...)
	}
	return y
}

func naiveSquaredError(s subject) []float64 {
	x := s.floats["x"].data
	y, loss := truth(len(x)).data, 0.0
	for i, mark := range s.ints["marks"] {
		if mark != Ignored {
			loss += (x[i] - y[i]) * (x[i] - y[i])
		}
	}
	return []float64{loss}
}

func naivePairCosines(s subject) []float64 {
	x := s.floats["x"]
	var y []float64
	for row := 0; row < x.shape[0]; row += 2 {
		var dot, first, second float64
		for j := range x.shape[1] {
			a, b := x.data[row*x.shape[1]+j], x.data[(row+1)*x.shape[1]+j]
			dot, first, second = dot+a*b, first+a*a, second+b*b
		}
		y = append(y, dot/math.Sqrt(first*second))
	}
	return y
}

func naiveCrossEntropy(s subject) []float64 {
	x := s.floats["logits"]
	vocab := x.shape[1]
	var loss float64
	for i, target := range s.ints["targets"] {
		if target == Ignored {
			continue
		}
		var sum float64
		for _, logit := range x.data[i*vocab : (i+1)*vocab] {
			sum += math.Exp(logit)
		}
		loss -= math.Log(math.Exp(x.data[i*vocab+target]) / sum)
	}
	return []float64{loss}
}

func naiveRotary(s subject) []float64 {
	const k = 6
	x := s.floats["x"]
	y := make([]float64, len(x.data))
	for i := range x.data {
		row, j := i/x.shape[1], i%k
		pair, sign := i+k/2, -1.0
		if j >= k/2 {
			pair, sign = i-k/2, 1.0
		}
		angle := float64(s.ints["positions"][row]) * math.Pow(10000, -2*float64(j%(k/2))/k)
		y[i] = x.data[i]*math.Cos(angle) + sign*x.data[pair]*math.Sin(angle)
	}
	return y
}
