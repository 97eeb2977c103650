package restore

import (
	"image"
	"image/color"
	"slices"

	"sparrow/data/cubes"
)

// Preview draws cubes of one number of bands beside each other in false colours, each brought to the height of the tallest by whole
// pixels. Black and white are the 2 and 98 percentile of each colour in the last one.
func Preview(pictures ...*cubes.Cube) image.Image {
	const gap = 4
	last := pictures[len(pictures)-1]
	rgb := last.FalseColour()
	var low, high [3]float64
	for i, b := range rgb {
		sorted := last.Band(b)
		slices.Sort(sorted)
		low[i], high[i] = cubes.Quantile(sorted, 0.02), cubes.Quantile(sorted, 0.98)
	}
	tall, wide := 0, -gap
	for _, c := range pictures {
		tall = max(tall, c.Height)
	}
	for _, c := range pictures {
		wide += c.Width*max(tall/c.Height, 1) + gap
	}
	m := image.NewRGBA(image.Rect(0, 0, wide, tall))
	left := 0
	for _, c := range pictures {
		size := max(tall/c.Height, 1)
		for y := range c.Height * size {
			for x := range c.Width * size {
				p := (y/size*c.Width + x/size) * c.Bands
				var v [3]uint8
				for i, b := range rgb {
					share := 0.0
					if high[i] > low[i] {
						share = (c.Data[p+b] - low[i]) / (high[i] - low[i])
					}
					if share == share { // a value that a mask hides may be NaN
						v[i] = uint8(255*min(max(share, 0), 1) + 0.5)
					}
				}
				m.SetRGBA(left+x, y, color.RGBA{v[0], v[1], v[2], 255})
			}
		}
		left += c.Width*size + gap
	}
	return m
}
