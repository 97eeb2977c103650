package task

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
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
	Scale string // what its colours span, as "0 to 0.031"; "": it has none
	Image *image.RGBA
}

// LeastPanel is the least side of a panel, so that a digit can be looked at.
const LeastPanel = 224

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

// Heat is a panel of values that are not negative, in colours from the least one to where a hundredth of them lies above, so that
// single values do not make the rest dark. Values that are nearly alike are drawn from 0 on.
func (p *Picture) Heat(name string, side int, values []float64) Panel {
	s := scaleOf(values)
	return Panel{name, s.text(), p.Panel(side, func(i int) color.RGBA { return HeatColour(s.part(values[i])) })}
}

// Overlay is a panel of values over an image of the picture's side, which is seen in grey where values are small. Its scale is that of the
// same values alone.
func (p *Picture) Overlay(name string, side int, values []float64, under *image.RGBA) Panel {
	s := scaleOf(values)
	out := p.Panel(side, func(i int) color.RGBA { return HeatColour(s.part(values[i])) })
	for y := range p.Side {
		for x := range p.Side {
			v := s.part(values[y*side/p.Side*side+x*side/p.Side])
			c, grey := out.RGBAAt(x, y), float64(color.GrayModel.Convert(under.RGBAAt(x, y)).(color.Gray).Y)
			mix := func(heat uint8) uint8 { return uint8(math.Round((0.25+0.55*v)*float64(heat) + (0.75-0.55*v)*grey)) }
			out.SetRGBA(x, y, color.RGBA{mix(c.R), mix(c.G), mix(c.B), 255})
		}
	}
	return Panel{name, "", out}
}

// scale is what the colours of a panel span.
type scale struct{ low, high float64 }

// alike is how near values are, relative to the largest, that differ by nothing worth a colour.
const alike = 0.05

func scaleOf(values []float64) scale {
	if len(values) == 0 {
		return scale{}
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	n := len(sorted)
	s := scale{sorted[0], sorted[n-1-n/100]}
	if s.high <= 0 {
		s.high = sorted[n-1]
	}
	if s.high-s.low < alike*s.high || s.low < 0.02*s.high {
		s.low = 0
	}
	return s
}

func (s scale) text() string { return fmt.Sprintf("%.2g to %.2g", s.low, s.high) }

// part is a value's place on the scale.
func (s scale) part(x float64) float64 {
	if s.high <= s.low {
		return 0
	}
	return min((x-s.low)/(s.high-s.low), 1)
}

// heatColours go from dark to bright as those of the map "inferno" of matplotlib, at equal steps.
var heatColours = [][3]float64{{0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}}

// HeatColour is that of a value from 0 to 1.
func HeatColour(v float64) color.RGBA {
	at := min(max(v, 0), 1) * float64(len(heatColours)-1)
	i := min(int(at), len(heatColours)-2)
	mix := func(c int) uint8 {
		return uint8(math.Round(heatColours[i][c] + (at-float64(i))*(heatColours[i+1][c]-heatColours[i][c])))
	}
	return color.RGBA{mix(0), mix(1), mix(2), 255}
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
