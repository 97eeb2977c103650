package op

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

func TestInputNames(t *testing.T) {
	value := func() *tensor.Dense { return tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(2)) }
	tp := NewTape(tensor.Float64, true)
	tp.Input("x", value())
	for _, name := range []string{"", "x"} {
		if got := panicOf(func() { tp.Input(name, value()) }); !strings.Contains(got, "empty or used before") {
			t.Errorf("second input %q panics with %q, want a message on its name", name, got)
		}
	}
}

// tied is a network that reads one table twice: as embedding and as output.
func tied() subject {
	return subject{name: "tied", floats: draws("table", []int{5, 4}), ints: map[string][]int{"ids": {0, 3, 3}, "targets": {3, 1, 0}},
		build: func(g *graph) *G.Node {
			h := Activation(g.tape, "tanh", Embedding(g.i("ids"), g.p("table")))
			return CrossEntropy(g.tape, Linear(h, g.p("table"), nil), g.i("targets"))
		}}
}

func TestTiedParameter(t *testing.T) {
	checkGradients(t, tied())
	m := tied().compile(t, tensor.Float64)
	for range 2 {
		m.result(t)
		if !slices.Equal(m.sink.ready, []string{"table"}) {
			t.Errorf("ready calls %v, want one after both uses", m.sink.ready)
		}
	}
}

// A run that stops between the two uses of a parameter must not make the next
// run add to what it left.
func TestTiedParameterAfterError(t *testing.T) {
	s := tied()
	s.floats["scale"] = normal(source(), 4)
	s.build = func(g *graph) *G.Node {
		h := RMSNorm(Embedding(g.i("ids"), g.p("table")), g.p("scale"), 1e-5)
		return CrossEntropy(g.tape, Linear(h, g.p("table"), nil), g.i("targets"))
	}
	m := s.compile(t, tensor.Float64)
	want := m.result(t)
	m.sink.fail = errors.New("disk full") // the norm is ready between the two uses of the table
	if err := m.run(); !errors.Is(err, m.sink.fail) || err.Error() != "op: rms_norm.grad: disk full" {
		t.Fatalf("error %v, want the sink's, with the operator's name", err)
	}
	m.sink.fail = nil
	sameResult(t, m.result(t), want, 0)
}

// One Param is one use: read twice, its gradients would meet in a stock addition.
func TestParamReadTwice(t *testing.T) {
	s := subject{floats: draws("x", []int{2, 3}, "w", []int{3, 3}), build: func(g *graph) *G.Node {
		w := g.p("w")
		return Linear(Linear(g.x("x"), w, nil), w, nil)
	}}
	if got := panicOf(func() { s.tryCompile(tensor.Float64, true) }); !strings.Contains(got, `parameter "w" is read twice`) {
		t.Errorf("panic %q, want one that names the parameter", got)
	}
	s.frozen = map[string]bool{"w": true} // nothing to add up
	s.compile(t, tensor.Float64).result(t)
}

// Frozen parameters cost no work: with all but the last weight frozen, the
// backward pass is the loss's and that one weight's.
func TestFrozenWork(t *testing.T) {
	s := subject{floats: draws("x", []int{2, 3}, "w", []int{3, 3}, "u", []int{3, 3}), build: func(g *graph) *G.Node {
		h := Activation(g.tape, "silu", Linear(g.x("x"), g.p("w"), nil))
		return Linear(h, g.p("u"), nil)
	}}
	backward := func() (names []string) {
		for _, o := range s.compile(t, tensor.Float64).tape.ops {
			if strings.HasSuffix(o.name, ".grad") {
				names = append(names, o.name)
			}
		}
		return names
	}
	if got, want := backward(), []string{"dot_loss.grad", "linear.grad", "silu.grad", "linear.grad", "value.grad"}; !slices.Equal(got, want) {
		t.Errorf("backward operators %v, want %v", got, want)
	}
	s.frozen = map[string]bool{"x": true, "w": true}
	if got, want := backward(), []string{"dot_loss.grad", "linear.grad"}; !slices.Equal(got, want) {
		t.Errorf("backward operators with x and w frozen %v, want %v", got, want)
	}
	m := s.compile(t, tensor.Float64)
	m.result(t)
	if !slices.Equal(m.sink.ready, []string{"u"}) {
		t.Errorf("ready calls %v, want u alone", m.sink.ready)
	}
	s.frozen["u"] = true
	if _, err := s.tryCompile(tensor.Float64, true); err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("error %v with all frozen, want one that says so", err)
	}
}

func TestBackwardWithoutTraining(t *testing.T) {
	tp := NewTape(tensor.Float64, false)
	w := array{[]int{2, 2}, make([]float64, 4)}.dense(tensor.Float64)
	p := tp.Param("w", w.Shape(), w, &memorySink{})
	if err := tp.Backward(Value(p)); err == nil || !strings.Contains(err.Error(), "does not train") {
		t.Errorf("error %v, want one that says the tape does not train", err)
	}
}

func TestCheck(t *testing.T) {
	m := decoderOf(decoderSize{layers: 2, width: 8, hidden: 12, vocab: 11, batch: 2, length: 5}).compile(t, tensor.Float32)
	if err := m.tape.Check(); err != nil {
		t.Errorf("a decoder: %v", err)
	}
	G.Must(G.Add(m.y, m.y))
	if err := m.tape.Check(); err == nil || !strings.Contains(err.Error(), "stock operator") {
		t.Errorf("error %v with a stock addition in the graph, want one", err)
	}
}

// Two leaves whose names hash alike are what Gorgonia would merge: Check says so.
func TestCheckHashes(t *testing.T) {
	tp := NewTape(tensor.Float64, false)
	value := array{[]int{2}, []float64{1, 2}}
	like := tp.Input("like", value.dense(tensor.Float64))
	seen := map[uint32]string{}
	for r := source(); ; { // about 2^16 names until two collide
		name := strconv.FormatUint(r.Uint64(), 36)
		h := fnv.New32a()
		fmt.Fprintf(h, "%v%v%s\x00", like.Type(), like.Shape(), name) // what a leaf hashes
		if other, ok := seen[h.Sum32()]; ok {
			tp.Input(name, value.dense(tensor.Float64))
			if err := tp.Check(); err != nil {
				t.Fatalf("one of the two: %v", err)
			}
			tp.Input(other, value.dense(tensor.Float64))
			break
		}
		seen[h.Sum32()] = name
	}
	if err := tp.Check(); err == nil || !strings.Contains(err.Error(), "same hash") {
		t.Errorf("error %v, want one on equal hashes", err)
	}
}
