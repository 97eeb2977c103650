package interchange

import (
	"math"
	"slices"
	"testing"

	"sparrow/attention"
)

// TestScalingOf: the divisors of a scaling give it back, also as float32 and of another base; others give none.
func TestScalingOf(t *testing.T) {
	for _, want := range []attention.RopeScaling{
		{Kind: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, Original: 8192}, {Kind: "llama3", Factor: 32, LowFreq: 1, HighFreq: 4, Original: 8192},
		{Kind: "llama3", Factor: 8, LowFreq: 1, HighFreq: 4, Original: 16},
	} {
		for _, theta := range []float64{10000, 500000} {
			values, err := ropeSource(want, 64, theta).Values()
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := scalingOf(values, 64, theta); !ok || got == nil || *got != want {
				t.Errorf("base %g: %+v, %v; want %+v", theta, got, ok, want)
			}
			values[31] *= 1.001
			if got, ok := scalingOf(values, 64, theta); ok {
				t.Errorf("base %g, of another factor: %+v", theta, got)
			}
		}
	}
	ones := slices.Repeat([]float32{1}, 32)
	if got, ok := scalingOf(ones, 64, 10000); got != nil || !ok {
		t.Errorf("ones are %+v, %v", got, ok)
	}
	for _, bad := range []float32{0.5, 0, float32(math.NaN()), float32(math.Inf(1)), 1e30} {
		ones[3] = bad
		if got, ok := scalingOf(ones, 64, 10000); ok {
			t.Errorf("%g among ones: %+v", bad, got)
		}
	}
}
