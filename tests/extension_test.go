package tests

import (
	"fmt"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/configs"
	"sparrow/nn"
	"sparrow/op"
	"sparrow/recipe"
)

// parts is a kind of linear layer from outside: W is a sum of N matrices.
type parts struct {
	N int `toml:"n" doc:"matrices"`
}

func (parts) Validate(r *configs.Report) { r.AtLeast("n", 1) }

func (k parts) Layout(in, out int) nn.Layout {
	l := nn.Layout{Work: k.N * in * out}
	for i := range k.N {
		l.Arrays = append(l.Arrays, nn.Spec{Name: fmt.Sprintf("part%d.weight", i), Shape: []int{out, in}, Init: nn.Normal(0.02)})
	}
	return l
}

func (k parts) New(w nn.Weights, bias *nn.Weight) nn.Linear {
	l := sum{}
	for i := range k.N {
		l.parts = append(l.parts, w[fmt.Sprintf("part%d.weight", i)])
	}
	if bias != nil {
		b := bias.Use()
		l.bias = &b
	}
	return l
}

func (k parts) Matrix(w map[string]nn.Array) []float64 {
	var m []float64
	for i := range k.N {
		for j, x := range w[fmt.Sprintf("part%d.weight", i)].Float64s() {
			if i == 0 {
				m = append(m, 0)
			}
			m[j] += x
		}
	}
	return m
}

// sum is the layer of parts.
type sum struct {
	parts []nn.Weight
	bias  *op.Param
}

func (l sum) Forward(x *G.Node) *G.Node {
	y := op.Linear(x, l.parts[0].Use(), l.bias)
	for _, p := range l.parts[1:] {
		y = op.Add(p.Tape(), y, op.Linear(x, p.Use(), nil))
	}
	return y
}

// TestLinearKindFromOutside: a kind that a caller adds to the list is chosen by a config, trains, resumes, is opened and
// evaluated, stays as it is in a compression of the layers around it, and that is verified; a program that does not know it
// names it.
func TestLinearKindFromOutside(t *testing.T) {
	dir := workplace(t)
	o := outsider{
		name: "parts", beside: "sltrain", lists: configs.With(recipe.Lists(), configs.Choice[nn.Kind]{Name: "parts", New: func() nn.Kind { return parts{N: 2} }}),
		dir: dir, set: []string{corpusIn(dir), `model.linear=[{match="*.mlp.*",kind="parts",n=3}]`}, steps: 12, stop: 5, around: "*.self_attn.*",
	}
	losses := o.train(t)
	if len(losses) != 12 || losses[11] > losses[0]-0.3 {
		t.Errorf("losses %.3f do not fall", losses)
	}
	o.holds(t, "model.layers.0.mlp.up_proj.", "part0.weight", "part1.weight", "part2.weight")
	o.compress(t, map[string]string{"model.layers.0.mlp.up_proj": "parts", "model.layers.0.self_attn.q_proj": "low_rank"})
}
