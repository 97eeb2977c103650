package op

import (
	"fmt"
	"math"

	G "gorgonia.org/gorgonia"
)

// decoderSize is a LLaMA-style decoder: norms before attention and SwiGLU, rotary
// embedding, two key heads.
type decoderSize struct {
	layers, width, hidden, vocab, batch, length int
	checkpoint                                  bool    // recompute each block in the backward pass
	dropout                                     float64 // behind attention
}

const decoderHeads = 4

// decoderOf is the decoder with its loss, on random weights and tokens.
func decoderOf(d decoderSize) subject {
	n, kv := d.batch*d.length, d.width/2
	s := subject{name: "decoder", floats: map[string]array{}, ints: map[string][]int{"step": {1}}}
	r := source()
	weight := func(name string, shape ...int) {
		a := normal(r, shape...)
		for i := range a.data {
			if len(shape) == 1 {
				a.data[i] = 1
			} else {
				a.data[i] = float64(float32(a.data[i] / math.Sqrt(float64(shape[1]))))
			}
		}
		s.floats[name] = a
	}
	weight("embed", d.vocab, d.width)
	weight("head", d.vocab, d.width)
	weight("norm", d.width)
	for l := range d.layers {
		p := fmt.Sprint(l, ".")
		weight(p+"norm1", d.width)
		weight(p+"norm2", d.width)
		weight(p+"q", d.width, d.width)
		weight(p+"k", kv, d.width)
		weight(p+"v", kv, d.width)
		weight(p+"o", d.width, d.width)
		weight(p+"gate", d.hidden, d.width)
		weight(p+"up", d.hidden, d.width)
		weight(p+"down", d.width, d.hidden)
	}
	for i := range n {
		s.ints["ids"] = append(s.ints["ids"], r.IntN(d.vocab))
		s.ints["targets"] = append(s.ints["targets"], r.IntN(d.vocab))
		s.ints["positions"] = append(s.ints["positions"], i%d.length)
	}
	s.dy = []float64{1 / float64(n)}
	s.build = func(g *graph) *G.Node { return d.build(g) }
	return s
}

func (d decoderSize) build(g *graph) *G.Node {
	t := g.tape
	shape := AttentionShape{Batch: d.batch, SeqLen: d.length, Heads: decoderHeads, KVHeads: decoderHeads / 2, HeadDim: d.width / decoderHeads, Causal: true}
	table := NewRotaryTable(shape.HeadDim, d.length, 10000, t.Dtype)
	positions, step := g.i("positions"), g.i("step")
	x := Embedding(g.i("ids"), g.p("embed"))
	for l := range d.layers {
		p := fmt.Sprint(l, ".")
		block := func(x *G.Node) *G.Node {
			h := RMSNorm(x, g.p(p+"norm1"), 1e-5)
			q := Rotary(t, Linear(h, g.p(p+"q"), nil), positions, table)
			k := Rotary(t, Linear(h, g.p(p+"k"), nil), positions, table)
			a := Attention(t, q, k, Linear(h, g.p(p+"v"), nil), nil, shape)
			x = Add(t, x, Dropout(t, Linear(a, g.p(p+"o"), nil), step, d.dropout, uint64(l)))
			h = RMSNorm(x, g.p(p+"norm2"), 1e-5)
			return Add(t, x, Linear(SwiGLU(t, Linear(h, g.p(p+"gate"), nil), Linear(h, g.p(p+"up"), nil)), g.p(p+"down"), nil))
		}
		if d.checkpoint {
			x = Checkpoint(t, x, block)
		} else {
			x = block(x)
		}
	}
	return CrossEntropy(t, Linear(RMSNorm(x, g.p("norm"), 1e-5), g.p("head"), nil), g.i("targets"))
}
