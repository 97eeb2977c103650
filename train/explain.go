package train

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"

	"sparrow/model"
)

// Picture is what a classifier of images sees in one of them, as panels in rows.
type Picture struct {
	Prediction Prediction
	Rows       []PanelRow
	side       int // of a panel, pixels
}

// PanelRow is a row of panels of one meaning.
type PanelRow struct {
	Name   string
	Panels []Panel
}

// Panel is one part of a picture.
type Panel struct {
	Name  string
	image *image.RGBA
}

// leastPanel is the least side of a panel, so that a digit can be looked at.
const leastPanel = 224

// panelGap is the white between panels, pixels.
const panelGap = 8

// Explain implements Explainer: it looks at an image as the model does. The first row is the image as the model takes it, the
// size of the gradient of the loss of the predicted class by each pixel, and the effective receptive field of the middle of the
// last stage's map (see [model.Explanation]); a row for each stage has the attention of its last block, by groups. Each panel
// goes from dark (0) to bright (its largest value).
func (t *images) Explain(_ context.Context, s *model.Session, in Input) (*Picture, error) {
	f := t.format
	pixels, err := t.decode(in)
	if err != nil {
		return nil, err
	}
	normal := make([]float32, len(pixels))
	f.Put(normal, pixels)
	x, err := s.Network().(model.Images).Explain(s.Store(), model.Options{Linear: t.cfg.Model.Linear}, normal)
	if err != nil {
		return nil, err
	}
	p := &Picture{Prediction: t.labels.predict(x.Logits), side: f.Side * ((leastPanel + f.Side - 1) / f.Side)}
	plane := f.Side * f.Side
	p.Rows = []PanelRow{{Name: "pixels", Panels: []Panel{
		{Name: "the image", image: p.panel(f.Side, func(i int) color.RGBA {
			return color.RGBA{pixels[i], pixels[i+(f.Channels/3)*plane], pixels[i+2*(f.Channels/3)*plane], 255}
		})},
		{Name: "gradient of the loss", image: p.heat(f.Side, magnitude(x.Gradient, f.Channels))},
		{Name: "effective receptive field", image: p.heat(f.Side, magnitude(x.Field, f.Channels))},
	}}}
	for _, a := range x.Attention {
		if name := fmt.Sprintf("attention of stage %d", a.Stage); p.Rows[len(p.Rows)-1].Name != name {
			p.Rows = append(p.Rows, PanelRow{Name: name})
		}
		row := &p.Rows[len(p.Rows)-1]
		row.Panels = append(row.Panels, Panel{Name: fmt.Sprintf("%s %dx%d", a.Group, a.Height, a.Width), image: p.heat(a.Height, a.Weights)})
	}
	return p, nil
}

// magnitude is the sum of the sizes of each pixel's values, [H*W, C] -> [H*W].
func magnitude(x []float64, channels int) []float64 {
	out := make([]float64, len(x)/channels)
	for i, v := range x {
		out[i/channels] += math.Abs(v)
	}
	return out
}

// panel draws a map of side by side values, each as a square.
func (p *Picture) panel(side int, at func(i int) color.RGBA) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, p.side, p.side))
	for y := range p.side {
		for x := range p.side {
			out.SetRGBA(x, y, at(y*side/p.side*side+x*side/p.side))
		}
	}
	return out
}

// heat is a panel of values from 0 on.
func (p *Picture) heat(side int, values []float64) *image.RGBA {
	largest := 0.0
	for _, v := range values {
		largest = max(largest, v)
	}
	return p.panel(side, func(i int) color.RGBA {
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
	step := p.side + panelGap
	out := image.NewRGBA(image.Rect(0, 0, columns*step+panelGap, len(p.Rows)*step+panelGap))
	for i := range out.Pix {
		out.Pix[i] = 255
	}
	for r, row := range p.Rows {
		for c, panel := range row.Panels {
			left, top := panelGap+c*step, panelGap+r*step
			for y := range p.side {
				at := out.PixOffset(left, top+y)
				copy(out.Pix[at:at+4*p.side], panel.image.Pix[panel.image.PixOffset(0, y):])
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
