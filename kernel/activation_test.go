package kernel

import (
	"math"
	"testing"
)

// The naive definitions, in float64.

func naiveSigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func naiveSiLU(x float64) float64    { return x / (1 + math.Exp(-x)) }
func naiveReLU(x float64) float64    { return math.Max(x, 0) }
func naiveGELU(x float64) float64    { return x * math.Erfc(-x/math.Sqrt2) / 2 }
func naiveGELUTanh(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// activationPairs are the activations whose gradient takes the input.
var activationPairs = []struct {
	name      string
	naive     func(x float64) float64
	forward   func(dst, x []float32)
	grad      func(dx, dy, x []float32)
	grad64    func(dx, dy, x []float64)
	tolerance float64
}{
	{"SiLU", naiveSiLU, SiLU[float32], SiLUGrad[float32], SiLUGrad[float64], 1e-6},
	{"ReLU", naiveReLU, ReLU[float32], ReLUGrad[float32], ReLUGrad[float64], 1e-7},
	{"GELU", naiveGELU, GELU[float32], GELUGrad[float32], GELUGrad[float64], 1e-6},
	{"GELUTanh", naiveGELUTanh, GELUTanh[float32], GELUTanhGrad[float32], GELUTanhGrad[float64], 1.5e-6},
}

// activationKernels is the elementwise table of all activations. The float64 gradients in it are checked against finite
// differences in TestActivationGrad64.
var activationKernels = activationTable()

func activationTable() []elementwise {
	inPlace1, inPlace2 := [][2]int{{0, 0}}, [][2]int{{0, 0}, {0, 1}}
	table := []elementwise{
		{name: "Sigmoid", ins: 1, outs: 1, inPlace: inPlace1, tolerance: 3e-7,
			run:  func(out, in [][]float32) { Sigmoid(out[0], in[0]) },
			want: func(in []float64) []float64 { return []float64{naiveSigmoid(in[0])} }},
		{name: "SigmoidGrad", ins: 2, outs: 1, inPlace: inPlace2, tolerance: 1e-6, finite: true,
			run:  func(out, in [][]float32) { SigmoidGrad(out[0], in[0], in[1]) },
			want: func(in []float64) []float64 { return []float64{in[0] * in[1] * (1 - in[1])} }},
		{name: "Tanh", ins: 1, outs: 1, inPlace: inPlace1, tolerance: 2e-7,
			run:  func(out, in [][]float32) { Tanh(out[0], in[0]) },
			want: func(in []float64) []float64 { return []float64{math.Tanh(in[0])} }},
		{name: "TanhGrad", ins: 2, outs: 1, inPlace: inPlace2, tolerance: 1e-6, finite: true,
			run:  func(out, in [][]float32) { TanhGrad(out[0], in[0], in[1]) },
			want: func(in []float64) []float64 { return []float64{in[0] * (1 - in[1]*in[1])} }},
		{name: "SwiGLU", ins: 2, outs: 1, inPlace: inPlace2, tolerance: 1e-6, finite: true,
			run:  func(out, in [][]float32) { SwiGLU(out[0], in[0], in[1]) },
			want: func(in []float64) []float64 { return []float64{naiveSiLU(in[0]) * in[1]} }},
		{name: "SwiGLUGrad", ins: 3, outs: 2, inPlace: [][2]int{{0, 1}, {1, 2}}, tolerance: 3e-6, finite: true,
			run: func(out, in [][]float32) { SwiGLUGrad(out[0], out[1], in[0], in[1], in[2]) },
			want: func(in []float64) []float64 {
				slope := derivative(naiveSiLU, in[1])
				return []float64{in[0] * in[2] * slope, in[0] * naiveSiLU(in[1])}
			}},
	}
	for _, p := range activationPairs {
		table = append(table,
			elementwise{name: p.name, ins: 1, outs: 1, inPlace: inPlace1, tolerance: p.tolerance,
				run: func(out, in [][]float32) { p.forward(out[0], in[0]) },
				want: func(in []float64) []float64 {
					if math.IsInf(in[0], -1) && p.name == "GELU" {
						return []float64{0} // the limit; the formula gives Inf * 0
					}
					return []float64{p.naive(in[0])}
				}},
			elementwise{name: p.name + "Grad", ins: 2, outs: 1, inPlace: inPlace2, tolerance: p.tolerance, terms: gradientTerms,
				run: func(out, in [][]float32) { p.grad(out[0], in[0], in[1]) },
				want: func(in []float64) []float64 {
					dx := make([]float64, 1)
					p.grad64(dx, in[:1], in[1:])
					return dx
				}})
	}
	return table
}

// derivative is the central difference of f at x; its error is about 1e-10 for the smooth functions here.
func derivative(f func(float64) float64, x float64) float64 {
	const h = 1e-5
	return (f(x+h) - f(x-h)) / (2 * h)
}

func TestActivationGrad64(t *testing.T) {
	const tolerance = 1e-8
	points := []float64{-30, -13, -6, -2.5, -1, -0.3, -1e-3, 1e-3, 0.2, 0.7, 1.9, 4, 12, 40}
	for _, p := range activationPairs {
		t.Run(p.name, func(t *testing.T) {
			for _, x := range points {
				dx := make([]float64, 1)
				p.grad64(dx, []float64{-1.5}, []float64{x})
				if want := -1.5 * derivative(p.naive, x); math.Abs(dx[0]-want) > tolerance {
					t.Errorf("%sGrad(-1.5, %v) = %v, want %v", p.name, x, dx[0], want)
				}
			}
		})
	}
	t.Run("from the output", func(t *testing.T) {
		for _, x := range points {
			dx := make([]float64, 1)
			SigmoidGrad(dx, []float64{2}, []float64{naiveSigmoid(x)})
			if want := 2 * derivative(naiveSigmoid, x); math.Abs(dx[0]-want) > tolerance {
				t.Errorf("SigmoidGrad at %v: got %v, want %v", x, dx[0], want)
			}
			TanhGrad(dx, []float64{2}, []float64{math.Tanh(x)})
			if want := 2 * derivative(math.Tanh, x); math.Abs(dx[0]-want) > tolerance {
				t.Errorf("TanhGrad at %v: got %v, want %v", x, dx[0], want)
			}
		}
	})
	t.Run("SwiGLU", func(t *testing.T) {
		for _, gate := range points {
			dgate, dup := make([]float64, 1), make([]float64, 1)
			SwiGLUGrad(dgate, dup, []float64{2}, []float64{gate}, []float64{-0.7})
			if want := 2 * -0.7 * derivative(naiveSiLU, gate); math.Abs(dgate[0]-want) > tolerance {
				t.Errorf("dgate at %v: got %v, want %v", gate, dgate[0], want)
			}
			if want := 2 * naiveSiLU(gate); math.Abs(dup[0]-want) > tolerance {
				t.Errorf("dup at %v: got %v, want %v", gate, dup[0], want)
			}
		}
	})
}

func TestActivation64(t *testing.T) {
	const tolerance = 1e-14
	x := []float64{-40, -5, -1, -0.1, 0, 0.1, 1, 5, 40}
	y := make([]float64, len(x))
	for _, tc := range []struct {
		name  string
		run   func(dst, x []float64)
		naive func(float64) float64
	}{
		{"Exp", Exp[float64], math.Exp},
		{"Sigmoid", Sigmoid[float64], naiveSigmoid},
		{"Tanh", Tanh[float64], math.Tanh},
		{"SiLU", SiLU[float64], naiveSiLU},
		{"ReLU", ReLU[float64], naiveReLU},
		{"GELU", GELU[float64], naiveGELU},
		{"GELUTanh", GELUTanh[float64], naiveGELUTanh},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.run(y, x)
			for i := range x {
				if want := tc.naive(x[i]); math.Abs(y[i]-want) > tolerance*math.Max(1, math.Abs(want)) {
					t.Errorf("%s(%v) = %v, want %v", tc.name, x[i], y[i], want)
				}
			}
		})
	}
}
