package op

import (
	"fmt"
	"math"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/kernel"
)

// gruOf is a layer over batch sequences of seqLen tokens; lengths nil: all count.
// directions has "f" for forward and "r" for reversed.
func gruOf(name, directions string, batch, seqLen, hidden int, lengths []int) subject {
	s := subject{name: name, floats: map[string]array{}}
	r := source()
	for _, d := range directions { // weights first: they shall not depend on the lengths
		s.floats["w"+string(d)] = normal(r, 3*hidden, hidden)
		s.floats["b"+string(d)] = normal(r, 3*hidden)
	}
	for _, d := range directions {
		s.floats["x"+string(d)] = normal(r, batch*seqLen, 3*hidden)
	}
	for name, a := range s.floats {
		for i := range a.data {
			if name[0] == 'w' {
				a.data[i] = float64(float32(a.data[i] / math.Sqrt(float64(hidden))))
			}
		}
	}
	if lengths != nil {
		s.ints = map[string][]int{"lengths": lengths}
	}
	s.build = func(g *graph) *G.Node {
		var l *G.Node
		if lengths != nil {
			l = g.i("lengths")
		}
		var layers []GRUDirection
		for _, d := range directions {
			layers = append(layers, GRUDirection{g.x("x" + string(d)), g.p("w" + string(d)), g.p("b" + string(d)), d == 'r'})
		}
		return GRU(g.tape, batch, seqLen, l, layers...)
	}
	return s
}

// naiveGRU is the four equations, token by token.
func naiveGRU(s subject, directions string, batch, seqLen, hidden int) []float64 {
	y := make([]float64, batch*seqLen*len(directions)*hidden)
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for place, d := range directions {
		x, w, bias := s.floats["x"+string(d)].data, s.floats["w"+string(d)].data, s.floats["b"+string(d)].data
		for b := range batch {
			length := seqLen
			if l, ok := s.ints["lengths"]; ok {
				length = l[b]
			}
			state := make([]float64, hidden)
			for i := range length {
				t := i
				if d == 'r' {
					t = length - 1 - i
				}
				next := make([]float64, hidden)
				for j := range hidden {
					recurrent := [3]float64{bias[j], bias[hidden+j], bias[2*hidden+j]}
					for gate := range 3 {
						for k := range hidden {
							recurrent[gate] += w[(gate*hidden+j)*hidden+k] * state[k]
						}
					}
					in := x[(b*seqLen+t)*3*hidden:]
					r, z := sigmoid(in[j]+recurrent[0]), sigmoid(in[hidden+j]+recurrent[1])
					n := math.Tanh(in[2*hidden+j] + r*recurrent[2])
					next[j] = (1-z)*n + z*state[j]
				}
				state = next
				copy(y[((b*seqLen+t)*len(directions)+place)*hidden:], state)
			}
		}
	}
	return y
}

// gruSubjects are the layers of the gradient checks.
func gruSubjects() []subject {
	return []subject{
		gruOf("gru forward", "f", 2, 3, 2, nil),
		gruOf("gru reversed", "r", 2, 3, 2, nil),
		gruOf("gru bidirectional", "fr", 2, 3, 3, nil),
		gruOf("gru forward padded", "f", 3, 3, 2, []int{2, 0, 3}),
		gruOf("gru bidirectional padded", "fr", 4, 4, 2, []int{1, 3, 0, 2}),
		gruOf("gru of one token", "fr", 1, 1, 2, nil),
	}
}

func TestGRUForward(t *testing.T) {
	long := make([]int, 35) // over two pieces
	for i := range long {
		long[i] = (i * 5) % 8
	}
	for _, tc := range []struct {
		directions            string
		batch, seqLen, hidden int
		lengths               []int
	}{
		{"f", 3, 4, 5, nil},
		{"r", 3, 4, 5, nil},
		{"fr", 3, 4, 5, nil},
		{"fr", 3, 4, 5, []int{4, 2, 0}},
		{"fr", 35, 7, 9, long},
		{"fr", 2, 3, 4, []int{0, 0}},
	} {
		s := gruOf(fmt.Sprintf("gru %s %dx%dx%d %v", tc.directions, tc.batch, tc.seqLen, tc.hidden, tc.lengths), tc.directions, tc.batch, tc.seqLen, tc.hidden, tc.lengths)
		t.Run(s.name, func(t *testing.T) {
			want := naiveGRU(s, tc.directions, tc.batch, tc.seqLen, tc.hidden)
			same(t, s.name, s.compile(t, tensor.Float64).result(t).y, want, forwardTol)
			if got := s.scored(t); !slices.Equal(got, s.compile(t, tensor.Float64).result(t).y) {
				t.Errorf("%s: without a backward pass the output differs", s.name)
			}
		})
	}
}

// scored runs s on a tape that does not train, twice in one arena, so that what
// the first run leaves would be seen.
func (s subject) scored(t *testing.T) []float64 {
	t.Helper()
	g := s.operands(tensor.Float64)
	g.tape.training = false
	y := s.build(g)
	plan, err := g.tape.Plan(true, y)
	if err != nil {
		t.Fatal(err)
	}
	vm, arena := G.NewTapeMachine(g.tape.Graph), &Arena{}
	for range 2 {
		plan.Bind(arena)
		if err := g.tape.Run(vm); err != nil {
			t.Fatal(err)
		}
	}
	return float64s(y.Value())
}

// TestGRUPadding: more padding, and other values in it, change no bit of the
// outputs and gradients of tokens that count, and nothing but the order of the
// sums over tokens in those of the weights; those of padding are zero.
func TestGRUPadding(t *testing.T) {
	const batch, hidden, short, long = 3, 4, 5, 8
	lengths := []int{5, 2, 3}
	at := func(seqLen int, garbage float64) result {
		s := gruOf("gru", "fr", batch, seqLen, hidden, lengths)
		r := source()
		for _, d := range []string{"f", "r"} { // the same numbers for the same tokens
			tokens := normal(r, batch*short, 3*hidden)
			x := s.floats["x"+d]
			for b := range batch {
				for t := range seqLen {
					row := x.data[(b*seqLen+t)*3*hidden:][:3*hidden]
					for j := range row {
						row[j] = garbage
					}
					if t < lengths[b] {
						copy(row, tokens.data[(b*short+t)*3*hidden:])
					}
				}
			}
		}
		dy := normal(r, batch*short, 2*hidden)
		for b := range batch {
			for t := range seqLen {
				for j := range 2 * hidden {
					if t < lengths[b] {
						s.dy = append(s.dy, dy.data[(b*short+t)*2*hidden+j])
					} else {
						s.dy = append(s.dy, garbage)
					}
				}
			}
		}
		return unpadded(t, s.compile(t, tensor.Float64).result(t), lengths, seqLen)
	}
	want := at(short, 0)
	for _, garbage := range []float64{0, 1e6, -3} {
		got := at(long, garbage)
		sameResult(t, got, want, 1e-14)
		same(t, "y", got.y, want.y, 0)
		same(t, "dxf", got.grads["xf"], want.grads["xf"], 0)
		same(t, "dxr", got.grads["xr"], want.grads["xr"], 0)
	}
}

// unpadded keeps the tokens that count of the output and of gradients of inputs,
// and fails unless the rest is zero.
func unpadded(t *testing.T, r result, lengths []int, seqLen int) result {
	t.Helper()
	keep := func(what string, x []float64) []float64 {
		cols := len(x) / (len(lengths) * seqLen)
		var kept []float64
		for b, n := range lengths {
			rows := x[b*seqLen*cols:][:seqLen*cols]
			kept = append(kept, rows[:n*cols]...)
			for _, v := range rows[n*cols:] {
				if v != 0 {
					t.Fatalf("%s of padding is %g, want 0", what, v)
				}
			}
		}
		return kept
	}
	out := result{y: keep("output", r.y), grads: map[string][]float64{}}
	for name, g := range r.grads {
		if name[0] == 'x' {
			g = keep("gradient of "+name, g)
		}
		out.grads[name] = g
	}
	return out
}

// TestGRUThreads: the same bits for any number of threads.
func TestGRUThreads(t *testing.T) {
	defer kernel.SetThreads(kernel.Threads())
	for _, directions := range []string{"f", "fr"} {
		s := gruOf("gru", directions, 40, 6, 50, nil)
		kernel.SetThreads(1)
		want := s.compile(t, tensor.Float32).result(t)
		for _, n := range []int{2, 3, 5} {
			kernel.SetThreads(n)
			sameResult(t, s.compile(t, tensor.Float32).result(t), want, 0)
		}
	}
}

// TestGRULengths: a length outside the sequence is an error of the run.
func TestGRULengths(t *testing.T) {
	for name, tc := range map[string]struct {
		length int
		want   string
	}{
		"too long": {5, "op: gru: length 5 of sequence 1, want 0 to 4"},
		"negative": {-1, "op: gru: length -1 of sequence 1, want 0 to 4"},
	} {
		t.Run(name, func(t *testing.T) {
			m := gruOf("gru", "f", 2, 4, 2, []int{3, tc.length}).compile(t, tensor.Float64)
			if err := m.run(); err == nil || err.Error() != tc.want {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}
