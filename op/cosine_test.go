package op

import (
	"math"
	"testing"

	"gorgonia.org/tensor"
)

// TestPairWithoutDirection: a pair one of whose rows is 0 has the cosine 0 and no gradient; others are as they would be alone.
func TestPairWithoutDirection(t *testing.T) {
	s := pairCosinesOf("pair cosines", 3, 4)
	clear(s.floats["x"].data[2*4 : 3*4]) // the first row of the second pair
	got := s.compile(t, tensor.Float64).result(t)
	want := naivePairCosines(s)
	if math.Abs(got.y[0]-want[0]) > forwardTol || got.y[1] != 0 || math.Abs(got.y[2]-want[2]) > forwardTol {
		t.Errorf("cosines %v, want %v with 0 in the middle", got.y, want)
	}
	for i, g := range got.grads["x"] {
		if zero := i >= 2*4 && i < 4*4; (g == 0) != zero {
			t.Errorf("gradient %d is %v", i, g)
		}
	}
}
