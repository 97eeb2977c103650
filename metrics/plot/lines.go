package plot

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"sparrow/metrics"
)

// Line is a series of points, in the order of X.
type Line struct {
	Name string
	X, Y []float64
}

// lineColors tell lines apart; a ninth begins anew, dashed.
var lineColors = []color.NRGBA{
	smoothColor, validationColor, {0x2c, 0x8a, 0x4b, 0xff}, {0x8b, 0x4f, 0xa3, 0xff}, {0xb0, 0x2a, 0x45, 0xff}, {0x6b, 0x6b, 0x6b, 0xff},
	{0xc8, 0x9b, 0x12, 0xff}, {0x1d, 0x9a, 0xa8, 0xff},
}

// WriteLines draws lines with a point at each value to an SVG file, over an axis of whole numbers: what x and y are is written at the
// axes. Equal lines give equal bytes. The file is replaced in one step; an error names it.
func WriteLines(path, title, x, y string, lines []Line) error {
	p := newFrame(title, x, y)
	p.Legend.Top, p.Legend.Left = false, false
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(6), vg.Points(6)
	var all []curve
	for i, line := range lines {
		if len(line.X) != len(line.Y) {
			return fmt.Errorf("plot: line %s has %d places and %d values", line.Name, len(line.X), len(line.Y))
		}
		var c curve
		for j, at := range line.X {
			c = append(c, plotter.XY{X: at, Y: line.Y[j]})
		}
		style := draw.LineStyle{Color: lineColors[i%len(lineColors)], Width: vg.Points(1.6)}
		if i/len(lineColors)%2 == 1 {
			style.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
		}
		addCurve(p, c, style, vg.Points(2.6), line.Name)
		all = append(all, c)
	}
	p.X.Min, p.X.Max = stepRange(all...)
	var flat curve
	for _, c := range all {
		flat = append(flat, c...)
	}
	p.Y.Min, p.Y.Max = lossRange(nil, flat)
	svg, err := drawn(p)
	if err == nil {
		err = metrics.WriteFile(path, svg)
	}
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return nil
}
