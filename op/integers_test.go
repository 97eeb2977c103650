package op

import (
	"fmt"
	"math"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// integersOf is a product with integers, of [n, in] with [out, in].
func integersOf(n, in, out, bits int, bias bool) subject {
	s := quantizedOf(n, in, out, bits, bias)
	w := kernel.NewIntegers(quantized(normal(source(), out, in), bits), out, in)
	s.build = func(g *graph) *G.Node {
		if !bias {
			return IntegerLinear(g.tape, g.x("x"), w, nil)
		}
		b := g.p("b")
		return IntegerLinear(g.tape, g.x("x"), w, &b)
	}
	return s
}

// TestIntegerLinear: products of integers are as near to those of float64 as 8 bits of an activation are.
func TestIntegerLinear(t *testing.T) {
	for _, bits := range []int{8, 4} {
		for _, bias := range []bool{false, true} {
			for _, size := range [][3]int{{1, 64, 40}, {5, 64, 7}, {40, 128, 70}} {
				n, in, out := size[0], size[1], size[2]
				t.Run(fmt.Sprintf("%dx%dx%d/bits=%d/bias=%v", n, in, out, bits, bias), func(t *testing.T) {
					s, l := integersOf(n, in, out, bits, bias), quantizedOf(n, in, out, bits, bias)
					got, want := s.used(t, tensor.Float32), l.used(t, tensor.Float64)
					x, w := s.floats["x"].data, valuesOf(in, out, bits).data
					for i := range want {
						var largest, sum float64
						for k := range in {
							largest, sum = max(largest, math.Abs(x[i/out*in+k])), sum+math.Abs(w[i%out*in+k])
						}
						if bound := largest / 254 * sum * 1.01; math.Abs(got[i]-want[i]) > bound {
							t.Fatalf("element %d: got %g, want %g within %g", i, got[i], want[i], bound)
						}
					}
				})
			}
		}
	}
}

// TestIntegerRows: rows are those of the matrix; an id that it does not have is an error.
func TestIntegerRows(t *testing.T) {
	const vocab, width = 37, 64
	for _, bits := range []int{8, 4} {
		w := kernel.NewIntegers(quantized(normal(source(), vocab, width), bits), vocab, width)
		ids := []int{0, 36, 5, 5}
		tape := NewTape(tensor.Float32, false)
		in := tape.Input("ids", tensor.New(tensor.WithShape(len(ids)), tensor.WithBacking(ids)))
		y := IntegerRows(tape, in, w)
		if err := tape.Check(); err != nil {
			t.Fatal(err)
		}
		plan, err := tape.Plan(true, y)
		if err != nil {
			t.Fatal(err)
		}
		plan.Bind(&Arena{})
		vm := G.NewTapeMachine(tape.Graph)
		if err := tape.Run(vm); err != nil {
			t.Fatal(err)
		}
		all := valuesOf(width, vocab, bits).data
		for i, id := range ids {
			same(t, "row", float64s(y.Value())[i*width:(i+1)*width], all[id*width:(id+1)*width], 1e-6)
		}
		ids[2] = vocab
		if err := tape.Run(vm); err == nil || !strings.Contains(err.Error(), "id 37 at position 2, want 0 to 36") {
			t.Errorf("%v, want an error about the id", err)
		}
	}
}

// TestIntegerLinearRefuses: an input of another width, another type, and a gradient, are an error that says so.
func TestIntegerLinearRefuses(t *testing.T) {
	s := integersOf(2, 64, 3, 8, false)
	w := kernel.NewIntegers(kernel.NewQuantized(8, 64, 3*32), 3, 32)
	got := panicOf(func() {
		g := s.operands(tensor.Float32)
		IntegerLinear(g.tape, g.x("x"), w, nil)
	})
	if want := "integer_linear: x has shape (2, 64), want [N, 32]"; !strings.Contains(got, want) {
		t.Errorf("panic %q, want %q", got, want)
	}
	if got := panicOf(func() { s.build(s.operands(tensor.Float64)) }); !strings.Contains(got, "float32, not float64") {
		t.Errorf("panic %q, want one about float32", got)
	}
	if _, err := s.tryCompile(tensor.Float32, false); err == nil || !strings.Contains(err.Error(), "integer_linear has no gradient") {
		t.Errorf("%v, want no gradient", err)
	}
}
