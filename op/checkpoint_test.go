package op

import (
	"fmt"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// TestCheckpoint recomputes blocks: output and gradients are bit for bit those of
// the plain graph, dropout included, and several blocks need fewer bytes.
func TestCheckpoint(t *testing.T) {
	for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		for _, layers := range []int{1, 2, 6} {
			for _, dropout := range []float64{0, 0.3} {
				t.Run(fmt.Sprintf("%v %d blocks dropout %v", dtype, layers, dropout), func(t *testing.T) {
					size := decoderSize{layers: layers, width: 16, hidden: 44, vocab: 13, batch: 2, length: 35, dropout: dropout}
					plain := decoderOf(size).compile(t, dtype)
					size.checkpoint = true
					recomputed := decoderOf(size).compile(t, dtype)
					want := plain.result(t)
					for range 2 {
						sameResult(t, recomputed.result(t), want, 0)
					}
					if a, b := recomputed.plan.Bytes(), plain.plan.Bytes(); layers > 2 && a*2 > b {
						t.Errorf("%d bytes with checkpoints, %d without: want less than half at %d blocks", a, b, layers)
					}
					slices.Sort(recomputed.sink.ready)
					if ready := slices.Compact(slices.Clone(recomputed.sink.ready)); !slices.Equal(ready, recomputed.sink.ready) || len(ready) != len(want.grads) {
						t.Errorf("ready calls %v, want each parameter once", recomputed.sink.ready)
					}
				})
			}
		}
	}
}

// Checkpoints in special places: within one another, in a row, on a value with
// other readers, over a parameter used outside as well.
func TestCheckpointPlaces(t *testing.T) {
	layer := func(g *graph, x *G.Node) *G.Node {
		return Add(g.tape, x, Linear(Activation(g.tape, "silu", RMSNorm(x, g.p("n"), 1e-5)), g.p("w"), nil))
	}
	type wrapper func(t *Tape, x *G.Node, f func(*G.Node) *G.Node) *G.Node
	plain := func(_ *Tape, x *G.Node, f func(*G.Node) *G.Node) *G.Node { return f(x) }
	for name, build := range map[string]func(g *graph, wrap wrapper) *G.Node{
		"shared parameters": func(g *graph, wrap wrapper) *G.Node {
			x := layer(g, g.x("x"))
			for range 3 {
				x = wrap(g.tape, x, func(x *G.Node) *G.Node { return layer(g, x) })
			}
			return layer(g, x)
		},
		"nested": func(g *graph, wrap wrapper) *G.Node {
			return wrap(g.tape, g.x("x"), func(x *G.Node) *G.Node {
				for range 2 {
					x = wrap(g.tape, x, func(x *G.Node) *G.Node { return layer(g, layer(g, x)) })
				}
				return x
			})
		},
		"input read elsewhere": func(g *graph, wrap wrapper) *G.Node {
			x := layer(g, g.x("x"))
			y := wrap(g.tape, x, func(x *G.Node) *G.Node { return layer(g, x) })
			return Add(g.tape, Add(g.tape, y, x), Linear(y, g.p("w"), nil))
		},
		"output read twice": func(g *graph, wrap wrapper) *G.Node {
			y := wrap(g.tape, g.x("x"), func(x *G.Node) *G.Node { return layer(g, x) })
			return SwiGLU(g.tape, y, y)
		},
		"without parameters": func(g *graph, wrap wrapper) *G.Node {
			x := layer(g, g.x("x"))
			return wrap(g.tape, x, func(x *G.Node) *G.Node { return Activation(g.tape, "gelu", Activation(g.tape, "tanh", x)) })
		},
	} {
		s := subject{name: name, floats: draws("x", []int{3, 4}, "w", []int{4, 4}, "n", []int{4})}
		s.build = func(g *graph) *G.Node { return build(g, plain) }
		want := s.compile(t, tensor.Float64).result(t)
		s.build = func(g *graph) *G.Node { return build(g, Checkpoint) }
		for _, frozen := range []string{"", "x", "w", "n"} {
			t.Run(fmt.Sprintf("%s frozen %q", name, frozen), func(t *testing.T) {
				s.frozen = map[string]bool{frozen: true}
				got := s.compile(t, tensor.Float64).result(t)
				same(t, "y", got.y, want.y, 0)
				for p, g := range got.grads {
					// A parameter used in and outside the block sums its shares in another order.
					same(t, "d"+p, g, want.grads[p], 1e-14)
				}
				if frozen == "" {
					checkGradients(t, s)
				}
			})
		}
	}
}

// A tape that does not train has nothing to recompute.
func TestCheckpointWithoutTraining(t *testing.T) {
	tp := NewTape(tensor.Float64, false)
	x := tp.Input("x", array{[]int{2, 2}, []float64{1, 2, 3, 4}}.dense(tensor.Float64))
	calls := 0
	Checkpoint(tp, x, func(x *G.Node) *G.Node { calls++; return Activation(tp, "tanh", x) })
	if calls != 1 || len(tp.ops) != 1 {
		t.Errorf("%d calls and %d operators, want 1 and 1", calls, len(tp.ops))
	}
}
