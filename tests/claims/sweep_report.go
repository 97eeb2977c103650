package main

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"sparrow/internal/measure"
)

// batchPoints are the points of one batch, by size.
func (o *outcome) batchPoints(batch int) []Point {
	var mine []Point
	for _, p := range o.points {
		if p.Batch == batch {
			mine = append(mine, p)
		}
	}
	return mine
}

// typical is the median over rounds of a value of an arm.
func (p Point) typical(arm string, value func(Point, ArmPoint, int) float64) float64 {
	var values []float64
	for i := range p.rounds() {
		values = append(values, value(p, p.arm(arm), i))
	}
	return measure.Median(values)
}

// sweepTables has, for each batch, time, speed, memory and share of the roofline of each arm at each size.
func (o *outcome) sweepTables(b *strings.Builder) {
	s := o.claim.Sweep
	for _, batch := range s.Batches {
		points := o.batchPoints(batch)
		table := func(what string, value func(Point, ArmPoint, int) float64, format func(float64) string) {
			fmt.Fprintf(b, "%s, batch %d:\n\n| network | parameters |", what, batch)
			for _, p := range points {
				fmt.Fprintf(b, " %d |", p.Size)
			}
			b.WriteString("\n|---|---|" + strings.Repeat("---|", len(points)) + "\n")
			for _, a := range o.claim.Arms {
				fmt.Fprintf(b, "| %s | %d |", a.title(), points[0].arm(a.Name).Parameters)
				for _, p := range points {
					fmt.Fprintf(b, " %s |", format(p.typical(a.Name, value)))
				}
				b.WriteString("\n")
			}
			b.WriteString("\n")
		}
		digits := func(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
		table("Milliseconds", sweepMetrics["seconds"], func(x float64) string { return digits(1e3 * x) })
		speed := "Tokens a second"
		if points[0].images {
			speed = "Images a second"
		}
		table(speed, sweepMetrics["tokens_per_second"], func(x float64) string {
			if points[0].images {
				return digits(x)
			}
			return fmt.Sprintf("%.0f", x)
		})
		table("Memory, MB", sweepMetrics["memory"], func(x float64) string {
			if x <= 0 {
				return "-"
			}
			return fmt.Sprintf("%.0f", x/1e6)
		})
		if s.Measure == "decode" {
			table("Share of the roofline", Point.roofline, func(x float64) string { return fmt.Sprintf("%.0f%%", 100*x) })
		}
	}
}

// sweepMethod says how the numbers of a sweep came about.
func (o *outcome) sweepMethod() string {
	c := o.claim
	var bandwidth, peak []float64
	for _, p := range o.points {
		bandwidth, peak = append(bandwidth, p.Bandwidth...), append(peak, p.Peak...)
	}
	roofline := ""
	if c.Sweep.Measure == "decode" {
		roofline = fmt.Sprintf(" The roofline is max(bytes / bandwidth, FLOPs / peak), with each weight and cached value read once; "+
			"both speeds are measured in each round: in the median %.1f GB/s and %.0f GFLOP/s.", measure.Median(bandwidth)/1e9, measure.Median(peak)/1e9)
	}
	size := ""
	if c.seesImages() {
		size = " Sizes are the sides of square images; exponents are those of their numbers of pixels."
	}
	return fmt.Sprintf("Each network at each size and batch is a process, with %d threads; at one size all are there at once and are timed in turn, "+
		"%d rounds of at least %.1f s each, and the median of the rounds counts. An expectation is computed in each round; its standard error is that of "+
		"the median, from the median absolute deviation, and a verdict needs the 95%% interval of Student's t on one side of the bound. Memory is the most that the process took beyond what it began with.%s%s\n\n"+
		"Machine: %s. %s Config: tests/claims/%s.toml, SHA-256 %.12s.\n\n    go run ./tests/claims %s\n",
		o.points[0].Threads, c.Sweep.Rounds, turn, size, roofline, o.machine, o.origin(), c.Name, c.SHA256, c.Name)
}

// lineColors are those of arms, in order; told apart by the colour-blind too (Okabe and Ito 2008).
var lineColors = []color.NRGBA{
	{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, {R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, {R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
	{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff}, {R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}, {R: 0x56, G: 0xb4, B: 0xe9, A: 0xff},
}

// drawSweep draws each arm's time, or its speed in decoding, over the size, both by their logarithms; batches and measures
// differ in their dashes, the arms of a measure in their colours.
func (o *outcome) drawSweep(p *plot.Plot) error {
	s := o.claim.Sweep
	value, scale := sweepMetrics["seconds"], 1e3
	p.X.Label.Text, p.Y.Label.Text = "size (tokens)", "time (ms)"
	if s.Measure == "decode" {
		value, scale = sweepMetrics["tokens_per_second"], 1
		p.X.Label.Text, p.Y.Label.Text = "context (tokens)", "tokens a second"
	}
	if o.claim.seesImages() {
		p.X.Label.Text = "side of the image (pixels)"
	}
	p.Legend.TextStyle.Font, p.Legend.TextStyle.Color = sans(9), inkColor
	p.Legend.ThumbnailWidth, p.Legend.Padding, p.Legend.Top = vg.Points(20), vg.Points(1.5), true
	low, high := math.Inf(1), math.Inf(-1)
	var styles []*plotter.Line // of batches, for the legend
	for j, batch := range s.Batches {
		style := &plotter.Line{LineStyle: draw.LineStyle{Color: inkColor, Width: vg.Points(1.4)}}
		if j > 0 { // the first is solid, the others have ever shorter dashes
			style.Dashes = []vg.Length{vg.Points(8 / float64(j)), vg.Points(3)}
		}
		styles = append(styles, style)
		measures, drawn := []string{s.Measure}, map[string]int{} // how many arms of each
		for i, a := range o.claim.Arms {
			measure := o.claim.measureOf(i)
			if !slices.Contains(measures, measure) {
				measures = append(measures, measure)
			}
			var points plotter.XYs
			for _, point := range o.batchPoints(batch) {
				y := scale * point.typical(a.Name, value)
				points = append(points, plotter.XY{X: float64(point.Size), Y: y})
				low, high = min(low, y), max(high, y)
			}
			line, marks, err := plotter.NewLinePoints(points)
			if err != nil {
				return err
			}
			line.LineStyle = style.LineStyle
			line.Color = lineColors[drawn[measure]%len(lineColors)]
			drawn[measure]++
			if k := slices.Index(measures, measure); k > 0 {
				line.Dashes = []vg.Length{vg.Points(6 / float64(k)), vg.Points(2.5)}
			}
			marks.Color, marks.Shape, marks.Radius = line.Color, draw.CircleGlyph{}, vg.Points(2)
			p.Add(line, marks)
			if j == 0 {
				p.Legend.Add(a.title(), line)
			}
		}
	}
	if len(styles) > 1 {
		for j, batch := range s.Batches {
			p.Legend.Add(fmt.Sprintf("batch %d", batch), styles[j])
		}
	}
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Y.Min, p.Y.Max = low/1.3, high*1.3
	p.Y.Tick.Marker = plot.TickerFunc(roundTicks)
	var ticks []plot.Tick
	for _, size := range s.Sizes {
		ticks = append(ticks, plot.Tick{Value: float64(size), Label: strconv.Itoa(size)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	// The legend stands at the right of the data, in room of its own.
	first, last := float64(s.Sizes[0]), float64(s.Sizes[len(s.Sizes)-1])
	p.X.Min, p.X.Max = first, last*max(1.5, math.Pow(last/first, 0.62))
	return nil
}

// roundTicks are the numbers 1, 2 and 5 times powers of ten.
func roundTicks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
		for _, digit := range []float64{1, 2, 5} {
			if x := digit * power; x >= low && x <= high {
				ticks = append(ticks, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'g', 4, 64)})
			}
		}
	}
	return ticks
}
