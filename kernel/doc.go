// Package kernel holds the CPU kernels of the framework on flat slices: matrix products, softmax,
// norms, activations and optimizer updates, and the one worker pool they share. It must not know
// of graphs, tensors or layers.
//
// Matrices are row-major with an explicit row stride (ld, in elements). Wrong sizes are a
// programmer's error and panic before any kernel runs; user data never panics.
//
//	y := make([]float32, tokens*out)
//	// y = x Wᵀ with x [tokens, in] and W [out, in]
//	kernel.Gemm(false, true, tokens, out, in, 1, x, in, w, in, 0, y, out)
//	// dW += dyᵀ x
//	kernel.Gemm(true, false, out, in, tokens, 1, dy, out, x, in, 1, dw, in)
//
// Results do not depend on the number of threads: work is split over output tiles or fixed
// chunks, never over a reduction.
//
// The instruction set is chosen at start from what the CPU offers (see [ISA]); the environment
// variable SPARROW_ISA=avx512|avx2|go lowers the choice, for tests. The build tag purego, and
// every architecture but amd64, uses the pure-Go kernels.
//
// The products follow Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (2008), and Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS
// Functionality" (2015).
package kernel
