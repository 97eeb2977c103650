package panels

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"sparrow/task"
)

const (
	gap    = 10 // of white between panels, pixels
	line   = 17 // height of a line of letters
	letter = 7  // its width
	bar    = 12 // height of the scale
)

// Place is where panel c of row r begins in the picture.
func Place(p *task.Picture, r, c int) image.Point {
	return image.Pt(gap+c*(p.Side+gap), gap+2*line+r*(p.Side+gap+2*line)+2*line)
}

// Size of the whole picture.
func Size(p *task.Picture) image.Point {
	columns := 0
	for _, row := range p.Rows {
		columns = max(columns, len(row.Panels))
	}
	end := Place(p, len(p.Rows)-1, columns-1)
	return image.Pt(end.X+p.Side+gap, end.Y+p.Side+gap+bar+2*line+gap)
}

// WritePNG draws the panels, row by row on white: the title above, the name of each row and of each panel above it, and below all what
// colours mean.
func WritePNG(w io.Writer, title string, p *task.Picture) error {
	size := Size(p)
	out := image.NewRGBA(image.Rectangle{Max: size})
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	ink, quiet := color.RGBA{0x1f, 0x23, 0x28, 255}, color.RGBA{0x57, 0x60, 0x6a, 255}
	write(out, gap, gap+line-4, size.X-2*gap, title, ink, true)
	for r, row := range p.Rows {
		at := Place(p, r, 0)
		write(out, at.X, at.Y-line-5, size.X-2*gap, row.Name, ink, true)
		for c, panel := range row.Panels {
			at := Place(p, r, c)
			text := panel.Name
			if panel.Scale != "" {
				text += ", " + panel.Scale
			}
			write(out, at.X, at.Y-5, p.Side+gap-letter, text, quiet, false)
			draw.Draw(out, image.Rectangle{at, at.Add(image.Pt(p.Side, p.Side))}, panel.Image, panel.Image.Bounds().Min, draw.Src)
		}
	}
	y := size.Y - gap - line - bar
	for x := range 2 * p.Side {
		for i := range bar {
			out.SetRGBA(gap+x, y+i-2, task.HeatColour(float64(x)/float64(2*p.Side-1)))
		}
	}
	write(out, gap, y+bar+line-5, size.X-2*gap, "from the first to the last number beside a panel's name; larger values are drawn like the last", quiet, false)
	return png.Encode(w, out)
}

// write writes a line of letters, cut to a width; bold ones stand twice, a pixel apart.
func write(out *image.RGBA, x, y, most int, text string, c color.RGBA, bold bool) {
	letters := []rune(text)
	if n := most / letter; len(letters) > n {
		letters = append(letters[:max(0, n-3)], '.', '.', '.')
	}
	for i := range 2 {
		d := font.Drawer{Dst: out, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x+i, y)}
		d.DrawString(string(letters))
		if !bold {
			return
		}
	}
}
