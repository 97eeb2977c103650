package op

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

const loraScale = 0.5

// loraOf is a layer with a frozen base in 8 or 4 bits, or 0: in float.
func loraOf(n, in, out, rank, bits int, bias bool) subject {
	s := subject{name: fmt.Sprintf("lora/%dx%dx%d/r%d/bits=%d/bias=%v", n, in, out, rank, bits, bias),
		floats: draws("x", []int{n, in}, "down", []int{rank, in}, "up", []int{out, rank})}
	base := normal(source(), out, in)
	if bits == 0 {
		s.floats["base"], s.frozen = base, map[string]bool{"base": true}
	}
	if bias {
		s.floats["b"] = normal(source(), out)
	}
	s.build = func(g *graph) *G.Node {
		x := g.x("x")
		l := LoRA{Down: g.p("down"), Up: g.p("up"), Scale: loraScale}
		if bits > 0 {
			q := quantized(base, bits)
			l.Packed = &q
		} else {
			w := g.p("base")
			l.Base = &w
		}
		if bias {
			b := g.p("b")
			l.Bias = &b
		}
		return LoRALinear(x, l)
	}
	return s
}

func quantized(a array, bits int) kernel.Quantized {
	q := kernel.NewQuantized(bits, 256, len(a.data))
	q.Quantize(a.dense(tensor.Float32).Float32s())
	return q
}

// naiveLoRA is y = x (W0 + scale B A)ᵀ + b, entry by entry.
func naiveLoRA(s subject) []float64 {
	x, down, up := s.floats["x"], s.floats["down"], s.floats["up"]
	n, in, rank, out := x.shape[0], x.shape[1], down.shape[0], up.shape[0]
	w := make([]float64, out*in)
	if base, ok := s.floats["base"]; ok {
		copy(w, base.data)
	} else {
		bits, top := 8, 127
		if strings.Contains(s.name, "bits=4") {
			bits, top = 4, 7
		}
		q := quantized(normal(source(), out, in), bits)
		for i := range w {
			code := int(q.Codes[i*bits/8])
			if bits == 4 {
				code = code >> (4 * (i % 2)) % 16
			}
			w[i] = float64(code-top-1) * (float64(q.AbsMax[i/256]) / float64(top))
		}
	}
	y := make([]float64, n*out)
	for t := range n {
		for i := range out {
			if b, ok := s.floats["b"]; ok {
				y[t*out+i] = b.data[i]
			}
			for j := range in {
				v := w[i*in+j]
				for k := range rank {
					v += loraScale * up.data[i*rank+k] * down.data[k*in+j]
				}
				y[t*out+i] += x.data[t*in+j] * v
			}
		}
	}
	return y
}

// loraSubjects are tiny, but for the last: its base has several blocks of 8 bits.
func loraSubjects() []subject {
	var all []subject
	for _, bits := range []int{0, 8, 4} {
		for _, bias := range []bool{false, true} {
			all = append(all, loraOf(5, 4, 3, 2, bits, bias), loraOf(1, 3, 6, 1, bits, bias), loraOf(3, 4, 4, 4, bits, bias))
		}
		all = append(all, loraOf(2, 20, 31, 1, bits, true))
	}
	return all
}

// TestLoRA: forward against the equation; gradients of x, A, B and the bias are
// checked with all other operators.
func TestLoRA(t *testing.T) {
	for _, s := range loraSubjects() {
		t.Run(s.name, func(t *testing.T) {
			m := s.compile(t, tensor.Float64)
			same(t, "y", m.result(t).y, naiveLoRA(s), forwardTol)
			for _, name := range m.sink.ready {
				if name == "base" {
					t.Error("the base has got a gradient")
				}
			}
		})
	}
}

// TestLoRAFrozen: without the gradient of one operand the others stay as they are.
func TestLoRAFrozen(t *testing.T) {
	for _, bits := range []int{0, 8, 4} {
		all := loraOf(5, 4, 3, 2, bits, true).compile(t, tensor.Float64).result(t)
		for _, name := range []string{"x", "down", "up", "b"} {
			t.Run(fmt.Sprintf("%d bits without %s", bits, name), func(t *testing.T) {
				s := loraOf(5, 4, 3, 2, bits, true)
				s.frozen = map[string]bool{name: true, "base": true}
				got := s.compile(t, tensor.Float64).result(t)
				if _, ok := got.grads[name]; ok || len(got.grads) != 3 {
					t.Fatalf("gradients of %d operands, want 3 without %s", len(got.grads), name)
				}
				same(t, "y", got.y, all.y, 0)
				for other, g := range got.grads {
					same(t, "d"+other, g, all.grads[other], 1e-14)
				}
			})
		}
	}
}

// TestLoRAOfZero: with B = 0 the outputs are those of the dense layer, bit for bit.
func TestLoRAOfZero(t *testing.T) {
	for _, dtype := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		s := loraOf(37, 19, 23, 3, 0, true)
		clear(s.floats["up"].data)
		l := linearOf("linear", 37, 19, 23, true)
		l.floats["x"], l.floats["w"], l.floats["b"] = s.floats["x"], s.floats["base"], s.floats["b"]
		same(t, "y", s.compile(t, dtype).result(t).y, l.compile(t, dtype).result(t).y, 0)
	}
}

// TestLoRAAccumulates: a second micro-batch adds to the gradients of the first.
func TestLoRAAccumulates(t *testing.T) {
	m := loraOf(5, 4, 3, 2, 8, true).compile(t, tensor.Float64)
	once := m.result(t).grads
	m.sink.add = true
	if err := m.tape.Run(m.vm); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"down", "up", "b"} {
		twice := once[name]
		for i := range twice {
			twice[i] *= 2
		}
		same(t, "d"+name, float64s(m.sink.grads[name]), twice, 1e-14)
	}
}

// TestLoRAThreads: the same bits on one thread and on several.
func TestLoRAThreads(t *testing.T) {
	t.Cleanup(func() { kernel.SetThreads(0) })
	for _, bits := range []int{0, 8, 4} {
		m := loraOf(131, 259, 131, 8, bits, true).compile(t, tensor.Float32)
		kernel.SetThreads(1)
		want := m.result(t)
		for _, threads := range []int{2, 3, runtime.NumCPU()} {
			kernel.SetThreads(threads)
			sameResult(t, m.result(t), want, 0)
		}
	}
}

// TestLoRAScratch: the floating-point copies of all 8-bit bases share one piece
// of planned memory, which a float base does without.
func TestLoRAScratch(t *testing.T) {
	const width, layers = 128, 6
	planned := func(bits int) int {
		s := subject{name: "stack", floats: draws("x", []int{4, width}), frozen: map[string]bool{}}
		for i := range layers {
			s.floats[fmt.Sprint("down", i)], s.floats[fmt.Sprint("up", i)] = normal(source(), 2, width), normal(source(), width, 2)
			s.floats[fmt.Sprint("base", i)], s.frozen[fmt.Sprint("base", i)] = normal(source(), width, width), true
		}
		s.build = func(g *graph) *G.Node {
			x := g.x("x")
			for i := range layers {
				l := LoRA{Down: g.p(fmt.Sprint("down", i)), Up: g.p(fmt.Sprint("up", i)), Scale: 1}
				if bits > 0 {
					q := quantized(s.floats[fmt.Sprint("base", i)], bits)
					l.Packed = &q
				} else {
					w := g.p(fmt.Sprint("base", i))
					l.Base = &w
				}
				x = LoRALinear(x, l)
			}
			return x
		}
		m := s.compile(t, tensor.Float32)
		m.result(t)
		return m.plan.Bytes()
	}
	more, scratch := planned(8)-planned(0), 4*width*width
	if more < scratch/2 || more > scratch+scratch/4 {
		t.Errorf("8-bit bases of %d layers plan %d bytes more, want about one scratch of %d", layers, more, scratch)
	}
}

// TestLoRAShapes: operands that do not fit are named.
func TestLoRAShapes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		bits  int
		spoil func(s *subject)
		want  string
	}{
		{"up of another rank", 0, func(s *subject) { s.floats["up"] = normal(source(), 3, 3) }, "up has shape (3, 3)"},
		{"down of another width", 0, func(s *subject) { s.floats["down"] = normal(source(), 2, 5) }, "down has shape (2, 5)"},
		{"base of another width", 0, func(s *subject) { s.floats["base"] = normal(source(), 3, 5) }, "base has shape (3, 5)"},
		{"packed base of another size", 8, func(s *subject) { s.floats["up"] = normal(source(), 5, 2) }, "packed base has shape (12)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := loraOf(5, 4, 3, 2, tc.bits, false)
			tc.spoil(&s)
			if text := panicOf(func() { s.tryCompile(tensor.Float64, true) }); !strings.Contains(text, tc.want) {
				t.Errorf("panic %q, want %q in it", text, tc.want)
			}
		})
	}
}
