package sweep

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// look is how a line of the picture is drawn: apart for those who do not see colours, too.
type look struct{ color, dash, mark string }

var looks = []look{
	{"#1f6feb", "", "circle"}, {"#d1560f", "6 3", "square"}, {"#1a7f37", "2 3", "up"}, {"#8250df", "8 3 2 3", "down"}, {"#bf3989", "4 2", "diamond"}, {"#57606a", "1 2", "circle"},
}

// WriteFrontier draws a sweep of compressions to an SVG: the loss over the size of the model, a line for each value of the first axis, and
// the parent. Points that no other beats in both are filled, the rest hollow.
func (r *Report) WriteFrontier(w io.Writer) error {
	const width, height, left, right, top, bottom = 760, 430, 74, 190, 46, 54
	type point struct {
		x, y float64
		row  int
	}
	lines := map[string][]point{}
	var names []string
	xs, ys := []float64{}, []float64{}
	var parent *point
	for i, row := range r.Rows {
		x, _, n := row.mean(megabytes)
		y, _, m := row.mean(r.Columns[0])
		if n == 0 || m == 0 {
			continue
		}
		name := ""
		if len(row.Cell) > 0 {
			name = row.Cell[0]
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		lines[name] = append(lines[name], point{x, y, i})
		xs, ys = append(xs, x), append(ys, y)
		px, _, k := row.mean(parentMB)
		py, _, l := row.mean(parentLoss)
		if k > 0 && l > 0 && parent == nil {
			parent = &point{px, py, -1}
			xs, ys = append(xs, px), append(ys, py)
		}
	}
	if len(xs) == 0 {
		return fmt.Errorf("sweep: no point has been measured, there is nothing to draw")
	}
	x0, x1 := padded(slices.Min(xs), slices.Max(xs))
	y0, y1 := padded(slices.Min(ys), slices.Max(ys))
	at := func(p point) (float64, float64) {
		return left + (p.x-x0)/(x1-x0)*(width-left-right), top + (y1-p.y)/(y1-y0)*(height-top-bottom)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica,Arial,sans-serif" font-size="12" fill="#1f2328">`, width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="24" font-size="15" font-weight="bold">Loss over size</text>`, width, height, left)
	for _, t := range ticks(y0, y1) {
		_, y := at(point{x0, t, 0})
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e3e6ea"/><text x="%d" y="%.1f" text-anchor="end">%.4g</text>`, left, width-right, y, y, left-8, y+4, t)
	}
	for _, t := range ticks(x0, x1) {
		x, _ := at(point{t, y0, 0})
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#e3e6ea"/><text x="%.1f" y="%d" text-anchor="middle">%.4g</text>`, x, x, top, height-bottom, x, height-bottom+18, t)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">size of the arrays, MB</text>`, left+(width-left-right)/2, height-14)
	fmt.Fprintf(&b, `<text transform="translate(20 %d) rotate(-90)" text-anchor="middle">%s</text>`, top+(height-top-bottom)/2, html.EscapeString(strings.ReplaceAll(r.Columns[0], "_", " ")))
	frontier := r.Frontier()
	for i, name := range names {
		l := looks[i%len(looks)]
		points := lines[name]
		slices.SortStableFunc(points, func(a, b point) int {
			if a.x < b.x {
				return -1
			}
			return 1
		})
		var path strings.Builder
		for j, p := range points {
			x, y := at(p)
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[j == 0], x, y)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8" stroke-dasharray="%s"/>`, path.String(), l.color, l.dash)
		for _, p := range points {
			x, y := at(p)
			fill := "#fff"
			if slices.Contains(frontier, p.row) {
				fill = l.color
			}
			b.WriteString(l.drawn(x, y, fill))
		}
		y := float64(top + 14 + 22*i)
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="1.8" stroke-dasharray="%s"/>%s<text x="%d" y="%.1f">%s</text>`,
			width-right+14, width-right+44, y, y, l.color, l.dash, l.drawn(float64(width-right+29), y, l.color), width-right+52, y+4, html.EscapeString(name))
	}
	y := float64(top + 14 + 22*len(names))
	if parent != nil {
		px, py := at(*parent)
		for _, p := range [][2]float64{{px, py}, {float64(width - right + 29), y}} {
			fmt.Fprintf(&b, `<path d="M%.1f %.1fl12 12m0 -12l-12 12" stroke="#1f2328" stroke-width="2.2"/>`, p[0]-6, p[1]-6)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%.1f">the model itself</text>`, width-right+52, y+4)
		y += 22
	}
	fmt.Fprintf(&b, `<text x="%d" y="%.1f" fill="#57606a">filled: none smaller</text><text x="%d" y="%.1f" fill="#57606a">is as good</text></svg>`, width-right+14, y+6, width-right+14, y+22)
	_, err := b.WriteTo(w)
	return err
}

// drawn is the mark of a point.
func (l look) drawn(x, y float64, fill string) string {
	shape := map[string]string{
		"square": "M%.1f %.1fm-5 -5h10v10h-10z", "up": "M%.1f %.1fm0 -6l6 11h-12z", "down": "M%.1f %.1fm0 6l6 -11h-12z", "diamond": "M%.1f %.1fm0 -6l6 6l-6 6l-6 -6z",
	}[l.mark]
	if shape == "" {
		return fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="5" fill="%s" stroke="%s" stroke-width="1.6"/>`, x, y, fill, l.color)
	}
	return fmt.Sprintf(`<path d="`+shape+`" fill="%s" stroke="%s" stroke-width="1.6"/>`, x, y, fill, l.color)
}

// padded is a range with room around it.
func padded(low, high float64) (float64, float64) {
	room := (high - low) * 0.08
	if room == 0 {
		room = math.Max(math.Abs(low)*0.1, 1e-6)
	}
	return low - room, high + room
}

// ticks are round numbers within a range, about five.
func ticks(low, high float64) (all []float64) {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	for _, f := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*f) <= 6 {
			step *= f
			break
		}
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		all = append(all, i*step)
	}
	return all
}
