package op

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Tolerances against PyTorch's float64 values, of the largest element: rounding
// in another order, and, in float32, 2^-24 over sums of up to 37 terms.
var goldenTol = map[tensor.Dtype]float64{tensor.Float64: 1e-11, tensor.Float32: 1e-5}

// TestGolden compares every case of testdata/operators.npz with PyTorch.
func TestGolden(t *testing.T) {
	cases := goldenCases(t, "operators.npz")
	if len(cases) != 65 {
		t.Fatalf("%d golden cases, want 65", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "_cached") {
				goldenCached(t, c)
				return
			}
			s, rows := c.subject(t, name)
			for dtype, tol := range goldenTol {
				if dtype == tensor.Float32 && strings.HasSuffix(name, "_large") && strings.HasPrefix(name, "layer_norm") {
					tol *= 4 // x = 1000 +- 1000 loses digits in x - mean
				}
				got := s.compile(t, dtype).result(t)
				want := result{y: c["y"].data, grads: map[string][]float64{}}
				for operand := range s.floats {
					want.grads[operand] = c["d"+operand].data
				}
				clearPadding(got.y, rows)
				clearPadding(want.y, rows)
				sameResult(t, got, want, tol)
			}
		})
	}
}

// golden is one case: its tensors by name, integers as float64.
type golden map[string]array

func goldenCases(t *testing.T, file string) map[string]golden {
	t.Helper()
	f, err := npz.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cases := map[string]golden{}
	for _, key := range f.Keys() {
		name, operand, _ := strings.Cut(strings.TrimSuffix(key, ".npy"), ".")
		if cases[name] == nil {
			cases[name] = golden{}
		}
		a := array{shape: f.Header(key).Descr.Shape}
		if f.Header(key).Descr.Type == "<i4" {
			var v []int32
			if err := f.Read(key, &v); err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				a.data = append(a.data, float64(x))
			}
		} else if err := f.Read(key, &a.data); err != nil {
			t.Fatal(err)
		}
		cases[name][operand] = a
	}
	return cases
}

// matrix is the named tensor as the operators see it: [rows, columns], where the
// last `inner` dimensions are columns.
func (c golden) matrix(name string, inner int) array {
	a := c[name]
	columns := tensor.Shape(a.shape[len(a.shape)-inner:]).TotalSize()
	return array{[]int{len(a.data) / columns, columns}, a.data}
}

func (c golden) ints(name string) []int {
	var v []int
	for _, x := range c[name].data {
		v = append(v, int(x))
	}
	return v
}

// subject is the case as a graph, with the operands under PyTorch's names. padded
// lists ranges of y that PyTorch leaves without a meaning.
func (c golden) subject(t *testing.T, name string) (s subject, padded [][2]int) {
	s = subject{name: name, dy: c["dy"].data, floats: map[string]array{}, ints: map[string][]int{}}
	params := func(names ...string) {
		for _, n := range names {
			s.floats[n] = c[n]
		}
	}
	switch kind, _, _ := strings.Cut(name, "_"); {
	case kind == "linear":
		s.floats["x"] = c.matrix("x", 1)
		params("weight")
		_, biased := c["bias"]
		if biased {
			params("bias")
		}
		s.build = func(g *graph) *G.Node {
			x, w := g.x("x"), g.p("weight")
			if biased {
				b := g.p("bias")
				return Linear(x, w, &b)
			}
			return Linear(x, w, nil)
		}
	case kind == "expand":
		s.floats["x"] = c.matrix("x", 1)
		params("weight")
		s.build = func(g *graph) *G.Node { return Expand(g.x("x"), g.p("weight")) }
	case kind == "rms":
		s.floats["x"] = c.matrix("x", 1)
		params("weight")
		s.build = func(g *graph) *G.Node { return RMSNorm(g.x("x"), g.p("weight"), 1e-5) }
	case kind == "layer":
		s.floats["x"] = c.matrix("x", 1)
		params("weight", "bias")
		s.build = func(g *graph) *G.Node { return LayerNorm(g.x("x"), g.p("weight"), g.p("bias"), 1e-5) }
	case kind == "rotary":
		s.floats["x"] = c.matrix("x", 2)
		shape := c["x"].shape
		for range shape[0] {
			s.ints["positions"] = append(s.ints["positions"], c.ints("positions")...)
		}
		s.build = func(g *graph) *G.Node {
			return Rotary(g.tape, g.x("x"), g.i("positions"), NewRotaryTable(shape[3], 103, 10000, g.tape.Dtype))
		}
	case kind == "attention":
		return c.attention(s, strings.Contains(name, "causal"))
	case kind == "silu" || kind == "gelu":
		params("x")
		s.build = func(g *graph) *G.Node { return Activation(g.tape, strings.TrimSuffix(name, "_erf"), g.x("x")) }
	case kind == "swiglu":
		params("gate", "up")
		s.build = func(g *graph) *G.Node { return SwiGLU(g.tape, g.x("gate"), g.x("up")) }
	case kind == "cross":
		return c.crossEntropy(s, name), nil
	case kind == "dense":
		params("x", "dictionary", "values", "bias")
		s.build = func(g *graph) *G.Node {
			bias, layout := g.p("bias"), c.ints("layout")
			l := DenseSparse{Nonzeros: c.ints("nonzeros"), Atoms: layout[0], Outputs: layout[1] == 1, Bias: &bias}
			for _, k := range c.ints("index") {
				l.Index = append(l.Index, uint8(k))
			}
			x := g.x("x")
			l.Dictionary, l.Values = g.p("dictionary"), g.p("values")
			return DenseSparseLinear(x, l)
		}
	case kind == "sltrain":
		params("x", "down", "up", "values", "bias", "scale")
		s.build = func(g *graph) *G.Node {
			bias, scale := g.p("bias"), g.p("scale")
			l := SparseLowRank{Bias: &bias, LearnedScale: &scale, Mode: strings.TrimPrefix(name, "sltrain_")}
			for _, p := range c.ints("places") {
				l.Places = append(l.Places, int32(p))
			}
			x := g.x("x")
			l.Down, l.Up, l.Values = g.p("down"), g.p("up"), g.p("values")
			return SparseLowRankLinear(x, l)
		}
	case kind == "embedding":
		params("weight")
		s.ints["ids"] = c.ints("ids")
		s.build = func(g *graph) *G.Node { return Embedding(g.i("ids"), g.p("weight")) }
	case name == "add":
		s.floats["a"], s.floats["b"] = c.matrix("a", 1), c.matrix("b", 1)
		s.build = func(g *graph) *G.Node { return Add(g.tape, g.x("a"), g.x("b")) }
	case name == "add_positions":
		s.floats["a"], s.floats["b"] = c.matrix("a", 1), c["b"]
		for range c["a"].shape[0] {
			for i := range c["b"].shape[0] {
				s.ints["index"] = append(s.ints["index"], i)
			}
		}
		s.build = func(g *graph) *G.Node { return Add(g.tape, g.x("a"), Rows(g.tape, g.x("b"), g.i("index"))) }
	default:
		t.Fatalf("no graph for golden case %s", name)
	}
	return s, nil
}

func (c golden) attentionShape(causal bool) AttentionShape {
	q, k := c["q"].shape, c["k"].shape
	return AttentionShape{Batch: q[0], SeqLen: q[1], Heads: q[2], KVHeads: k[2], HeadDim: q[3], Causal: causal}
}

func (c golden) attention(s subject, causal bool) (_ subject, padded [][2]int) {
	shape := c.attentionShape(causal)
	width := shape.Heads * shape.HeadDim
	for _, n := range []string{"q", "k", "v"} {
		s.floats[n] = c.matrix(n, 2)
	}
	_, masked := c["lengths"]
	if masked {
		s.ints["lengths"] = c.ints("lengths")
		for b, n := range s.ints["lengths"] {
			padded = append(padded, [2]int{(b*shape.SeqLen + n) * width, (b + 1) * shape.SeqLen * width})
		}
	}
	s.build = func(g *graph) *G.Node {
		var lengths *G.Node
		if masked {
			lengths = g.i("lengths")
		}
		return Attention(g.tape, g.x("q"), g.x("k"), g.x("v"), lengths, shape)
	}
	return s, padded
}

// crossEntropy is the sum that our operator computes; PyTorch's mean is it
// divided by the number of targets, which goes into the upstream gradient.
func (c golden) crossEntropy(s subject, name string) subject {
	s.floats["logits"] = c.matrix("logits", 1)
	s.ints["targets"] = c.ints("targets")
	divisor := 0.0
	for _, target := range s.ints["targets"] {
		if target != Ignored {
			divisor++
		}
	}
	if name == "cross_entropy_sum" {
		divisor = 1
	}
	s.dy = []float64{c["dy"].data[0] / divisor}
	c["y"].data[0] *= divisor
	s.build = func(g *graph) *G.Node { return CrossEntropy(g.tape, g.x("logits"), g.i("targets")) }
	return s
}

func clearPadding(y []float64, ranges [][2]int) {
	for _, r := range ranges {
		clear(y[r[0]:r[1]])
	}
}
