// Package layertest examines a layer in a test: its values against a loop that
// was written from the equation, and its gradients against central differences.
// It knows operators and no layers, so that any package of layers may use it.
package layertest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/op"
)

// Layer is a float64 layer at work in a graph of its own.
type Layer struct {
	Tape     *op.Tape
	Out      *G.Node                                // [N, C], C at least 2
	Values   map[string]*tensor.Dense               // what Out depends on: parameters, and inputs that are bound as such
	Gradient func(name string) *tensor.Dense        // of one of Values, after a run
	Naive    func(v map[string][]float64) []float64 // Out, row by row, of Values
}

const (
	step          = 1e-5  // of the differences
	gradTolerance = 1e-7  // the differences' own error is about step² and 1e-16 / step
	tolerance     = 1e-12 // of values near 1
)

// Check gives every value random numbers and runs the layer into a cross entropy,
// with dead memory overwritten by NaN.
func Check(t *testing.T, l Layer) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	values := map[string][]float64{}
	for _, name := range names(l.Values) {
		v := l.Values[name].Float64s()
		for i := range v {
			v[i] = 0.2 + 0.6*r.NormFloat64()
		}
		values[name] = v
	}
	targets := make([]int, l.Out.Shape()[0])
	for i := range targets {
		targets[i] = r.IntN(l.Out.Shape()[1])
	}
	loss := op.CrossEntropy(l.Tape, l.Out, l.Tape.Input("targets", tensor.New(tensor.WithBacking(targets), tensor.WithShape(len(targets)))))
	if err := l.Tape.Backward(loss); err != nil {
		t.Fatal(err)
	}
	if err := l.Tape.Check(); err != nil {
		t.Fatal(err)
	}
	plan, err := l.Tape.Plan(true, l.Out, loss)
	if err != nil {
		t.Fatal(err)
	}
	vm, arena := G.NewTapeMachine(l.Tape.Graph), &op.Arena{}
	run := func() float64 {
		t.Helper()
		plan.Bind(arena)
		if err := l.Tape.Run(vm); err != nil {
			t.Fatal(err)
		}
		return loss.Value().(*tensor.Dense).Float64s()[0]
	}
	run()
	checkValues(t, l.Out.Value().(*tensor.Dense).Float64s(), l.Naive(values))
	gradients := map[string][]float64{} // of the first run: those that follow overwrite them
	for name := range l.Values {
		gradients[name] = slices.Clone(l.Gradient(name).Float64s())
	}
	for _, name := range names(l.Values) {
		checkGradient(t, name, values[name], gradients[name], run)
	}
}

func checkValues(t *testing.T, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tolerance*max(1, math.Abs(want[i]))) {
			t.Errorf("value %d is %.15g, by the equation %.15g", i, got[i], want[i])
			return
		}
	}
}

// checkGradient compares a gradient to (loss(v+h) - loss(v-h)) / 2h, element by element.
func checkGradient(t *testing.T, name string, v, gradient []float64, run func() float64) {
	t.Helper()
	for i, x := range v {
		v[i] = x + step
		above := run()
		v[i] = x - step
		below := run()
		v[i] = x
		if want := (above - below) / (2 * step); !(math.Abs(gradient[i]-want) <= gradTolerance*max(1, math.Abs(want))) {
			t.Errorf("gradient of %s[%d] is %.10g, by differences %.10g", name, i, gradient[i], want)
			return
		}
	}
}

func names(m map[string]*tensor.Dense) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out) // the numbers drawn depend on the order
	return out
}
