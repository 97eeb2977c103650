package op

import (
	"fmt"
	"math"
	"testing"

	"gorgonia.org/tensor"
)

// Central differences in float64: with step h the error is of order h² from the
// third derivative and 1e-16/h from rounding, both below 1e-8 here.
const (
	differenceStep = 1e-5
	differenceTol  = 1e-7 // of 1 + |gradient|
)

// TestGradients moves every element of every operand of every operator and
// compares the loss's change with the gradient.
func TestGradients(t *testing.T) {
	for _, s := range tinySubjects() {
		t.Run(s.name, func(t *testing.T) { checkGradients(t, s) })
	}
}

// checkGradients compares s's gradients with central differences of the loss.
func checkGradients(t *testing.T, s subject) {
	t.Helper()
	m := s.compile(t, tensor.Float64)
	r := m.result(t)
	for _, x := range append(append([]float64{}, r.y...), r.loss...) {
		if math.IsNaN(x) {
			t.Fatalf("%s: output or loss holds NaN: poisoned memory was read", s.name)
		}
	}
	for name := range s.floats {
		if s.frozen[name] {
			continue
		}
		values := m.floats[name].Float64s()
		for i, x := range values {
			at := func(x float64) float64 {
				values[i] = x
				if err := m.run(); err != nil {
					t.Fatal(err)
				}
				return m.loss.Value().(*tensor.Dense).Float64s()[0]
			}
			want := (at(x+differenceStep) - at(x-differenceStep)) / (2 * differenceStep)
			values[i] = x
			if got := r.grads[name][i]; !(math.Abs(got-want) <= differenceTol*(1+math.Abs(want))) {
				t.Errorf("%s: gradient of %s[%d] = %.10g, difference quotient %.10g", s.name, name, i, got, want)
			}
		}
	}
	if again := m.result(t); !t.Failed() {
		sameResult(t, again, r, 0) // nothing is left over from other runs
	}
}

// A gradient check that cannot fail proves nothing: it must see a wrong factor.
func TestGradientCheckSeesErrors(t *testing.T) {
	s := linearOf("linear", 2, 3, 2, false)
	m := s.compile(t, tensor.Float64)
	r := m.result(t)
	w := m.floats["w"].Float64s()
	before := r.loss[0]
	w[0] += 1
	after := m.result(t).loss[0]
	// The loss is linear in w, so the difference quotient is exact for any step.
	if got := fmt.Sprintf("%.9f", after-before); got != fmt.Sprintf("%.9f", r.grads["w"][0]) {
		t.Errorf("loss moved by %s, gradient is %.9f", got, r.grads["w"][0])
	}
}
