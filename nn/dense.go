package nn

import (
	G "gorgonia.org/gorgonia"

	"sparrow/configs"
)

// Dense keeps W as it is, weight [out, in].
type Dense struct{}

// Validate implements Kind.
func (Dense) Validate(*configs.Report) {}

// Layout implements Kind.
func (Dense) Layout(in, out int) Layout {
	return Layout{[]Spec{{Name: "weight", Shape: []int{out, in}, Init: Given(), Rounds: true, Packs: true}}, in * out}
}

// New implements Kind.
func (Dense) New(w Weights, bias *Weight) Linear { return &dense{w["weight"], bias} }

// Matrix implements Kind.
func (Dense) Matrix(w map[string]Array) []float64 { return w["weight"].Float64s() }

type dense struct {
	weight Weight
	bias   *Weight
}

func (l *dense) Forward(x *G.Node) *G.Node { return l.weight.linear(x, l.bias) }

// matrix is W as a value of the graph.
func (l *dense) matrix() *G.Node { return l.weight.value() }
