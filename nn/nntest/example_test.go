package nntest_test

import (
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/nn"
	"sparrow/nn/nntest"
)

// A test of a layer says how it is used and what it computes.
func ExampleCheck() {
	var t *testing.T // the argument of the test
	const rows, in, out = 4, 3, 2
	nntest.Check(t, nntest.Layer{
		Build: func(b *nn.Builder) *G.Node {
			return nn.NewLinear(b.Sub("fc"), in, out, false, nn.Normal(1)).Forward(nntest.Input(b, "x", rows, in))
		},
		Naive: func(v map[string][]float64) []float64 { // y = x Wᵀ
			var y []float64
			for r := range rows {
				for o := range out {
					var sum float64
					for i := range in {
						sum += v["x"][r*in+i] * v["fc.weight"][o*in+i]
					}
					y = append(y, sum)
				}
			}
			return y
		},
		Shape: []int{rows, out},
	})
}
