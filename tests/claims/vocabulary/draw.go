package main

import (
	"bytes"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"sparrow/checkpoints"
)

// draw draws the mean loss of each arm over the steps, which stand at equal distances.
func (o *outcome) draw(c *Claim, path string) error {
	p := plot.New()
	p.Title.Text, p.Title.Padding = c.Title, vg.Points(8)
	p.X.Label.Text, p.Y.Label.Text = "steps of training after the extension", "nats a token"
	if c.Pairs != nil {
		p.Y.Label.Text = "bits a byte"
	}
	p.Legend.Top, p.Legend.Padding = true, vg.Points(2)
	p.Add(plotter.NewGrid())
	names := make([]string, len(c.Steps))
	for i, n := range c.Steps {
		names[i] = fmt.Sprint(n)
	}
	for k, arm := range c.Arms {
		points := make(plotter.XYs, len(c.Steps))
		all := o.of(arm.Name)
		for i := range points {
			points[i].X = float64(i)
			for _, r := range all {
				y := r.Losses[i].Nats
				if c.Pairs != nil {
					y = r.Losses[i].Bits
				}
				points[i].Y += y / float64(len(all))
			}
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.LineStyle = draw.LineStyle{Color: plotutil.Color(k), Width: vg.Points(1.6), Dashes: plotutil.Dashes(k)}
		marks.GlyphStyle = draw.GlyphStyle{Color: plotutil.Color(k), Radius: vg.Points(3), Shape: plotutil.Shape(k)}
		p.Add(line, marks)
		p.Legend.Add(arm.Name, line, marks)
	}
	p.NominalX(names...)
	canvas := vgsvg.New(18*vg.Centimeter, 12*vg.Centimeter)
	p.Draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(path, out.Bytes())
}
