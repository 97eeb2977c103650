package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"unicode/utf8"
)

// Colours of charts, apart also for those who do not see all of them.
const (
	colorMain   = "#1f6feb"
	colorSecond = "#d1560f"
	colorThird  = "#1a7f37"
	colorQuiet  = "#9aa4af"
)

// chart is a small line chart as SVG.
type chart struct {
	width, height  int
	legend         int // room for names of series, at the right; 0: none has one
	xLabel, yLabel string
	xMin, xMax     float64
	yMax           float64 // 0: of the series
	logY           bool
	mark           float64 // a vertical line at that x; 0: none
	series         []series
}

type series struct {
	name, color string
	x, y        []float64
	points      bool // in place of a line
}

const (
	axisTitle = 20 // room of the y axis's name, which stands upright
	glyph     = 7  // room of a digit
)

// svg draws the chart. What lies above its top is cut there.
func (c chart) svg() template.HTML {
	low, high := c.span()
	const top, bottom = 10, 34
	right := 12 + c.legend
	marks, left := c.marks(low, high), 58
	for _, m := range marks {
		left = max(left, axisTitle+6+glyph*utf8.RuneCountInString(m.text))
	}
	w, h := float64(c.width-left-right), float64(c.height-top-bottom)
	px := func(x float64) float64 { return float64(left) + w*(x-c.xMin)/(c.xMax-c.xMin) }
	scale := func(y float64) float64 {
		if c.logY {
			return math.Log10(y)
		}
		return y
	}
	py := func(y float64) float64 {
		return top + h*(1-(math.Min(scale(y), high)-low)/(high-low))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s over %s">`, c.width, c.height, c.width, c.height,
		template.HTMLEscapeString(c.yLabel), template.HTMLEscapeString(c.xLabel))
	for _, m := range marks {
		at := top + h*(1-(m.y-low)/(high-low))
		fmt.Fprintf(&b, `<line x1="%d" x2="%.1f" y1="%.1f" y2="%.1f" class="g"/><text x="%d" y="%.1f" class="r">%s</text>`, left, float64(left)+w, at, at, left-6, at+4, m.text)
	}
	for _, x := range steps(c.xMin, c.xMax, max(4, c.width/100)) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" class="m">%.4g</text>`, px(x), top+h+14, x)
	}
	fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="m">%s</text><text transform="translate(11 %.1f) rotate(-90)" class="m">%s</text>`,
		float64(left)+w/2, c.height-4, template.HTMLEscapeString(c.xLabel), top+h/2, template.HTMLEscapeString(c.yLabel))
	if c.mark > 0 {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%.1f" stroke="%s" stroke-dasharray="4 3"/>`, px(c.mark), px(c.mark), top, top+h, colorSecond)
	}
	legend := 0
	for _, s := range c.series {
		var path strings.Builder
		for i := range s.x {
			if s.points {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4.5" fill="%s" stroke="#fff"/>`, px(s.x[i]), py(s.y[i]), s.color)
				continue
			}
			c.draw(&path, s, i, px, py)
		}
		if path.Len() > 0 {
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.6"/>`, path.String(), s.color)
		}
		if s.name != "" {
			y := top + 10 + 20*legend
			legend++
			if s.points {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%d" r="4.5" fill="%s"/>`, float64(c.width-c.legend)+8, y, s.color)
			} else {
				fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-width="2"/>`, float64(c.width-c.legend), float64(c.width-c.legend)+16, y, y, s.color)
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`, float64(c.width-c.legend)+24, y+4, template.HTMLEscapeString(s.name))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // of numbers and escaped labels
}

// draw adds point i of a line to its path. A line leaves the chart where it crosses the top and comes back there.
func (c chart) draw(path *strings.Builder, s series, i int, px, py func(float64) float64) {
	over := func(i int) bool { return c.yMax > 0 && s.y[i] > c.yMax }
	verb := "L"
	if i == 0 {
		verb = "M"
	} else if over(i) != over(i-1) {
		share := (c.yMax - s.y[i-1]) / (s.y[i] - s.y[i-1])
		if over(i - 1) {
			verb = "M"
		}
		fmt.Fprintf(path, "%s%.1f %.1f", verb, px(s.x[i-1]+share*(s.x[i]-s.x[i-1])), py(c.yMax))
		verb = "L"
	}
	if !over(i) {
		fmt.Fprintf(path, "%s%.1f %.1f", verb, px(s.x[i]), py(s.y[i]))
	}
}

// span is the span of the y axis, of logarithms if it is logarithmic.
func (c chart) span() (low, high float64) {
	low, high = 0, c.yMax
	if c.logY {
		low, high = math.Inf(1), math.Inf(-1)
	}
	for _, s := range c.series {
		for _, y := range s.y {
			switch {
			case c.logY:
				low, high = min(low, math.Log10(y)), max(high, math.Log10(y))
			case c.yMax == 0:
				high = max(high, y)
				low = min(low, y)
			default:
				low = min(low, y)
			}
		}
	}
	if !(high > low) || math.IsInf(low, 0) || math.IsInf(high, 0) {
		return 0, 1
	}
	return low, high
}

// ticks are round places on the y axis, or of a logarithmic one places at equal distances.
func (c chart) ticks(low, high float64) []float64 {
	if c.logY {
		return []float64{low, (low + high) / 2, high}
	}
	return steps(low, high, max(4, c.height/50))
}

// tick is a place on the y axis with its number.
type tick struct {
	y    float64
	text string
}

func (c chart) marks(low, high float64) (all []tick) {
	for _, y := range c.ticks(low, high) {
		shown := y
		if c.logY {
			shown = math.Pow(10, y)
		}
		all = append(all, tick{y, fmt.Sprintf("%.3g", shown)})
	}
	return all
}

// steps are round numbers from low to high, about n of them.
func steps(low, high float64, n int) []float64 {
	raw := (high - low) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if f*unit >= raw {
			unit *= f
			break
		}
	}
	var out []float64
	for k := int(math.Ceil(low/unit - 1e-9)); float64(k)*unit <= high+1e-9*unit; k++ {
		out = append(out, float64(k)*unit)
	}
	return out
}
