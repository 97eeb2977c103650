package panels

import (
	"bytes"
	"image/color"
	"image/png"
	"testing"

	"sparrow/task"
)

// TestWritePNG: panels stand where Place says, with letters above them, white where there is none, and the scale below.
func TestWritePNG(t *testing.T) {
	p := &task.Picture{Side: 224}
	red := p.Panel(1, func(int) color.RGBA { return color.RGBA{255, 0, 0, 255} })
	p.Rows = []task.PanelRow{{Name: "one", Panels: []task.Panel{{Name: "a", Image: red}, {Name: "a name that is much too long for its panel to hold", Scale: "0 to 1", Image: red}}}, {Name: "two", Panels: []task.Panel{{Name: "b", Image: red}}}}
	draw := func(title string) []byte {
		var b bytes.Buffer
		if err := WritePNG(&b, title, p); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	b := draw("a title")
	got, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if got.Bounds().Max != Size(p) {
		t.Errorf("the picture is %v, want %v", got.Bounds().Max, Size(p))
	}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(got.At(x, y)).(color.RGBA) }
	dark := func(x0, y0, x1, y1 int) (n int) {
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				if c := at(x, y); c.R < 200 {
					n++
				}
			}
		}
		return n
	}
	for r, row := range p.Rows {
		for c := range row.Panels {
			a := Place(p, r, c)
			for _, d := range [][2]int{{0, 0}, {223, 223}} {
				if x := at(a.X+d[0], a.Y+d[1]); x != (color.RGBA{255, 0, 0, 255}) {
					t.Errorf("panel %d of row %d is %v at %v", c, r, x, d)
				}
			}
			if at(a.X+224, a.Y) == (color.RGBA{255, 0, 0, 255}) {
				t.Error("a panel is wider than it should be")
			}
			if dark(a.X, a.Y-line, a.X+224, a.Y) == 0 {
				t.Errorf("panel %d of row %d has no name", c, r)
			}
			if dark(a.X+224, a.Y-line, a.X+224+gap, a.Y) > 0 {
				t.Errorf("the name of panel %d of row %d runs beyond it", c, r)
			}
		}
	}
	none := Place(p, 1, 1)
	if dark(none.X, none.Y-line, none.X+224, none.Y+224) > 0 {
		t.Error("no white where there is no panel")
	}
	if bytes.Equal(b, draw("another title")) {
		t.Error("the title is not drawn")
	}
	if end := at(gap+2*224-1, Size(p).Y-gap-line-bar); end != task.HeatColour(1) {
		t.Errorf("the scale ends in %v", end)
	}
}
