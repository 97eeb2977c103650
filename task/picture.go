package task

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
)

// Picture is what a classifier of images sees in one of them, as panels in rows.
type Picture struct {
	Prediction Prediction
	Rows       []PanelRow
	Side       int // of a panel, pixels
}

// PanelRow is a row of panels of one meaning.
type PanelRow struct {
	Name   string
	Panels []Panel
}

// Panel is one part of a picture.
type Panel struct {
	Name  string
	Image *image.RGBA
}

// LeastPanel is the least side of a panel, so that a digit can be looked at.
const LeastPanel = 224

// panelGap is the white between panels, pixels.
const panelGap = 8

// Panel draws a map of side by side values, each as a square.
func (p *Picture) Panel(side int, at func(i int) color.RGBA) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, p.Side, p.Side))
	for y := range p.Side {
		for x := range p.Side {
			out.SetRGBA(x, y, at(y*side/p.Side*side+x*side/p.Side))
		}
	}
	return out
}

// Heat is a panel of values from 0 on.
func (p *Picture) Heat(side int, values []float64) *image.RGBA {
	largest := 0.0
	for _, v := range values {
		largest = max(largest, v)
	}
	return p.Panel(side, func(i int) color.RGBA {
		if largest == 0 {
			return heatColour(0)
		}
		return heatColour(values[i] / largest)
	})
}

// heatColours go from dark to bright as those of the map "inferno" of matplotlib, at equal steps.
var heatColours = [][3]float64{{0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}}

// heatColour is that of a value from 0 to 1.
func heatColour(v float64) color.RGBA {
	at := min(max(v, 0), 1) * float64(len(heatColours)-1)
	i := min(int(at), len(heatColours)-2)
	mix := func(c int) uint8 {
		return uint8(math.Round(heatColours[i][c] + (at-float64(i))*(heatColours[i+1][c]-heatColours[i][c])))
	}
	return color.RGBA{mix(0), mix(1), mix(2), 255}
}

// WritePNG draws the panels, row by row on white.
func (p *Picture) WritePNG(w io.Writer) error {
	columns := 0
	for _, row := range p.Rows {
		columns = max(columns, len(row.Panels))
	}
	step := p.Side + panelGap
	out := image.NewRGBA(image.Rect(0, 0, columns*step+panelGap, len(p.Rows)*step+panelGap))
	for i := range out.Pix {
		out.Pix[i] = 255
	}
	for r, row := range p.Rows {
		for c, panel := range row.Panels {
			left, top := panelGap+c*step, panelGap+r*step
			for y := range p.Side {
				at := out.PixOffset(left, top+y)
				copy(out.Pix[at:at+4*p.Side], panel.Image.Pix[panel.Image.PixOffset(0, y):])
			}
		}
	}
	return png.Encode(w, out)
}

// Legend says what the panels are, a line a row.
func (p *Picture) Legend() string {
	var b strings.Builder
	for i, row := range p.Rows {
		var names []string
		for _, panel := range row.Panels {
			names = append(names, panel.Name)
		}
		fmt.Fprintf(&b, "row %d       %s: %s\n", i+1, row.Name, strings.Join(names, ", "))
	}
	return b.String()
}
