package op

import (
	"errors"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Values with several readers: their gradients add up without a stock operator,
// whichever operators read them and whichever parameters are frozen.

// fanouts are graphs in which a value has two or three readers.
func fanouts() []subject {
	square := draws("x", []int{3, 4}, "w", []int{4, 4}, "u", []int{4, 4}, "n", []int{4}, "m", []int{4},
		"k", []int{4, 4, 3, 3}, "d", []int{4, 1, 3, 3}, "e", []int{4})
	build := map[string]func(g *graph, x *G.Node) *G.Node{
		"added to itself": func(g *graph, x *G.Node) *G.Node { return Add(g.tape, x, x) },
		"gated by itself": func(g *graph, x *G.Node) *G.Node { return SwiGLU(g.tape, x, x) },
		"attending to itself": func(g *graph, x *G.Node) *G.Node {
			return Attention(g.tape, x, x, x, nil, AttentionShape{Batch: 1, SeqLen: 3, Heads: 2, KVHeads: 2, HeadDim: 2, Causal: true})
		},
		"linear and residual": func(g *graph, x *G.Node) *G.Node { return Add(g.tape, x, Linear(x, g.p("w"), nil)) },
		"residual and linear": func(g *graph, x *G.Node) *G.Node { return Add(g.tape, Linear(x, g.p("w"), nil), x) },
		"expand and residual": func(g *graph, x *G.Node) *G.Node { return Add(g.tape, x, Expand(x, g.p("w"))) },
		"tied factor": func(g *graph, x *G.Node) *G.Node {
			return Add(g.tape, Linear(x, g.p("w"), nil), Expand(x, g.p("w")))
		},
		"norm and residual": func(g *graph, x *G.Node) *G.Node { return Add(g.tape, x, RMSNorm(x, g.p("n"), 1e-5)) },
		"layer norm and residual": func(g *graph, x *G.Node) *G.Node {
			return Add(g.tape, x, LayerNorm(x, g.p("n"), g.p("m"), 1e-5))
		},
		"two linears": func(g *graph, x *G.Node) *G.Node {
			return SwiGLU(g.tape, Linear(x, g.p("w"), nil), Linear(x, g.p("u"), nil))
		},
		"three readers": func(g *graph, x *G.Node) *G.Node {
			return Add(g.tape, Add(g.tape, Linear(x, g.p("w"), nil), Activation(g.tape, "tanh", x)), RMSNorm(x, g.p("n"), 1e-5))
		},
		"three linears": func(g *graph, x *G.Node) *G.Node {
			a := Linear(x, g.p("w"), nil)
			return Add(g.tape, Add(g.tape, a, Linear(x, g.p("u"), nil)), Linear(a, g.p("w"), nil))
		},
		"a reader of readers": func(g *graph, x *G.Node) *G.Node {
			h := Activation(g.tape, "silu", x)
			return Add(g.tape, Add(g.tape, x, h), SwiGLU(g.tape, h, x))
		},
		"convolution and residual": func(g *graph, x *G.Node) *G.Node {
			return Add(g.tape, x, Conv2d(x, g.p("k"), nil, ConvShape{Map: Map{1, 3, 1}, Kernel: 3, Padding: 1}))
		},
		"depthwise convolution and residual": func(g *graph, x *G.Node) *G.Node {
			return Add(g.tape, x, DepthwiseConv(x, g.p("d"), g.p("e"), DepthwiseShape{Map: Map{1, 3, 1}}))
		},
		"columns and residual": func(g *graph, x *G.Node) *G.Node {
			y := Reshape(g.tape, x, 6, 2)
			return Add(g.tape, Add(g.tape, Columns(g.tape, x, 0, 2), Columns(g.tape, x, 2, 4)), Reshape(g.tape, Columns(g.tape, y, 1, 2), 3, 2))
		},
		"blocks in a row": func(g *graph, x *G.Node) *G.Node {
			for range 3 {
				x = Add(g.tape, x, Linear(Activation(g.tape, "gelu", RMSNorm(x, g.p("n"), 1e-5)), g.p("w"), nil))
			}
			return x
		},
	}
	var subjects []subject
	for name, f := range build {
		s := subject{name: name, floats: map[string]array{"x": square["x"]}}
		s.build = func(g *graph) *G.Node { return f(g, g.x("x")) }
		for _, p := range usedBy(s, square) {
			s.floats[p] = square[p]
		}
		subjects = append(subjects, s)
	}
	slices.SortFunc(subjects, func(a, b subject) int { return strings.Compare(a.name, b.name) })
	return subjects
}

// usedBy lists the operands of pool that s reads.
func usedBy(s subject, pool map[string]array) []string {
	s.floats = pool
	g := s.operands(tensor.Float64)
	s.build(g)
	var used []string
	for name := range pool {
		if g.tape.names[name] {
			used = append(used, name)
		}
	}
	return used
}

func TestFanout(t *testing.T) {
	for _, s := range fanouts() {
		t.Run(s.name, func(t *testing.T) {
			checkGradients(t, s)
			if err := s.compile(t, tensor.Float64).tape.Check(); err != nil {
				t.Error(err) // a stock addition, for one
			}
		})
	}
}

// Freezing any one operand leaves the other gradients as they were.
func TestFanoutFrozen(t *testing.T) {
	for _, s := range fanouts() {
		all := s.compile(t, tensor.Float64).result(t)
		for name := range s.floats {
			if len(s.floats) == 1 {
				continue
			}
			t.Run(s.name+" without "+name, func(t *testing.T) {
				frozen := s
				frozen.frozen = map[string]bool{name: true}
				got := frozen.compile(t, tensor.Float64).result(t)
				if _, ok := got.grads[name]; ok {
					t.Fatalf("frozen %s has a gradient", name)
				}
				same(t, "y", got.y, all.y, 0)
				for other, g := range got.grads {
					same(t, "d"+other, g, all.grads[other], 1e-14)
				}
			})
		}
	}
}

// A reader that does not lead to the loss is an error, whether it came first or
// second, and never a gradient that is silently too small.
func TestUnreachable(t *testing.T) {
	loose := func(g *graph, y *G.Node) *G.Node { return Activation(g.tape, "tanh", y) }
	for _, tc := range []struct {
		name  string
		build func(g *graph) *G.Node
	}{
		{"first reader", func(g *graph) *G.Node {
			x := g.x("x")
			loose(g, x)
			return Activation(g.tape, "silu", x)
		}},
		{"second reader", func(g *graph) *G.Node {
			x := g.x("x")
			y := Activation(g.tape, "silu", x)
			loose(g, x)
			return y
		}},
		{"second of three", func(g *graph) *G.Node {
			x := g.x("x")
			y := Activation(g.tape, "silu", x)
			loose(g, x)
			return Add(g.tape, y, x)
		}},
		{"parameter", func(g *graph) *G.Node {
			x := g.x("x")
			Linear(x, g.p("w"), nil)
			return x
		}},
		{"inside a checkpoint", func(g *graph) *G.Node {
			return Checkpoint(g.tape, g.x("x"), func(x *G.Node) *G.Node {
				loose(g, x)
				return Activation(g.tape, "silu", x)
			})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := subject{name: tc.name, floats: draws("x", []int{2, 3}, "w", []int{3, 3}), build: tc.build}
			if _, err := s.tryCompile(tensor.Float64, true); !errors.Is(err, ErrUnreachable) {
				t.Errorf("error %v, want ErrUnreachable", err)
			}
		})
	}
}
