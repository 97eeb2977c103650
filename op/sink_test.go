package op

import (
	"fmt"
	"math"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// runTolerance is float64 rounding where a sum is taken in another order.
const runTolerance = 1e-13

// TestAccumulate lets every operator add to what its sinks hold: after two runs
// they hold the gradient twice.
func TestAccumulate(t *testing.T) {
	subjects := append(tinySubjects(), tied(), decoderOf(decoderSize{layers: 2, width: 8, hidden: 12, vocab: 11, batch: 2, length: 5, checkpoint: true}))
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			m := s.compile(t, tensor.Float64)
			once := m.result(t)
			m.sink.add = true
			if err := m.tape.Run(m.vm); err != nil {
				t.Fatal(err)
			}
			for name, g := range once.grads {
				want := make([]float64, len(g))
				for i, x := range g {
					want[i] = 2 * x
				}
				same(t, "twice d"+name, float64s(m.sink.grads[name]), want, runTolerance)
			}
		})
	}
}

// TestReadyIsLastRead destroys a parameter's value as soon as its gradient is
// ready: were it read once more in the run, NaN would spread. So an optimizer may
// update it there.
func TestReadyIsLastRead(t *testing.T) {
	size := decoderSize{layers: 3, width: 8, hidden: 12, vocab: 11, batch: 2, length: 5}
	subjects := append(fanouts(), tied(), decoderOf(size))
	size.checkpoint = true
	subjects = append(subjects, decoderOf(size))
	for seed := range uint64(40) {
		subjects = append(subjects, randomGraph(seed, 12))
	}
	for i, s := range subjects {
		t.Run(fmt.Sprint(i, " ", s.name), func(t *testing.T) {
			m := s.compile(t, tensor.Float64)
			want := m.result(t)
			m.sink.onReady = func(name string) { fill(m.floats[name], math.NaN()) }
			sameResult(t, m.result(t), want, 0)
		})
	}
}

// A parameter without a value can be planned, as for an estimate of memory; to
// run it is an error.
func TestParamWithoutValue(t *testing.T) {
	tp := NewTape(tensor.Float32, true)
	x := tp.Input("x", tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(3, 1000)))
	w := tp.Param("w", tensor.Shape{500, 1000}, nil, &memorySink{})
	targets := tp.Input("targets", tensor.New(tensor.Of(tensor.Int), tensor.WithShape(3)))
	loss := CrossEntropy(tp, Linear(x, w, nil), targets)
	if err := tp.Backward(loss); err != nil {
		t.Fatal(err)
	}
	plan, err := tp.Plan(false, loss)
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Bytes(); got < 3*500*4 || got > 3*500*4+10*align {
		t.Errorf("plan of %d bytes, want the logits' %d", got, 3*500*4)
	}
	plan.Bind(&Arena{})
	if err := tp.Run(G.NewTapeMachine(tp.Graph)); err == nil {
		t.Error("no error from a run without the parameter's value")
	}
}

// A graph is planned once: a second plan would move buffers under the first.
func TestPlanTwice(t *testing.T) {
	m := addOf("add", 2, 2).compile(t, tensor.Float64)
	if _, err := m.tape.Plan(false); err == nil {
		t.Error("no error from a second plan of one graph")
	}
}
