package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sparrow/internal/measure"
	"sparrow/metrics/chart"
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

// drawSweep draws each arm's time, or its speed in decoding, over the size, both by their logarithms; batches and measures
// differ in their dashes, the arms of a measure in their looks.
func (o *outcome) drawSweep(c *chart.Chart) {
	s := o.claim.Sweep
	value, scale := sweepMetrics["seconds"], 1e3
	c.LogX, c.LogY, c.XLabel, c.YLabel = true, true, "size (tokens)", "time (ms)"
	if s.Measure == "decode" {
		value, scale = sweepMetrics["tokens_per_second"], 1
		c.XLabel, c.YLabel = "context (tokens)", "tokens a second"
	}
	if o.claim.seesImages() {
		c.XLabel = "side of the image (pixels)"
	}
	for _, size := range s.Sizes {
		c.XTicks = append(c.XTicks, float64(size))
	}
	for j, batch := range s.Batches {
		measures, drawn := []string{s.Measure}, map[string]int{} // how many arms of each
		for i, a := range o.claim.Arms {
			measure := o.claim.measureOf(i)
			if !slices.Contains(measures, measure) {
				measures = append(measures, measure)
			}
			line := chart.Line{Name: a.title(), Look: drawn[measure], Dash: j + slices.Index(measures, measure)}
			if len(s.Batches) > 1 {
				line.Name = fmt.Sprintf("%s, batch %d", line.Name, batch)
			}
			drawn[measure]++
			for _, point := range o.batchPoints(batch) {
				line.X, line.Y = append(line.X, float64(point.Size)), append(line.Y, scale*point.typical(a.Name, value))
			}
			c.Lines = append(c.Lines, line)
		}
	}
}
