package attention_test

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/attention"
	"sparrow/op"
)

// TestMLA: heads made from one latent, with a rotary key that they share, values of
// another width than keys, and queries of one matrix or two.
func TestMLA(t *testing.T) {
	for name, change := range map[string]func(*layerCase, *attention.MLA){
		"default":         func(*layerCase, *attention.MLA) {},
		"rotary":          func(c *layerCase, _ *attention.MLA) { c.rotary = true },
		"wide values":     func(c *layerCase, k *attention.MLA) { k.VHeadDim, c.rotary = 9, true },
		"narrow values":   func(_ *layerCase, k *attention.MLA) { k.VHeadDim = 1 },
		"two matrices":    func(c *layerCase, k *attention.MLA) { k.QRank, c.rotary = 7, true },
		"both directions": func(c *layerCase, _ *attention.MLA) { c.causal, c.lengths = false, []int{1, 4} },
	} {
		t.Run(name, func(t *testing.T) {
			c, k := layerCase{causal: true}, attention.MLA{KVRank: 5, RopeDim: 4}
			change(&c, &k)
			c.Config = attention.Of(k, attention.Heads{NHead: 2, HeadDim: 3, Theta: theta})
			c.check(t, func(v map[string][]float64) []float64 { return c.naiveMLA(v, k) })
		})
	}
}

// naiveMLA is the layer by its equations.
func (c layerCase) naiveMLA(v map[string][]float64, own attention.MLA) []float64 {
	nope, both := c.Dim(dModel), c.Dim(dModel)+own.RopeDim
	var q []float64
	if own.QRank > 0 {
		q = project(rmsNormed(project(v["x"], v["q_a_proj.weight"], nil, dModel), v["q_a_layernorm.weight"]), v["q_b_proj.weight"], nil, own.QRank)
	} else {
		q = project(v["x"], v["q_proj.weight"], nil, dModel)
	}
	latent := rmsNormed(project(v["x"], v["kv_a_proj.weight"], nil, dModel), v["kv_a_layernorm.weight"])
	rope := c.heads(project(v["x"], v["k_rope_proj.weight"], nil, dModel), own.RopeDim, c.rotary)
	queries, keys := c.heads(q, both, false), c.heads(project(latent, v["k_b_proj.weight"], nil, own.KVRank), nope, false)
	for n := range keys {
		for h := range keys[n] {
			keys[n][h] = append(append([]float64(nil), keys[n][h]...), rope[n][0]...)
			if c.rotary {
				queries[n][h] = append(append([]float64(nil), queries[n][h][:nope]...), c.turned(queries[n][h][nope:], positions[n])...)
			}
		}
	}
	values := c.heads(project(latent, v["v_b_proj.weight"], nil, own.KVRank), own.ValueDim(c.Heads, dModel), false)
	return project(c.mix(queries, keys, values, 1/math.Sqrt(float64(both))), v["o_proj.weight"], nil, c.NHead*own.ValueDim(c.Heads, dModel))
}

// run plans and runs a graph once.
func run(t *testing.T, tape *op.Tape, pinned ...*G.Node) {
	t.Helper()
	plan, err := tape.Plan(true, pinned...)
	if err != nil {
		t.Fatal(err)
	}
	plan.Bind(&op.Arena{})
	if err := tape.Run(G.NewTapeMachine(tape.Graph)); err != nil {
		t.Fatal(err)
	}
}
