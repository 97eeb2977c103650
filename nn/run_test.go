package nn_test

import (
	"testing"

	G "gorgonia.org/gorgonia"

	"sparrow/op"
)

// runner plans a tape, keeping the given values, and returns a function that runs it.
func runner(t *testing.T, tape *op.Tape, kept ...*G.Node) func() {
	t.Helper()
	plan, err := tape.Plan(true, kept...)
	if err != nil {
		t.Fatal(err)
	}
	vm, arena := G.NewTapeMachine(tape.Graph), &op.Arena{}
	return func() {
		t.Helper()
		plan.Bind(arena)
		if err := tape.Run(vm); err != nil {
			t.Fatal(err)
		}
	}
}
