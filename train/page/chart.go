package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"sparrow/metrics"
)

// line is a measurement over the steps.
type line struct {
	name   string
	points [][2]float64 // step and value; values that are no numbers are left out
}

// most is how many points a line is drawn with: one for each two pixels.
const most = 300

// lineOf are the values of a name. Of many, each point is the mean of its stretch, so that a curve of each step can be read.
func lineOf(records []metrics.Record, name string) line {
	l := line{name: strings.ReplaceAll(name, "_", " ")}
	for _, r := range records {
		if x, ok := r.Value(name); ok && !math.IsNaN(x) && math.Abs(x) < 1e30 {
			l.points = append(l.points, [2]float64{float64(r.Step), x})
		}
	}
	if n := len(l.points); n > most {
		var few [][2]float64
		for i := range most {
			from, to := i*n/most, (i+1)*n/most
			var mean [2]float64
			for _, p := range l.points[from:to] {
				mean[0] += p[0] / float64(to-from)
				mean[1] += p[1] / float64(to-from)
			}
			few = append(few, mean)
		}
		l.points = few
	}
	return l
}

var colors = []string{"#1f6feb", "#d1560f", "#1a7f37", "#8250df", "#bf3989", "#57606a"}

// draw draws lines over the same steps. Values that span more than a factor of a hundred, all above 0, have a logarithmic scale.
func draw(lines []line) template.HTML {
	const width, height, left, right, top, bottom = 560, 250, 64, 12, 26, 30
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, p := range l.points {
			x0, x1, y0, y1 = math.Min(x0, p[0]), math.Max(x1, p[0]), math.Min(y0, p[1]), math.Max(y1, p[1])
		}
	}
	scale, back := func(y float64) float64 { return y }, func(y float64) float64 { return y }
	if y0 > 0 && y1/y0 > 100 {
		scale, back = math.Log10, func(y float64) float64 { return math.Pow(10, y) }
	}
	low, high := scale(y0), scale(y1)
	if low == high {
		low, high = low-math.Max(math.Abs(low)*0.1, 1e-9), high+math.Max(math.Abs(high)*0.1, 1e-9)
	}
	if x0 == x1 {
		x1++
	}
	px := func(x float64) float64 { return left + (x-x0)/(x1-x0)*(width-left-right) }
	py := func(y float64) float64 { return top + (high-y)/(high-low)*(height-top-bottom) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, width, height)
	for i := range 5 {
		y := low + (high-low)*float64(i)/4
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e3e6ea"/><text x="%d" y="%.1f" text-anchor="end">%.3g</text>`, left, width-right, py(y), py(y), left-6, py(y)+4, back(y))
		x := x0 + (x1-x0)*float64(i)/4
		anchor := map[int]string{0: "start", 4: "end"}[i]
		if anchor == "" {
			anchor = "middle"
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="%s">%.0f</text>`, px(x), height-10, anchor, x)
	}
	at := left
	for i, l := range lines {
		color := colors[i%len(colors)]
		var path strings.Builder
		for j, p := range l.points {
			verb := "L"
			if j == 0 {
				verb = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", verb, px(p[0]), py(scale(p[1])))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.6"/>`, path.String(), color)
		if len(l.points) <= 40 {
			for _, p := range l.points {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="2.2" fill="%s"/>`, px(p[0]), py(scale(p[1])), color)
			}
		}
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="12" y2="12" stroke="%s" stroke-width="2.4"/><text x="%d" y="16">%s</text>`, at, at+16, color, at+21, template.HTMLEscapeString(l.name))
		at += 34 + 7*len(l.name)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // of numbers and escaped names
}
