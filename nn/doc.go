// Package nn holds parameters and the layers that every network is made of. It
// builds graphs through package op and knows nothing of whole networks, data or
// training.
//
// Weights live outside graphs, in a Store; a Builder binds them to the graph it
// builds, so the training, evaluation and decoding graphs of a model share them:
//
//	b := nn.NewBuilder(tape, store, nn.Options{Seed: 1})
//	proj := nn.NewLinear(b.Sub("proj"), 64, 128, true, nn.Normal(0.02)) // proj.weight, proj.bias
//	y := proj.Forward(x)
//
// A constructor names, shapes and initialises its parameters; Forward reads top
// to bottom like the equation.
package nn
