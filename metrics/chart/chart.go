package chart

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Chart is a picture of lines or points over two axes.
type Chart struct {
	Title, XLabel, YLabel string
	LogX, LogY            bool
	XTicks                []float64 // nil: round numbers
	Lines                 []Line
	Notes                 []string // below the legend
}

// Line is a row of points. Those of equal Look are alike but for their dashes.
type Line struct {
	Name   string // in the legend; "": not there
	X, Y   []float64
	Errors []float64 // lengths of the bars above and below; nil: none
	Hollow []bool    // marks that are not filled; nil: all are
	Look   int       // colour and mark
	Dash   int       // 0: a whole line; None: no line
	Pale   bool      // small pale marks without a line, not in the legend
}

const (
	// None in place of a [Line]'s dash: marks alone.
	None = -1
	// Ink is the look of what lines are held against: a black cross.
	Ink = -1
)

const (
	width, height            = 860, 440
	left, right, top, bottom = 76, 270, 34, 52
	lineHigh                 = 21 // of a legend
	titleWide                = 84 // letters of a line of the title
	legendWide               = 27 // letters of a line of the legend
)

// Five colours, of Okabe and Ito (2008), which the colour-blind tell apart, and six marks make thirty looks.
var (
	colors = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a6761d"}
	marks  = []string{"circle", "square", "up", "down", "diamond", "plus"}
	dashes = []string{"", "7 4", "2 3", "9 3 2 3"}
)

// ink is the colour of letters, and of [Ink].
const ink = "#1f2328"

func (l Line) color() string {
	if l.Look == Ink {
		return ink
	}
	return colors[l.Look%len(colors)]
}

func (l Line) shape() string {
	if l.Look == Ink {
		return "cross"
	}
	return marks[l.Look%len(marks)]
}

// Write writes the picture; without a point it has an empty frame. Equal charts give equal bytes.
func (c Chart) Write(w io.Writer) error {
	var xs, ys []float64
	for _, l := range c.Lines {
		xs = append(xs, l.X...)
		for i, y := range l.Y {
			ys = append(ys, y)
			if l.Errors != nil {
				ys = append(ys, y-l.Errors[i], y+l.Errors[i])
			}
		}
	}
	title := wrap(c.Title, titleWide)
	head := top + 20*(len(title)-1)
	px, py := newScale(xs, c.LogX, left, width-right), newScale(ys, c.LogY, height-bottom, float64(head+12))
	var b bytes.Buffer
	open(&b, height, title)
	ticks := py.ticks()
	for i, text := range labels(ticks) {
		y := py.at(ticks[i])
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e3e6ea"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, left, width-right, y, y, left-8, y+4, text)
	}
	ticks = px.ticks()
	names := labels(ticks)
	if c.XTicks != nil {
		ticks, names = c.XTicks, nil
		for _, x := range ticks {
			names = append(names, strconv.FormatFloat(x, 'g', -1, 64))
		}
	}
	for i, text := range names {
		x := px.at(ticks[i])
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#e3e6ea"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x, x, head+12, height-bottom, x, height-bottom+18, text)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, left+(width-left-right)/2, height-12, html.EscapeString(c.XLabel))
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`, (head+12+height-bottom)/2, html.EscapeString(c.YLabel))
	for _, pale := range []bool{true, false} { // what is pale lies below
		for _, l := range c.Lines {
			if l.Pale == pale {
				l.draw(&b, px, py)
			}
		}
	}
	c.legend(&b, head+18)
	b.WriteString("</svg>\n")
	_, err := b.WriteTo(w)
	return err
}

// open begins a picture with its title.
func open(b *bytes.Buffer, high int, title []string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica,Arial,sans-serif" font-size="12" fill="`+ink+`"><rect width="%d" height="%d" fill="#fff"/>`,
		width, high, width, high, width, high)
	for i, line := range title {
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="15" font-weight="bold">%s</text>`, 20, 24+20*i, html.EscapeString(line))
	}
}

// dash is the attribute of its line.
func (l Line) dash() string {
	if d := dashes[max(0, l.Dash)%len(dashes)]; d != "" {
		return ` stroke-dasharray="` + d + `"`
	}
	return ""
}

func (l Line) draw(b *bytes.Buffer, px, py scale) {
	if l.Pale {
		for i := range l.X {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.4" fill="%s" fill-opacity="0.4"/>`, px.at(l.X[i]), py.at(l.Y[i]), l.color())
		}
		return
	}
	if l.Dash != None && len(l.X) > 1 {
		var path strings.Builder
		for i := range l.X {
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], px.at(l.X[i]), py.at(l.Y[i]))
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8"%s/>`, path.String(), l.color(), l.dash())
	}
	for i := range l.X {
		x, y := px.at(l.X[i]), py.at(l.Y[i])
		if l.Errors != nil && l.Errors[i] > 0 {
			fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1fm-4 0h8M%.1f %.1fh8" fill="none" stroke="%s" stroke-width="1.4"/>`, x, py.at(l.Y[i]-l.Errors[i]), py.at(l.Y[i]+l.Errors[i]), x-4, py.at(l.Y[i]-l.Errors[i]), l.color())
		}
		l.mark(b, x, y, l.Hollow != nil && l.Hollow[i])
	}
}

// mark draws a point.
func (l Line) mark(b *bytes.Buffer, x, y float64, hollow bool) {
	fill := l.color()
	if hollow {
		fill = "#fff"
	}
	shape := map[string]string{
		"square": "m-4.2 -4.2h8.4v8.4h-8.4z", "up": "m0 -5.4l5.4 9.4h-10.8z", "down": "m0 5.4l5.4 -9.4h-10.8z", "diamond": "m0 -5.8l5.8 5.8l-5.8 5.8l-5.8 -5.8z",
		"cross": "m-4 -4l8 8m0 -8l-8 8", "plus": "m-5 0h10m-5 -5v10",
	}[l.shape()]
	if shape == "" {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4.4" fill="%s" stroke="%s" stroke-width="1.5"/>`, x, y, fill, l.color())
		return
	}
	fmt.Fprintf(b, `<path d="M%.1f %.1f%s" fill="%s" stroke="%s" stroke-width="1.5"/>`, x, y, shape, fill, l.color())
}

// legend stands at the right, beside the picture.
func (c Chart) legend(b *bytes.Buffer, y int) {
	const at, text = width - right + 16, width - right + 58
	high := lineHigh
	lines := 0
	for _, l := range c.Lines {
		if l.Name != "" && !l.Pale {
			lines += len(wrap(l.Name, legendWide))
		}
	}
	if lines += len(c.Notes); lines > 0 {
		high = min(high, (height-y-6)/lines)
	}
	for _, l := range c.Lines {
		if l.Name == "" || l.Pale {
			continue
		}
		if l.Dash != None {
			fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="1.8"%s/>`, at, at+34, y, y, l.color(), l.dash())
		}
		l.mark(b, at+17, float64(y), false)
		for _, part := range wrap(l.Name, legendWide) {
			fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`, text, y+4, html.EscapeString(part))
			y += high
		}
	}
	for _, note := range c.Notes {
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="#57606a">%s</text>`, at, y+6, html.EscapeString(note))
		y += high
	}
}

// Bars is a picture of one bar a name.
type Bars struct {
	Title, XLabel string
	Names         []string
	Values        []float64 // not below 0
	Format        string    // of a value at the end of its bar
}

// Write writes the picture.
func (c Bars) Write(w io.Writer) error {
	if len(c.Values) == 0 {
		return fmt.Errorf("chart: %q has no bar, there is nothing to draw", c.Title)
	}
	const row, names, end = 40, 270, 70
	title := wrap(c.Title, titleWide)
	head := top + 20*(len(title)-1) + 10
	high := head + row*len(c.Values) + bottom
	most := max(slices.Max(c.Values), 1e-12)
	px := func(x float64) float64 { return names + x/most*(width-names-end) }
	var b bytes.Buffer
	open(&b, high, title)
	ticks := Ticks(0, most)
	for i, text := range labels(ticks) {
		x := px(ticks[i])
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#e3e6ea"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x, x, head, high-bottom, x, high-bottom+18, text)
	}
	for i, x := range c.Values {
		y := head + row*i
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text>`, names, y+8, px(x)-names, row-16, colors[0], px(x)+6, y+row/2+4, fmt.Sprintf(c.Format, x))
		parts := wrap(c.Names[i], 38)
		for j, part := range parts {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, names-10, y+row/2+4+14*j-7*(len(parts)-1), html.EscapeString(part))
		}
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text></svg>`+"\n", names+(width-names-end)/2, high-12, html.EscapeString(c.XLabel))
	_, err := b.WriteTo(w)
	return err
}

// wrap breaks a text between words into lines of at most that many letters.
func wrap(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && utf8.RuneCountInString(lines[n-1])+1+utf8.RuneCountInString(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
