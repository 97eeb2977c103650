package op

import (
	"fmt"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// quantizedOf is a product with a weight in few bits, of [n, in] with [out, in].
func quantizedOf(n, in, out, bits int, bias bool) subject {
	s := subject{name: fmt.Sprintf("quantized/%dx%dx%d/bits=%d/bias=%v", n, in, out, bits, bias), floats: draws("x", []int{n, in})}
	if bias {
		s.floats["b"] = normal(source(), out)
	}
	w := quantized(normal(source(), out, in), bits)
	s.build = func(g *graph) *G.Node {
		if !bias {
			return QuantizedLinear(g.tape, g.x("x"), w, out, nil)
		}
		b := g.p("b")
		return QuantizedLinear(g.tape, g.x("x"), w, out, &b)
	}
	return s
}

// valuesOf are the values of the weight of quantizedOf, by the documentation of kernel.Quantized.
func valuesOf(in, out, bits int) array {
	w := quantized(normal(source(), out, in), bits)
	top := 1<<(bits-1) - 1
	a := array{[]int{out, in}, make([]float64, out*in)}
	for i := range a.data {
		code := int(w.Codes[i*bits/8])
		if bits == 4 {
			code = code >> (4 * (i % 2)) % 16
		}
		a.data[i] = float64(code-top-1) * (float64(w.AbsMax[i/w.Block]) / float64(top))
	}
	return a
}

// used runs a subject's graph without gradients, twice.
func (s subject) used(t *testing.T, dtype tensor.Dtype) []float64 {
	t.Helper()
	g := s.operands(dtype)
	g.tape = NewTape(dtype, false)
	y := s.build(g)
	if err := g.tape.Check(); err != nil {
		t.Fatal(err)
	}
	plan, err := g.tape.Plan(true, y)
	if err != nil {
		t.Fatal(err)
	}
	plan.Bind(&Arena{})
	vm := G.NewTapeMachine(g.tape.Graph)
	var first []float64
	for range 2 {
		if err := g.tape.Run(vm); err != nil {
			t.Fatal(err)
		}
		now := float64s(y.Value())
		if first != nil {
			same(t, "the second y", now, first, 0)
		}
		first = now
	}
	return first
}

// TestQuantizedLinear: in float64 against the loop over the equation, and in float32 bit by bit what a linear layer over the
// weight's values computes, for few and for many rows.
func TestQuantizedLinear(t *testing.T) {
	for _, bits := range []int{8, 4} {
		for _, bias := range []bool{false, true} {
			for _, size := range [][3]int{{1, 4, 3}, {5, 3, 7}, {1, 256, 40}, {40, 21, 19}, {70, 64, 3}} {
				n, in, out := size[0], size[1], size[2]
				s := quantizedOf(n, in, out, bits, bias)
				t.Run(s.name, func(t *testing.T) {
					l := s
					l.floats = map[string]array{"x": s.floats["x"], "w": valuesOf(in, out, bits)}
					if bias {
						l.floats["b"] = s.floats["b"]
					}
					l.build = linearOf("linear", n, in, out, bias).build
					same(t, "y", s.used(t, tensor.Float64), naiveLinear(l), forwardTol)
					same(t, "y in float32", s.used(t, tensor.Float32), l.used(t, tensor.Float32), 0)
				})
			}
		}
	}
}

// TestDequantized: the values are those of the documentation.
func TestDequantized(t *testing.T) {
	for _, bits := range []int{8, 4} {
		s := subject{name: "dequantized", build: func(g *graph) *G.Node {
			return Dequantized(g.tape, "w.absmax", quantized(normal(source(), 17, 31), bits), 17, 31)
		}}
		same(t, "W", s.used(t, tensor.Float64), valuesOf(31, 17, bits).data, 0)
	}
}

// TestQuantizedLinearRefuses: a weight of another size, and a gradient, are an error that says so.
func TestQuantizedLinearRefuses(t *testing.T) {
	s := quantizedOf(2, 5, 3, 8, false)
	got := panicOf(func() {
		g := s.operands(tensor.Float32)
		QuantizedLinear(g.tape, g.x("x"), kernel.NewQuantized(8, 64, 14), 3, nil)
	})
	if want := "quantized_linear: weight has shape (14), want 15 elements for [3, 5]"; !strings.Contains(got, want) {
		t.Errorf("panic %q, want %q", got, want)
	}
	if _, err := s.tryCompile(tensor.Float32, false); err == nil || !strings.Contains(err.Error(), "quantized_linear has no gradient") {
		t.Errorf("%v, want no gradient", err)
	}
}
