package attention_test

import (
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// windowCase is one layer and the maps that it sees.
type windowCase struct {
	attention.MapLayer
	op.Map
}

func (c windowCase) build(b *nn.Builder) *G.Node {
	return attention.Window{}.New(b, c.MapLayer, c.Height, c.Width).Forward(nntest.Input(b, "x", c.Rows(), c.DModel), c.Map)
}

// TestWindow compares the layer with a loop over all pairs of pixels, and its
// gradients with central differences.
func TestWindow(t *testing.T) {
	config := attention.MapLayer{DModel: 4, NHead: 2, Window: 3, Bias: true, Init: nn.Normal(0.02)}
	shifted := config
	shifted.Block = 1
	for name, c := range map[string]windowCase{
		"whole windows":           {config, op.Map{Batch: 2, Height: 3, Width: 6}},
		"parts of windows":        {config, op.Map{Batch: 1, Height: 4, Width: 5}},
		"shifted":                 {shifted, op.Map{Batch: 2, Height: 6, Width: 6}},
		"shifted parts":           {shifted, op.Map{Batch: 1, Height: 7, Width: 5}},
		"shifted along one side":  {shifted, op.Map{Batch: 1, Height: 3, Width: 6}},
		"smaller than the window": {shifted, op.Map{Batch: 1, Height: 2, Width: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			nntest.Check(t, nntest.Layer{Build: c.build, Naive: c.naive, Shape: []int{c.Rows(), c.DModel}})
		})
	}
}

// together says whether two places along a side of n pixels are in one window:
// the borders lie at multiples of the window, moved by half of one.
func (c windowCase) together(i, j, n int) bool {
	shift := 0
	if c.Block%2 == 1 && n > c.Window {
		shift = c.Window - c.Window/2
	}
	return (i+shift)/c.Window == (j+shift)/c.Window
}

func (c windowCase) naive(v map[string][]float64) []float64 {
	project := func(x []float64, name string) []float64 {
		return project(x, v[name+".weight"], v[name+".bias"], c.DModel)
	}
	q, k, val := project(v["x"], "q"), project(v["x"], "k"), project(v["x"], "v")
	width := c.DModel / c.NHead
	var mixed []float64
	for p := range c.Rows() {
		var keys, values []float64
		for o := range c.Rows() {
			same := p/c.Pixels() == o/c.Pixels()
			i, j := p%c.Pixels(), o%c.Pixels()
			if same && c.together(i/c.Width, j/c.Width, c.Height) && c.together(i%c.Width, j%c.Width, c.Width) {
				keys = append(keys, k[o*c.DModel:(o+1)*c.DModel]...)
				values = append(values, val[o*c.DModel:(o+1)*c.DModel]...)
			}
		}
		for h := range c.NHead {
			mixed = append(mixed, attended(q[p*c.DModel+h*width:][:width], keys, values, c.DModel, h*width)...)
		}
	}
	return project(mixed, "proj")
}
