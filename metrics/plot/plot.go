package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"sparrow/metrics"
)

const (
	plotWidth  = 7.2 * vg.Inch
	plotHeight = 4.2 * vg.Inch
	// plotBuckets is how many stretches of steps a curve is reduced to: about one a point (1/72 inch) of its width, so
	// that no reduction can be seen.
	plotBuckets = 500
)

var (
	rawColor        = color.NRGBA{R: 0xb5, G: 0xcf, B: 0xe8, A: 0xff}
	smoothColor     = color.NRGBA{R: 0x1b, G: 0x66, B: 0xae, A: 0xff}
	validationColor = color.NRGBA{R: 0xd9, G: 0x5f, B: 0x0e, A: 0xff}
	gridColor       = color.NRGBA{R: 0xe6, G: 0xe6, B: 0xe6, A: 0xff}
	axisColor       = color.NRGBA{R: 0x8a, G: 0x8a, B: 0x8a, A: 0xff}
	inkColor        = color.NRGBA{R: 0x26, G: 0x26, B: 0x26, A: 0xff}
)

// WriteLoss draws the loss of a run to an SVG file: the training loss of each step in a light line, its
// centred moving average over a twenty-fifth of the run in a strong one, and the validation loss as a line with
// points. It reads loss from train records and validation_loss from eval records; a run that measures accuracy has
// its loss in nats an example, any other in nats a token. Losses that are NaN, infinite or beyond 1e30 leave a gap
// and are counted in the legend; rare spikes far above the rest are cut off at the upper edge, and losses that span more than
// a factor of twenty have a logarithmic scale. title stands above; "": what is drawn. Equal records give
// equal bytes. The file is replaced in one step; an error names it.
func WriteLoss(path, title string, records []metrics.Record) error {
	svg, err := lossPlot(title, records)
	if err == nil {
		err = metrics.WriteFile(path, svg)
	}
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}

func lossPlot(title string, records []metrics.Record) ([]byte, error) {
	raw := lossCurve(records, metrics.KindTrain, "loss")
	validation := lossCurve(records, metrics.KindEval, "validation_loss")
	p := newLossPlot(records)
	if title != "" {
		p.Title.Text = title
	}
	p.Y.Min, p.Y.Max = lossRange(raw, validation)
	if low, high := positiveRange(raw.clip(p.Y.Max), validation.clip(p.Y.Max)); low > 0 && high > logFrom*low {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
		p.Y.Min, p.Y.Max = low/1.1, high*1.1
	}
	p.X.Min, p.X.Max = stepRange(raw, validation)
	// Cut before smoothing: one huge spike would swamp the running sums of the average.
	raw = raw.clip(p.Y.Max)
	smooth := raw.smooth(len(raw) / 50)

	name, style := "train", draw.LineStyle{Color: smoothColor, Width: vg.Points(1.8)}
	if smooth != nil {
		name, style = "train, each step", draw.LineStyle{Color: rawColor, Width: vg.Points(0.8)}
	}
	if bad := raw.notDrawn(); bad > 0 {
		name += fmt.Sprintf(" (%s not drawn)", groupDigits(bad))
	}
	addCurve(p, raw.reduce(), style, 0, name)
	if smooth != nil {
		style := draw.LineStyle{Color: smoothColor, Width: vg.Points(1.8)}
		addCurve(p, smooth.reduce(), style, 0, "train, smoothed")
	}
	if best, found := validation.lowest(); found {
		radius := vg.Points(2.6)
		if len(validation) > 60 {
			radius = 0 // the points would hide the line
		}
		style := draw.LineStyle{Color: validationColor, Width: vg.Points(1.6)}
		name := fmt.Sprintf("validation (best %.3f at step %s)", best.Y, groupDigits(int(best.X)))
		addCurve(p, validation.reduce().clip(p.Y.Max), style, radius, name)
	}

	canvas := vgsvg.New(plotWidth, plotHeight)
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(4), -vg.Points(14), vg.Points(4), -vg.Points(6)))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, err
	}
	// Arial and Helvetica have the widths of Liberation Sans, for viewers without it.
	return bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif")), nil
}

// newLossPlot returns the empty frame: title, axes, grid and legend.
func newLossPlot(records []metrics.Record) *plot.Plot {
	sans := func(size vg.Length) font.Font {
		return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	}
	p := plot.New()
	p.Title.Text = "Training and validation loss"
	p.Title.TextStyle.Font, p.Title.TextStyle.Color = sans(vg.Points(13)), inkColor
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text, p.Y.Label.Text = "step", "loss (nats per token)"
	for _, r := range records {
		_, plain := r.Value("accuracy")
		_, validation := r.Value("validation_accuracy")
		if plain || validation {
			p.Y.Label.Text = "loss (nats per example)"
			break
		}
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font, axis.Label.TextStyle.Color = sans(vg.Points(11)), inkColor
		axis.Label.Padding = vg.Points(5)
		axis.Tick.Label.Font, axis.Tick.Label.Color = sans(vg.Points(10)), inkColor
		axis.LineStyle = draw.LineStyle{Color: axisColor, Width: vg.Points(0.8)}
		axis.Tick.LineStyle = axis.LineStyle
		axis.Tick.Length = vg.Points(4)
		axis.Padding = 0
	}
	p.X.Tick.Marker = plot.TickerFunc(stepTicks)
	p.Y.Tick.Marker = plot.TickerFunc(lossTicks)
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: gridColor, Width: vg.Points(0.7)}
	grid.Vertical = grid.Horizontal
	p.Add(grid)
	p.Legend.Top, p.Legend.Left = true, true // names stand behind their lines, so that a wider font runs over none
	p.Legend.TextStyle.Font, p.Legend.TextStyle.Color = sans(vg.Points(10)), inkColor
	p.Legend.ThumbnailWidth = vg.Points(22)
	p.Legend.Padding = vg.Points(3)
	p.Legend.XOffs, p.Legend.YOffs = plotWidth/2-vg.Points(40), -vg.Points(6)
	return p
}

// addCurve adds a curve as one line a stretch without a gap, with a point at each value if radius is above 0. A value alone
// between two gaps has no line and always gets a point.
func addCurve(p *plot.Plot, c curve, style draw.LineStyle, radius vg.Length, name string) {
	dot := draw.GlyphStyle{Color: style.Color, Radius: radius, Shape: draw.CircleGlyph{}}
	legend := []plot.Thumbnailer{&plotter.Line{LineStyle: style}}
	if radius > 0 {
		legend = append(legend, &plotter.Scatter{GlyphStyle: dot})
	}
	for _, stretch := range c.stretches() {
		p.Add(&plotter.Line{XYs: plotter.XYs(stretch), LineStyle: style})
		glyph := dot
		if len(stretch) == 1 {
			glyph.Radius = max(glyph.Radius, style.Width)
		}
		if glyph.Radius > 0 {
			p.Add(&plotter.Scatter{XYs: plotter.XYs(stretch), GlyphStyle: glyph})
		}
	}
	if len(c) > 0 {
		p.Legend.Add(name, legend...)
	}
}

// lossRange spans every loss, but a spike may not squeeze the rest: when the largest training loss lies more than three
// times as high as all but half a percent of them, the range ends above those.
func lossRange(raw, validation curve) (low, high float64) {
	var train, all []float64
	for _, p := range raw {
		if drawable(p.Y) {
			train = append(train, p.Y)
		}
	}
	slices.Sort(train)
	if n := len(train); n > 0 {
		low, most, top := train[0], train[n-1-n/200], train[n-1]
		if top-low > 3*(most-low) && most > low {
			top = low + 1.5*(most-low)
		}
		all = append(all, low, top)
	}
	for _, p := range validation {
		if drawable(p.Y) {
			all = append(all, p.Y)
		}
	}
	if len(all) == 0 {
		return 0, 1
	}
	low, high = slices.Min(all), slices.Max(all)
	margin := 0.04 * (high - low)
	if margin < 1e-9*math.Abs(high) || margin == 0 {
		margin = max(0.05*math.Abs(high), 0.05) // one value, or equal ones
	}
	return low - margin, high + margin
}

// logFrom is the largest loss over the least from which on the scale is logarithmic: what a run that diverged spans.
const logFrom = 20

// positiveRange spans all losses; low is not above 0 where one is not.
func positiveRange(curves ...curve) (low, high float64) {
	low = math.Inf(1)
	for _, c := range curves {
		for _, p := range c {
			if drawable(p.Y) {
				low, high = min(low, p.Y), max(high, p.Y)
			}
		}
	}
	return low, high
}

// logTicks marks 1, 2 and 5 times the powers of ten.
func logTicks(low, high float64) []plot.Tick {
	if !(low > 0) || math.IsInf(high, 1) {
		return nil
	}
	var ticks []plot.Tick
	digits := []float64{1, 2, 5}
	if high/low > 1e4 {
		digits = digits[:1]
	}
	for e := int(math.Floor(math.Log10(low))); math.Pow10(e) <= high; e++ {
		for _, d := range digits {
			if x := d * math.Pow10(e); x >= low && x <= high {
				ticks = append(ticks, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'g', 4, 64)})
			}
		}
	}
	return ticks
}

// stepRange spans every step; a run of one step gets some room on both sides.
func stepRange(curves ...curve) (first, last float64) {
	first, last = math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		if len(c) > 0 {
			first, last = min(first, c[0].X), max(last, c[len(c)-1].X)
		}
	}
	switch {
	case first > last:
		return 0, 1
	case first == last:
		return first - 1, last + 1
	case first <= (last-first)/20:
		first = 0
	}
	return first, last
}

// stepTicks marks whole steps, with thousands separated.
func stepTicks(low, high float64) []plot.Tick {
	spacing := max(1, tickSpacing(low, high))
	var ticks []plot.Tick
	for k := math.Ceil(low / spacing); k*spacing <= high; k++ {
		ticks = append(ticks, plot.Tick{Value: k * spacing, Label: groupDigits(int(k * spacing))})
	}
	return ticks
}

// lossTicks marks round losses, with as many decimals as tell them apart.
func lossTicks(low, high float64) []plot.Tick {
	spacing := tickSpacing(low, high)
	decimals := max(0, -int(math.Floor(math.Log10(spacing)+1e-9)))
	var ticks []plot.Tick
	for k := math.Ceil(low / spacing); k*spacing <= high; k++ {
		label := strconv.FormatFloat(k*spacing, 'f', decimals, 64)
		ticks = append(ticks, plot.Tick{Value: k * spacing, Label: label})
	}
	return ticks
}

// tickSpacing is the smallest of 1, 2 and 5 times a power of ten that puts at most seven ticks on a range.
func tickSpacing(low, high float64) float64 {
	const most = 7
	exponent := int(math.Floor(math.Log10((high - low) / most)))
	for {
		for _, digit := range []float64{1, 2, 5} {
			spacing := digit * math.Pow10(exponent)
			if (high-low)/spacing <= most-1 {
				return spacing
			}
		}
		exponent++
	}
}

// groupDigits writes 12345 as 12,345.
func groupDigits(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
