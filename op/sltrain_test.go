package op

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// sparseSubject is a layer and its naive forward pass.
type sparseSubject struct {
	subject
	naive func() []float64 // slow at a benchmark's sizes
}

// sparseOf is a sparse-plus-low-rank layer of n rows in one mode.
func sparseOf(n, in, out, rank, nonzeros int, mode string, bias, learned bool) sparseSubject {
	r := source()
	places := make([]int32, 0, nonzeros)
	for _, p := range r.Perm(in * out)[:nonzeros] {
		places = append(places, int32(p))
	}
	slices.Sort(places)
	s := subject{name: fmt.Sprintf("sltrain/%s/%dx%dx%d/r%d/z%d/bias=%v/learned=%v", mode, n, in, out, rank, nonzeros, bias, learned),
		floats: draws("x", []int{n, in}, "down", []int{rank, in}, "up", []int{out, rank}, "values", []int{nonzeros})}
	if bias {
		s.floats["b"] = normal(source(), out)
	}
	if learned {
		s.floats["scale"] = normal(source(), 1)
	}
	s.build = func(g *graph) *G.Node {
		l := SparseLowRank{Places: places, Scale: 0.25, Mode: mode}
		x := g.x("x")
		l.Down, l.Up, l.Values = g.p("down"), g.p("up"), g.p("values")
		if bias {
			b := g.p("b")
			l.Bias = &b
		}
		if learned {
			p := g.p("scale")
			l.LearnedScale = &p
		}
		return SparseLowRankLinear(x, l)
	}
	return sparseSubject{s, func() []float64 { return naiveSparse(s, places, bias, learned, n, in, out, rank) }}
}

// naiveSparse is y = x (scale B A + S)ᵀ + b, entry by entry.
func naiveSparse(s subject, places []int32, bias, learned bool, n, in, out, rank int) []float64 {
	scale := 0.25
	if learned {
		scale = math.Tanh(s.floats["scale"].data[0])
	}
	w := make([]float64, out*in)
	for i := range out {
		for j := range in {
			for k := range rank {
				w[i*in+j] += scale * s.floats["up"].data[i*rank+k] * s.floats["down"].data[k*in+j]
			}
		}
	}
	for k, p := range places {
		w[p] += s.floats["values"].data[k]
	}
	y := make([]float64, n*out)
	for t := range n {
		for i := range out {
			if bias {
				y[t*out+i] = s.floats["b"].data[i]
			}
			for j := range in {
				y[t*out+i] += s.floats["x"].data[t*in+j] * w[i*in+j]
			}
		}
	}
	return y
}

func sparseSubjects(mode string) []sparseSubject {
	return []sparseSubject{
		sparseOf(5, 4, 3, 2, 5, mode, false, false),
		sparseOf(5, 4, 3, 2, 5, mode, true, true),
		sparseOf(1, 3, 6, 1, 1, mode, true, false),
		sparseOf(3, 5, 4, 4, 20, mode, false, true),
	}
}

// TestSparseLowRank: forward against the equation, gradients of x, A, B, the
// values, the scale and the bias against finite differences, both modes.
func TestSparseLowRank(t *testing.T) {
	for _, mode := range []string{"materialized", "factored"} {
		for _, s := range sparseSubjects(mode) {
			t.Run(s.name, func(t *testing.T) {
				m := s.compile(t, tensor.Float64)
				same(t, "y", m.result(t).y, s.naive(), 1e-12)
				checkGradients(t, s.subject)
			})
		}
	}
}

// TestSparseModesAgree: both modes give the same results, over several blocks of
// tokens, in both types.
func TestSparseModesAgree(t *testing.T) {
	for _, c := range []struct {
		dtype tensor.Dtype
		tol   float64
	}{{tensor.Float64, 1e-11}, {tensor.Float32, 2e-4}} {
		for _, n := range []int{7, tokenBlock, 2*tokenBlock + 3} {
			t.Run(fmt.Sprintf("%v/%d", c.dtype, n), func(t *testing.T) {
				dense := sparseOf(n, 24, 40, 6, 96, "materialized", true, true).compile(t, c.dtype).result(t)
				sparse := sparseOf(n, 24, 40, 6, 96, "factored", true, true).compile(t, c.dtype).result(t)
				sameResult(t, sparse, dense, c.tol)
			})
		}
	}
}

// TestSparseChoice: without a mode the choice follows FactoredPays.
func TestSparseChoice(t *testing.T) {
	for _, n := range []int{1, 4096} {
		want := "sltrain.materialized"
		if FactoredPays(n, 24, 40, 2, 3) {
			want = "sltrain.factored"
		}
		m := sparseOf(n, 24, 40, 2, 3, "", false, false).compile(t, tensor.Float32)
		found := false
		for _, o := range m.tape.ops {
			found = found || o.name == want
		}
		if !found {
			t.Errorf("%d rows: no operator %s", n, want)
		}
	}
	// A layer of rank 8 is factored at any batch; at a rank near the width it
	// costs more than the dense product.
	if !FactoredPays(4096, 512, 512, 8, 512) || FactoredPays(4096, 512, 512, 384, 7864) {
		t.Error("rank 8 of 512 should be factored and rank 384 materialized")
	}
}

// TestSparseShapes: operands that do not fit are named.
func TestSparseShapes(t *testing.T) {
	s := sparseOf(5, 4, 3, 2, 5, "materialized", false, false)
	s.floats["up"] = normal(source(), 3, 3)
	if text := panicOf(func() { s.tryCompile(tensor.Float64, true) }); !strings.Contains(text, "up has shape (3, 3)") {
		t.Errorf("an up factor of another rank: %q", text)
	}
}
