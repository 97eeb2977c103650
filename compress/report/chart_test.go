package report

import (
	"regexp"
	"strconv"
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

// Numbers on the y axis do not run into its name, which stands upright at the left edge.
func TestNumbersStandBesideTheAxisName(t *testing.T) {
	for name, c := range map[string]chart{
		"short": {series: []series{{x: []float64{0, 1}, y: []float64{0, 2}}}},
		"small": {series: []series{{x: []float64{0, 1}, y: []float64{0, 0.0006}}}},
		"log":   {logY: true, series: []series{{x: []float64{0, 1}, y: []float64{2.01, 0.000822}}}},
	} {
		c.width, c.height, c.xMax, c.yLabel = 300, 150, 1, "predicted loss"
		numbers := regexp.MustCompile(`<text x="(\d+)" y="[^"]*" class="r">([^<]*)</text>`).FindAllStringSubmatch(string(c.svg()), -1)
		if len(numbers) < 2 {
			t.Errorf("%s: %d numbers, want some", name, len(numbers))
		}
		for _, n := range numbers {
			right, err := strconv.Atoi(n[1])
			const wide = 6.6 // a digit of 11 px at most
			if begins := float64(right) - wide*float64(len(n[2])); err != nil || begins < 17 {
				t.Errorf("%s: %s begins at %.0f, within the name of the axis", name, n[2], begins)
			}
		}
	}
}
