package main

import (
	"bytes"

	"sparrow/checkpoints"
	"sparrow/metrics/chart"
)

// draw draws the mean loss of each arm over the steps.
func (o *outcome) draw(c *Claim, path string) error {
	picture := chart.Chart{Title: c.Title, XLabel: "steps of training after the extension", YLabel: "nats a token"}
	if c.Pairs != nil {
		picture.YLabel = "bits a byte"
	}
	for k, arm := range c.Arms {
		line := chart.Line{Name: arm.Name, Look: k, Dash: k / 5}
		all := o.of(arm.Name)
		for i, n := range c.Steps {
			mean := 0.0
			for _, r := range all {
				y := r.Losses[i].Nats
				if c.Pairs != nil {
					y = r.Losses[i].Bits
				}
				mean += y / float64(len(all))
			}
			line.X, line.Y = append(line.X, float64(n)), append(line.Y, mean)
		}
		picture.Lines = append(picture.Lines, line)
	}
	var out bytes.Buffer
	if err := picture.Write(&out); err != nil {
		return err
	}
	return checkpoints.WriteFileAtomic(path, out.Bytes())
}
