package op

import (
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestDepthwiseActivation: a convolution with an activation is the same, bit by bit, as one with the activation behind it.
func TestDepthwiseActivation(t *testing.T) {
	for _, tc := range []struct {
		kind  string
		shape DepthwiseShape
		c     int
	}{
		{"gelu", DepthwiseShape{Map: Map{2, 5, 4}}, 3},
		{"gelu", DepthwiseShape{Map: Map{2, 23, 19}, Residual: true}, 67},
		{"relu", DepthwiseShape{Map: Map{1, 1, 1}}, 1},
	} {
		r := rand.New(rand.NewPCG(1, 1))
		draw := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			return x
		}
		x, w, b := draw(tc.shape.Rows()*tc.c), draw(9*tc.c), draw(tc.c)
		run := func(build func(tape *Tape, x *G.Node, w, b Param) *G.Node) []float32 {
			tape := NewTape(tensor.Float32, false)
			dense := func(v []float32, shape ...int) *tensor.Dense {
				return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
			}
			param := func(name string, d *tensor.Dense) Param { return tape.Param(name, d.Shape(), d, nil) }
			y := build(tape, tape.Input("x", dense(x, tc.shape.Rows(), tc.c)), param("w", dense(w, tc.c, 1, 3, 3)), param("b", dense(b, tc.c)))
			plan, err := tape.Plan(true, y)
			if err != nil {
				t.Fatal(err)
			}
			plan.Bind(&Arena{})
			if err := tape.Run(G.NewTapeMachine(tape.Graph)); err != nil {
				t.Fatal(err)
			}
			return slices.Clone(y.Value().(*tensor.Dense).Float32s())
		}
		want := run(func(tape *Tape, x *G.Node, w, b Param) *G.Node {
			return Activation(tape, tc.kind, DepthwiseConv(x, w, b, tc.shape))
		})
		got := run(func(_ *Tape, x *G.Node, w, b Param) *G.Node {
			s := tc.shape
			s.Activation = tc.kind
			return DepthwiseConv(x, w, b, s)
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s of %v, %d channels: together\n%v\none after the other\n%v", tc.kind, tc.shape.Map, tc.c, got, want)
		}
	}
}
