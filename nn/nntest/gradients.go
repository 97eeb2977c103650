package nntest

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"sparrow/nn"
)

const (
	step          = 1e-5  // of the differences
	gradTolerance = 1e-7  // the differences' own error is about step² and 1e-16 / step
	tolerance     = 1e-12 // of values near 1
)

// Equation gives every parameter and input random numbers in float64 and runs the layer into a cross entropy. It checks the
// output against Naive, and every gradient against (loss(v+h) - loss(v-h)) / 2h, element by element.
func Equation(t testing.TB, l Layer) {
	t.Helper()
	m := newMachine(t, l, nn.NewStore(tensor.Float64), 1)
	m.draw()
	m.start()
	m.run()
	values, gradients := map[string][]float64{}, map[string][]float64{} // of the first run: those that follow overwrite them
	for _, name := range m.names() {
		values[name] = m.store.Get(name).Float64s()
		grad := m.grads.Get(name)
		if grad == nil {
			t.Fatalf("no gradient of %s arrives", name)
		}
		gradients[name] = floats(grad)
	}
	if l.Naive != nil {
		checkValues(t, floats(m.out.Value().(*tensor.Dense)), l.Naive(values))
	}
	for _, name := range m.names() {
		checkGradient(t, name, values[name], gradients[name], m.run)
	}
}

func checkValues(t testing.TB, got, want []float64) {
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

func checkGradient(t testing.TB, name string, v, gradient []float64, run func() float64) {
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
