package compress

import (
	"strings"
	"testing"
)

// A line that lies above the top of a chart is cut where it crosses it, not drawn along it.
func TestLinesAreCutAtTheTop(t *testing.T) {
	c := chart{width: 170, height: 144, xMax: 4, yMax: 1} // 100 by 100 inside, from (58, 10)
	line := func(y ...float64) string {
		c.series = []series{{x: []float64{0, 1, 2, 3, 4}[:len(y)], y: y}}
		_, path, _ := strings.Cut(string(c.svg()), `<path d="`)
		path, _, _ = strings.Cut(path, `"`)
		return path
	}
	for _, want := range []struct {
		y    []float64
		path string
	}{
		{[]float64{0, 1}, "M58.0 110.0L83.0 10.0"},
		{[]float64{9, 3, 0}, "M99.7 10.0L108.0 110.0"},
		{[]float64{0, 2, 3, 0.5}, "M58.0 110.0L70.5 10.0M128.0 10.0L133.0 60.0"},
		{[]float64{2, 3}, ""},
	} {
		if got := line(want.y...); got != want.path {
			t.Errorf("%v is drawn as %q, want %q", want.y, got, want.path)
		}
	}
}
