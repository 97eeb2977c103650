// Package op holds Sparrow's Gorgonia operators: one file an operator, with its
// shape rule, its fused forward pass and its fused backward pass, over the CPU
// kernels of package kernel. It knows nothing of layers, models or training.
//
// An operator is a function from nodes to a node. The graph under construction
// is a Tape, which hands out parameters and inputs:
//
//	t := op.NewTape(tensor.Float32, true)
//	x := t.Input("x", xs)                        // [N, D]
//	w := t.Param("proj.weight", weight.Shape(), weight, sink) // [O, D]
//	loss := op.CrossEntropy(t, op.Linear(x, w, nil), t.Input("targets", ts))
//	err := t.Backward(loss)                      // gradients reach sink inside the run
//	plan, err := t.Plan(false, loss)             // memory by liveness, loss kept
//
// Activations are matrices [N, D] of N = B*T rows, so no operator reshapes.
// Every operator has an identity of its own, which keeps Gorgonia's elimination
// of common subexpressions from merging two of them; it compares 32-bit hashes,
// and Tape.Check refuses a graph in which two collide.
//
// Gradients of a value with several readers are not summed by Gorgonia: its stock
// addition allocates a tensor in every run. The second and later readers hand
// their gradient to the operator that made the value, and operators that can
// (matrix products, norms) add it while they write their own.
package op
