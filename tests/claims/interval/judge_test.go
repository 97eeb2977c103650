package interval

import (
	"math"
	"testing"
)

// By hand: 1, 2, 3 have the standard error 1/sqrt(3), and t of two degrees of freedom is 4.3027.
func TestMeanHasItsInterval(t *testing.T) {
	mean, half := Mean([]float64{1, 2, 3})
	if mean != 2 || math.Abs(half-4.302653/math.Sqrt(3)) > 1e-5 {
		t.Errorf("%g +- %g", mean, half)
	}
	if _, half := Mean([]float64{5}); !math.IsInf(half, 1) && !math.IsNaN(half) {
		t.Errorf("one seed is known to %g", half)
	}
}

func TestJudgeWantsTheWholeInterval(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{{1, 2, "holds"}, {0.9, 2, "inconclusive"}, {0, 1, "inconclusive"}, {0, 0.9, "fails"}, {math.NaN(), math.NaN(), "inconclusive"}} {
		if got := Judge(c.low, c.high, 1); got != c.want {
			t.Errorf("[%g, %g] %s, want %s", c.low, c.high, got, c.want)
		}
	}
}
