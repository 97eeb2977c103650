package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	figureWidth  = 7.2 * vg.Inch
	figureHeight = 4.2 * vg.Inch
	titleWidth   = 76 // letters of a line of the title
)

var (
	markColor = color.NRGBA{R: 0x1b, G: 0x66, B: 0xae, A: 0xff}
	seedColor = color.NRGBA{R: 0x8f, G: 0xb8, B: 0xdd, A: 0xff}
	gridColor = color.NRGBA{R: 0xe6, G: 0xe6, B: 0xe6, A: 0xff}
	inkColor  = color.NRGBA{R: 0x26, G: 0x26, B: 0x26, A: 0xff}
)

// figure draws what the claim is about: the costs of a sweep over its sizes; the
// losses of compressed networks over their bytes;
// accuracy of classifiers over the parameters of their attention, of those of
// images on spoilt ones over that on clean ones; loss over
// the cache if an expectation is of that, over parameters if one is of the loss;
// else a bar of peak memory for each arm.
func (o *outcome) figure() ([]byte, error) {
	p := newFigure(o.claim.Title)
	expects := func(f func(Expect) bool) bool { return slices.ContainsFunc(o.claim.Expect, f) }
	var err error
	if o.claim.Sweep != nil {
		err = o.drawSweep(p)
	} else if o.claim.Compress != nil {
		err = o.drawFrontiers(p)
	} else if o.claim.seesImages() {
		p.X.Label.Text, p.Y.Label.Text = "test accuracy", "accuracy on spoilt test images"
		err = o.drawMeans(p, "corruption_accuracy", "accuracy")
	} else if o.claim.classifies() {
		p.X.Label.Text, p.Y.Label.Text = "parameters of the attention", "test accuracy"
		err = o.drawMeans(p, "accuracy", "attention_parameters")
	} else if expects(func(e Expect) bool { return e.Of == "cache_bytes" }) {
		p.X.Label.Text, p.Y.Label.Text = "cache (bytes a token)", "validation loss (nats)"
		err = o.drawMeans(p, "loss", "cache_bytes")
	} else if expects(func(e Expect) bool { return !metrics[e.Of].exact }) {
		p.X.Label.Text, p.Y.Label.Text = "parameters", "validation loss (nats)"
		err = o.drawMeans(p, "loss", "parameters")
	} else {
		err = o.drawMemory(p)
	}
	if err != nil {
		return nil, err
	}
	canvas := vgsvg.New(figureWidth, figureHeight)
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(6), -vg.Points(14), vg.Points(6), -vg.Points(6)))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif")), nil
}

func sans(size float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
}

func newFigure(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.Padding = strings.Join(wrap(title, titleWidth), "\n"), vg.Points(8)
	p.Title.TextStyle.Font, p.Title.TextStyle.Color = sans(13), inkColor
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = sans(11), inkColor
		axis.Tick.Label.Font, axis.Tick.Label.Color = sans(10), inkColor
		axis.Padding = vg.Points(4)
	}
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: gridColor, Width: vg.Points(0.7)}
	grid.Vertical = grid.Horizontal
	p.Add(grid)
	return p
}

// drawMeans marks each arm's mean of a metric with its standard error, and its
// seeds, over another metric.
func (o *outcome) drawMeans(p *plot.Plot, metric, over string) error {
	p.X.Tick.Marker = plot.TickerFunc(shortTicks)
	var seeds, means plotter.XYs
	var errors plotter.YErrors
	var labels []string
	for _, a := range o.arms {
		mean, spread, ok := a.mean(metric)
		if !ok {
			continue // the table tells of it
		}
		x, _, _ := a.mean(over)
		for _, r := range a.Runs {
			seeds = append(seeds, plotter.XY{X: metrics[over].value(r), Y: metrics[metric].value(r)})
		}
		if math.IsNaN(spread) {
			spread = 0 // one seed
		}
		means = append(means, plotter.XY{X: x, Y: mean})
		errors = append(errors, struct{ Low, High float64 }{spread, spread})
		labels = append(labels, a.Label)
	}
	if len(means) == 0 {
		return nil
	}
	p.Add(&plotter.Scatter{XYs: seeds, GlyphStyle: draw.GlyphStyle{Color: seedColor, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}})
	bars, err := plotter.NewYErrorBars(struct {
		plotter.XYs
		plotter.YErrors
	}{means, errors})
	if err != nil {
		return err
	}
	bars.LineStyle = draw.LineStyle{Color: markColor, Width: vg.Points(1.2)}
	p.Add(bars, &plotter.Scatter{XYs: means, GlyphStyle: draw.GlyphStyle{Color: markColor, Radius: vg.Points(3.4), Shape: draw.CircleGlyph{}}})
	return addLabels(p, means, labels)
}

// addLabels writes beside each point what it is, on the side of the middle so that no label leaves the figure, and above
// another label that would lie under it.
func addLabels(p *plot.Plot, points plotter.XYs, labels []string) error {
	width, middle := spanX(points)
	line := (p.Y.Max - p.Y.Min) / 20 // the height of a label
	order := make([]int, len(points))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(points[i].Y, points[j].Y) })
	var placed plotter.XYs
	for _, i := range order {
		at := points[i]
		for _, other := range placed { // in ascending order
			if math.Abs(at.X-other.X) <= width/3 && at.Y < other.Y+line {
				at.Y = max(at.Y, other.Y+line)
			}
		}
		placed = append(placed, at)
		text, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{at}, Labels: labels[i : i+1]})
		if err != nil {
			return err
		}
		style := &text.TextStyle[0]
		style.Font, style.Color, style.YAlign = sans(10), inkColor, draw.YCenter
		text.Offset.X = vg.Points(8)
		if at.X > middle {
			style.XAlign, text.Offset.X = draw.XRight, -text.Offset.X
		}
		p.Add(text)
	}
	return nil
}

// spanX is the width of the points and their middle.
func spanX(points plotter.XYs) (width, middle float64) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		low, high = min(low, p.X), max(high, p.X)
	}
	return high - low, (low + high) / 2
}

// drawMemory draws a bar for each arm.
func (o *outcome) drawMemory(p *plot.Plot) error {
	p.X.Label.Text = "peak resident memory of the training process (MB)"
	var values plotter.Values
	var names []string
	points := plotter.XYLabels{}
	for i := len(o.arms) - 1; i >= 0; i-- { // the first on top
		a := o.arms[i]
		mb := float64(a.peakMemory()) / 1e6
		points.XYs = append(points.XYs, plotter.XY{X: mb, Y: float64(len(values))})
		points.Labels = append(points.Labels, fmt.Sprintf("  %.0f", mb))
		values, names = append(values, mb), append(names, a.Label)
	}
	bars, err := plotter.NewBarChart(values, vg.Points(22))
	if err != nil {
		return err
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, markColor, 0
	text, err := plotter.NewLabels(points)
	if err != nil {
		return err
	}
	for i := range text.TextStyle {
		text.TextStyle[i].Font, text.TextStyle[i].Color, text.TextStyle[i].YAlign = sans(10), inkColor, draw.YCenter
	}
	p.Add(bars, text)
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, 1.15*max(1, slices.Max(values))
	return nil
}

// shortTicks are the usual ticks of an axis with counts in short, of as many digits as tell them apart.
func shortTicks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for digits, alike := 3, true; alike && digits < 8; digits++ {
		alike = false
		seen := map[string]bool{}
		for i := range ticks {
			if ticks[i].Label == "" {
				continue // a minor one
			}
			ticks[i].Label = shortCount(ticks[i].Value, digits)
			alike = alike || seen[ticks[i].Label]
			seen[ticks[i].Label] = true
		}
	}
	return ticks
}

// shortCount writes a number in that many digits: 450k, 1.05M.
func shortCount(x float64, digits int) string {
	switch {
	case x >= 1e6:
		return strconv.FormatFloat(x/1e6, 'g', digits, 64) + "M"
	case x >= 1e3:
		return strconv.FormatFloat(x/1e3, 'g', digits, 64) + "k"
	}
	return strconv.FormatFloat(x, 'g', digits, 64)
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
