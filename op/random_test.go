package op

import (
	"fmt"
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Values of random graphs are matrices of one shape: 6 rows of 4.
const randomRows, randomWidth = 6, 4

// randomGraph is a graph of up to steps operators over random earlier values.
// Every value reaches the loss: at the end those without a reader are added up.
func randomGraph(seed uint64, steps int) subject {
	s := subject{name: fmt.Sprint("seed ", seed), floats: draws("x", []int{randomRows, randomWidth}, "x2", []int{randomRows, randomWidth},
		"w", []int{randomWidth, randomWidth}, "u", []int{randomWidth, randomWidth}, "b", []int{randomWidth}, "n", []int{randomWidth})}
	s.ints = map[string][]int{"step": {int(seed)}, "positions": {3, 1, 4, 1, 5, 9}, "index": {2, 2, 0, 5, 1, 3}, "lengths": {2, 3}}
	s.frozen = map[string]bool{[]string{"x2", "w", "n", "u", "none"}[seed%5]: true}
	s.build = func(g *graph) *G.Node {
		b := &randomBuilder{r: rand.New(rand.NewPCG(seed, 3)), g: g, i: map[string]*G.Node{}}
		for name := range s.ints {
			b.i[name] = g.i(name)
		}
		// Every parameter is used, whatever is drawn later.
		bias := g.p("b")
		first := RMSNorm(Linear(g.x("x"), g.p("w"), &bias), g.p("n"), 1e-5)
		return b.grow([]*G.Node{first, Linear(g.x("x2"), g.p("u"), nil)}, steps, true)
	}
	return s
}

type randomBuilder struct {
	r *rand.Rand
	g *graph
	i map[string]*G.Node
}

// grow applies random operators to random values and joins the loose ends.
func (b *randomBuilder) grow(values []*G.Node, steps int, nest bool) *G.Node {
	read := map[*G.Node]bool{}
	pick := func() *G.Node {
		// Late values more often: deep graphs, with a few long-lived values.
		n := values[max(b.r.IntN(len(values)), b.r.IntN(len(values)))]
		read[n] = true
		return n
	}
	for range steps {
		values = append(values, b.apply(pick, nest))
	}
	var y *G.Node
	for _, v := range values {
		if !read[v] {
			if y == nil {
				y = v
			} else {
				y = Add(b.g.tape, y, v)
			}
		}
	}
	return y
}

func (b *randomBuilder) apply(pick func() *G.Node, nest bool) *G.Node {
	t, g := b.g.tape, b.g
	kinds := []string{"silu", "gelu", "gelu_tanh", "relu", "tanh", "sigmoid"}
	switch b.r.IntN(13) {
	case 0:
		return Linear(pick(), g.p("w"), nil)
	case 1:
		bias := g.p("b")
		return Linear(pick(), g.p("u"), &bias)
	case 2:
		return RMSNorm(pick(), g.p("n"), 1e-5)
	case 3:
		return LayerNorm(pick(), g.p("n"), g.p("b"), 1e-5)
	case 4, 5:
		return Activation(t, kinds[b.r.IntN(len(kinds))], pick())
	case 6:
		return SwiGLU(t, pick(), pick())
	case 7, 8:
		return Add(t, pick(), pick())
	case 9:
		return Rotary(t, pick(), b.i["positions"], NewRotaryTable(2, 10, 100, t.Dtype))
	case 10:
		shape := AttentionShape{Batch: 2, SeqLen: 3, Heads: 2, KVHeads: 2, HeadDim: 2, Causal: b.r.IntN(2) == 0}
		return Attention(t, pick(), pick(), pick(), b.i["lengths"], shape)
	case 11:
		if b.r.IntN(2) == 0 {
			return Rows(t, pick(), b.i["index"])
		}
		return Dropout(t, pick(), b.i["step"], 0.3, uint64(b.r.IntN(3)))
	}
	x := pick()
	if !nest {
		return Activation(t, "tanh", x)
	}
	seed := b.r.Uint64() // both passes draw the same block
	return Checkpoint(t, x, func(x *G.Node) *G.Node {
		inner := &randomBuilder{r: rand.New(rand.NewPCG(seed, 4)), g: g, i: b.i}
		return inner.grow([]*G.Node{x}, 4, false)
	})
}

// TestRandomGraphs: in planned and poisoned memory, random graphs compute what
// they compute when every value has memory of its own, bit for bit.
func TestRandomGraphs(t *testing.T) {
	graphs := 300
	if testing.Short() {
		graphs = 60
	}
	var planned, all int
	for seed := range uint64(graphs) {
		s := randomGraph(seed, 3+int(seed%17))
		free, bytes := s.unplanned(t, tensor.Float64)
		m := s.compile(t, tensor.Float64)
		want := free.result(t)
		for range 2 {
			if sameResult(t, m.result(t), want, 0); t.Failed() {
				t.Fatalf("random graph %d differs in planned memory", seed)
			}
		}
		planned, all = planned+m.plan.Bytes(), all+bytes
	}
	t.Logf("%d graphs: planned %d bytes, all values %d", graphs, planned, all)
}

// TestRandomGradients checks gradients of random graphs, where values have many
// readers, against central differences.
func TestRandomGradients(t *testing.T) {
	for seed := range uint64(12) {
		s := randomGraph(seed+1000, 4+int(seed))
		t.Run(s.name, func(t *testing.T) { checkGradients(t, s) })
	}
}
