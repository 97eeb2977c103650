// Package nntest examines a layer in a test, one of this module or of another: its values against a loop that was written
// from the equation, its gradients against central differences, its bits for any number of threads, what a store keeps of
// it, and what it refuses.
//
//	nntest.Check(t, nntest.Layer{
//		Build: func(b *nn.Builder) *G.Node { return newScale(b, 3).Forward(nntest.Input(b, "x", 5, 3)) },
//		Naive: func(v map[string][]float64) []float64 { return scaled(v["x"], v["weight"]) },
//		Shape: []int{5, 3},
//	})
//
// It knows operators and how layers are built, and no layer.
package nntest
