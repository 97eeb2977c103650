package interval

import (
	"math"
	"testing"
)

// TestCritical: the table of Student's distribution, two-sided 95%, as statistics books print it.
func TestCritical(t *testing.T) {
	for df, want := range map[int]float64{1: 12.7062, 2: 4.30265, 3: 3.18245, 4: 2.77645, 5: 2.57058, 8: 2.30600, 30: 2.04227, 999: 1.96234} {
		if got := Critical(df); math.Abs(got-want) > 5e-5 {
			t.Errorf("Critical(%d) = %.5f, want %.5f", df, got, want)
		}
	}
	if !math.IsInf(Critical(0), 1) {
		t.Error("one seed has an interval")
	}
}

// TestNeeded: as many seeds as make the half width no more than the margin, and no fewer.
func TestNeeded(t *testing.T) {
	for _, c := range []struct {
		spread float64
		n      int
		margin float64
		want   int
	}{
		{1, 5, 3, 5},       // 2.776
		{1, 5, 2.77, 6},    // 2.571 sqrt(5/6)
		{0.1, 3, -0.45, 3}, // 4.303, a margin on the wrong side
		{1, 3, 1e-9, 0},    // never
		{math.NaN(), 1, 1, 0},
		{0, 3, 0.1, 2},
	} {
		if got := Needed(c.spread, c.n, c.margin); got != c.want {
			t.Errorf("Needed(%g, %d, %g) = %d, want %d", c.spread, c.n, c.margin, got, c.want)
		}
	}
}
